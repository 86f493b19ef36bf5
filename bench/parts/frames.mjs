// What the frame length costs; the default, 256 KiB, is ours, so that the ratios are to it (docs/adr/0003-frame-length.md).
import { Readable, Writable } from "node:stream"
import { pipeline } from "node:stream/promises"
import { decrypt, encrypt, encryptStream, openMessage } from "kms-envelope"
import { compare, effort, KiB, MiB, report } from "../harness.mjs"
import { keyring } from "../subjects.mjs"

const plaintext = Buffer.alloc(16 * MiB, 1)
const frameLengths = [4 * KiB, 16 * KiB, 64 * KiB, 256 * KiB, MiB]
const chunks = Array.from({ length: 256 }, (_, i) => plaintext.subarray(i * 64 * KiB, (i + 1) * 64 * KiB))

const streaming = (frameLength) => () =>
  pipeline(
    Readable.from(chunks),
    encryptStream({ keyring, frameLength }),
    new Writable({ write: (_chunk, _encoding, done) => done() }),
  )

const reading = async (frameLength) => {
  const message = await encrypt(plaintext, { keyring, frameLength })
  return () => decrypt(message, { keyring })
}

const ranging = async (frameLength) => {
  const handle = await openMessage(await encrypt(plaintext, { keyring, frameLength }), { keyring })
  let at = 0
  return () => {
    at = (at + 7_654_321) % (plaintext.length - 100)
    return handle.read(at, at + 100)
  }
}

const megabytes = { unit: "MB/s", scale: plaintext.length / 1e6, chart: "frame-length" }
const measures = {
  "encrypt 16 MiB in memory": {
    ...megabytes,
    prepare: (frameLength) => () => encrypt(plaintext, { keyring, frameLength }),
  },
  "decrypt 16 MiB in memory": { ...megabytes, prepare: reading },
  "encrypt 16 MiB as a stream": { ...megabytes, prepare: streaming },
  "read 100 bytes anywhere": { unit: "/s", scale: 1, chart: "range-read", prepare: ranging },
}

for (const [measure, { prepare, unit, scale, chart }] of Object.entries(measures)) {
  const candidates = []
  for (const frameLength of frameLengths) {
    const name = `frames of ${frameLength / KiB} KiB`
    candidates.push({ name, ours: frameLength === 256 * KiB, run: await prepare(frameLength) })
  }
  const results = await compare(candidates, effort)
  report({ measure, unit, scale, results, chart: { name: chart, series: measure, xs: frameLengths } })
}
