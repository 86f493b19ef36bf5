// Whether the cost of a byte and of a message stays the same as there are more of them, and memory with it.
import { Readable, Writable } from "node:stream"
import { pipeline } from "node:stream/promises"
import { decrypt, decryptStream, encrypt, encryptStream } from "kms-envelope"
import { alternate, GiB, MiB, quick, report, spread } from "../harness.mjs"
import { encryptionContext, keyring } from "../subjects.mjs"

const LEAST = 0.8
const block = Buffer.alloc(MiB, 1)
const sink = () => new Writable({ write: (_chunk, _encoding, done) => done() })
function* source(bytes) {
  for (let at = 0; at < bytes; at += block.length) yield block
}

/** There and back. @returns nanoseconds a byte, over `least` bytes in all */
async function costOfByte(size, least) {
  const start = performance.now()
  let worked = 0
  for (; worked < least; worked += size) {
    await pipeline(Readable.from(source(size)), encryptStream({ keyring }), decryptStream({ keyring }), sink())
  }
  return ((performance.now() - start) * 1e6) / worked
}

const sizes = quick ? [MiB, 16 * MiB, 256 * MiB] : [MiB, 16 * MiB, 256 * MiB, GiB, 10 * GiB]
const least = quick ? 128 * MiB : GiB
const bytes = sizes.map((size) => ({ name: `messages of ${size / MiB} MiB`, size, ours: size === sizes.at(-1) }))
const perByte = await alternate(bytes, quick ? 2 : 3, ({ size }) => costOfByte(size, least))
report({
  measure: "stream there and back, cost of a byte",
  unit: "ns",
  better: "lower",
  results: perByte,
  checks: perByte.slice(0, -1).map(({ name }) => ({ against: name, atLeast: LEAST })),
})

const record = Buffer.alloc(256, 1)
async function work(count) {
  const start = performance.now()
  for (let i = 0; i < count; i++) {
    await decrypt(await encrypt(record, { keyring, encryptionContext }), { keyring, encryptionContext })
  }
  return ((performance.now() - start) * 1e3) / count
}
const heapMiB = () => {
  for (let i = 0; i < 3; i++) globalThis.gc()
  return process.memoryUsage().heapUsed / MiB
}

await work(20_000)
const before = heapMiB()
const counts = quick ? [1000, 10_000, 100_000] : [1000, 10_000, 100_000, 1_000_000]
const perMessage = []
for (const count of counts)
  perMessage.push(spread(`after ${count} messages`, [await work(count)], count === counts.at(-1)))
const after = heapMiB()
report({
  measure: "256 B there and back, cost of a message",
  unit: "µs",
  better: "lower",
  results: perMessage,
  checks: [{ against: perMessage[1].name, atLeast: LEAST }],
})
report({
  measure: `growth of the heap over ${counts.at(-1)} messages`,
  unit: "MiB",
  better: "lower",
  results: [spread("kms-envelope", [Math.max(0, after - before)], true)],
  checks: [{ atMost: 5 }],
})
