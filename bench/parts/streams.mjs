// Streams at the same time, and small messages beside a bulk job.
import { Readable, Writable } from "node:stream"
import { pipeline } from "node:stream/promises"
import { setTimeout } from "node:timers/promises"
import { decrypt, decryptFile, encrypt, encryptFile, encryptStream } from "kms-envelope"
import { temporaryFolder, writeFileOf } from "../files.mjs"
import { alternate, KiB, longEffort, MiB, quantile, quick, report, spread } from "../harness.mjs"
import { keyring, official, officialKeyring, suiteId } from "../subjects.mjs"

const total = (quick ? 128 : 512) * MiB
const chunk = Buffer.alloc(64 * KiB, 1)
const sink = () => new Writable({ write: (_chunk, _encoding, done) => done() })
function* source(bytes) {
  for (let at = 0; at < bytes; at += chunk.length) yield chunk
}

const through = (bytes, stream) => pipeline(Readable.from(source(bytes)), stream, sink())
const megabytes = async (work) => {
  const start = performance.now()
  await work()
  return total / 1e3 / (performance.now() - start)
}

/** The same messages each time, more or fewer of them at once. */
const MESSAGES = 64
const work = async (lanes) => {
  let left = MESSAGES
  const lane = async () => {
    while (left-- > 0) await through(total / MESSAGES, encryptStream({ keyring }))
  }
  await Promise.all(Array.from({ length: lanes }, lane))
}
const candidates = [1, 4, 16, 64].map((count) => ({ name: `${count} at once`, count, ours: count === 1 }))
const results = await alternate(candidates, longEffort.rounds, ({ count }) => megabytes(() => work(count)))
const best = results.reduce((one, other) => (other.median > one.median ? other : one))
report({
  measure: `encrypt ${MESSAGES} streams of ${total / MiB / MESSAGES} MiB`,
  unit: "MB/s",
  results,
  checks: results.map(({ name }) => ({ ours: name, against: best.name, atLeast: 0.8 })),
})

const frameLength = MiB
const kinds = [
  { name: "kms-envelope", ours: true, make: () => encryptStream({ keyring }) },
  { name: "official, frames of 1 MiB", make: () => official.encryptStream(officialKeyring, { suiteId, frameLength }) },
  { name: "official, its frames of 4 KiB", make: () => official.encryptStream(officialKeyring, { suiteId }) },
]
report({
  measure: `encrypt ${total / MiB} MiB in one stream`,
  unit: "MB/s",
  results: await alternate(kinds, longEffort.rounds, ({ make }) => megabytes(() => through(total, make()))),
})

const at = temporaryFolder()
await writeFileOf(at("plain"), total)
const plaintext = Buffer.alloc(total, 1)
const bulk = {
  "encrypt in memory": () => encrypt(plaintext, { keyring }),
  encryptStream: () => through(total, encryptStream({ keyring })),
  "encryptStream, signed": () => through(total, encryptStream({ keyring, signed: true })),
  "encryptFile and decryptFile": async () => {
    await encryptFile(at("plain"), at("sealed"), { keyring, overwrite: true })
    await decryptFile(at("sealed"), at("opened"), { keyring, overwrite: true })
  },
}
const record = Buffer.alloc(256, 1)
const beside = []
for (const [name, job] of Object.entries(bulk)) {
  await job()
  const worst = []
  for (let round = 0; round < longEffort.rounds; round++) worst.push(await latencyBeside(job))
  beside.push(spread(name, worst))
}
report({
  measure: "256 B there and back beside a bulk job, 99th percentile",
  unit: "ms",
  better: "lower",
  results: beside,
  checks: beside.map(({ name }) => ({ ours: name, atMost: 10 })),
})

/** A small message a millisecond, from the moment it is due. @returns the 99th percentile of the latency */
async function latencyBeside(job) {
  const latencies = []
  let running = true
  const ended = job().then(() => {
    running = false
  })
  while (running) {
    const due = performance.now() + 1
    await setTimeout(1)
    await decrypt(await encrypt(record, { keyring }), { keyring })
    latencies.push(performance.now() - due)
  }
  await ended
  return quantile(latencies, 0.99)
}
