// How long the event loop is held up while 256 MiB is worked, over an idle run of the same process.
import { monitorEventLoopDelay } from "node:perf_hooks"
import { Readable, Writable } from "node:stream"
import { pipeline } from "node:stream/promises"
import { setTimeout } from "node:timers/promises"
import {
  decrypt,
  decryptFile,
  decryptInto,
  decryptStream,
  encrypt,
  encryptFile,
  encryptInto,
  encryptStream,
} from "kms-envelope"
import { temporaryFolder, writeFileOf } from "../files.mjs"
import { MiB, median, quick, report, spread } from "../harness.mjs"
import { keyring } from "../subjects.mjs"

const size = (quick ? 64 : 256) * MiB
const rounds = quick ? 1 : 3
const plaintext = Buffer.alloc(size, 1)
const target = Buffer.alloc(size + MiB, 1)
const chunks = Array.from({ length: size / MiB }, (_, i) => plaintext.subarray(i * MiB, (i + 1) * MiB))
const sink = () => new Writable({ write: (_chunk, _encoding, done) => done() })
const at = temporaryFolder()

/** @returns milliseconds: 99th percentile and maximum */
async function delayDuring(work) {
  const histogram = monitorEventLoopDelay({ resolution: 1 })
  histogram.enable()
  await setTimeout(20)
  histogram.reset()
  await work()
  await setTimeout(5)
  histogram.disable()
  return { p99: histogram.percentile(99) / 1e6, max: histogram.max / 1e6 }
}

const jobs = {}
for (const signed of [false, true]) {
  const how = signed ? ", signed" : ""
  const message = await encrypt(plaintext, { keyring, signed })
  const pieces = []
  for (let from = 0; from < message.length; from += MiB) pieces.push(message.subarray(from, from + MiB))
  jobs[`encrypt${how}`] = () => encrypt(plaintext, { keyring, signed })
  jobs[`encryptInto${how}`] = () => encryptInto(plaintext, target, { keyring, signed })
  jobs[`decrypt${how}`] = () => decrypt(message, { keyring })
  jobs[`decryptInto${how}`] = () => decryptInto(message, target, { keyring })
  jobs[`encryptStream${how}`] = () => pipeline(Readable.from(chunks), encryptStream({ keyring, signed }), sink())
  jobs[`decryptStream${how}`] = () =>
    pipeline(Readable.from(pieces), decryptStream({ keyring, signed: "verify-at-end" }), sink())
}
await writeFileOf(at("plain"), size)
for (const signed of [false, true]) {
  const how = signed ? ", signed" : ""
  jobs[`encryptFile${how}`] = () => encryptFile(at("plain"), at("sealed"), { keyring, signed, overwrite: true })
  jobs[`decryptFile${how}`] = () => decryptFile(at("sealed"), at("opened"), { keyring, overwrite: true })
}

const delays = { p99: [], max: [] }
for (const [name, work] of Object.entries(jobs)) {
  await work()
  globalThis.gc?.()
  const idle = []
  const busy = []
  for (let round = 0; round < rounds; round++) {
    idle.push(await delayDuring(() => setTimeout(1000)))
    busy.push(await delayDuring(work))
  }
  for (const [figure, results] of Object.entries(delays)) {
    const base = median(idle.map((delay) => delay[figure]))
    const above = busy.map((delay) => Math.max(0, delay[figure] - base))
    results.push(spread(name, above))
  }
}
const figures = [
  ["99th percentile", delays.p99, 5],
  ["maximum", delays.max, 20],
]
for (const [name, results, atMost] of figures) {
  report({
    measure: `loop delay over ${size / MiB} MiB, ${name} above idle`,
    unit: "ms",
    better: "lower",
    results,
    checks: results.map((result) => ({ ours: result.name, atMost })),
  })
}
