// What the frame length costs: `npm run bench:frames [-- --quick]`.
import { Readable, Writable } from "node:stream"
import { pipeline } from "node:stream/promises"
import { decrypt, encrypt, encryptStream, openMessage, rawAesKeyring } from "kms-envelope"
import { compare, effort, printComparison } from "./harness.mjs"

const KiB = 1024
const MiB = 1024 * KiB
const keyring = rawAesKeyring({ keyNamespace: "bench", keyName: "key", wrappingKey: new Uint8Array(32).fill(7) })
const plaintext = Buffer.alloc(16 * MiB, 1)
const frameLengths = [4 * KiB, 16 * KiB, 64 * KiB, 256 * KiB, MiB]

/** One candidate a frame length; the default is ours, so that the ratios are to it. */
const candidates = async (prepare) =>
  Promise.all(
    frameLengths.map(async (frameLength) => ({
      name: `frames of ${frameLength / KiB} KiB`,
      ours: frameLength === 256 * KiB,
      run: await prepare(frameLength),
    })),
  )

const megabytes = plaintext.length / 1e6
printComparison(
  "encrypt 16 MiB in memory",
  await compare(await candidates((frameLength) => () => encrypt(plaintext, { keyring, frameLength })), effort),
  "MB/s",
  megabytes,
)
const reading = async (frameLength) => {
  const message = await encrypt(plaintext, { keyring, frameLength })
  return () => decrypt(message, { keyring })
}
printComparison("decrypt 16 MiB in memory", await compare(await candidates(reading), effort), "MB/s", megabytes)

const chunks = Array.from({ length: 256 }, (_, i) => plaintext.subarray(i * 64 * KiB, (i + 1) * 64 * KiB))
const streaming = (frameLength) => () =>
  pipeline(
    Readable.from(chunks),
    encryptStream({ keyring, frameLength }),
    new Writable({ write: (_chunk, _encoding, done) => done() }),
  )
printComparison("encrypt 16 MiB as a stream", await compare(await candidates(streaming), effort), "MB/s", megabytes)

const ranging = async (frameLength) => {
  const handle = await openMessage(await encrypt(plaintext, { keyring, frameLength }), { keyring })
  let at = 0
  return () => {
    at = (at + 7_654_321) % (plaintext.length - 100)
    return handle.read(at, at + 100)
  }
}
printComparison("read 100 bytes anywhere", await compare(await candidates(ranging), effort), "/s")
