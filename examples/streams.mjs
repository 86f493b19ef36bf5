// Encrypts and decrypts a file through streams, in bounded memory: node examples/streams.mjs
import { randomBytes } from "node:crypto"
import { createReadStream, createWriteStream } from "node:fs"
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { pipeline } from "node:stream/promises"
import { decryptStream, EnvelopeError, encryptStream, rawAesKeyring } from "kms-envelope"

const folder = await mkdtemp(join(tmpdir(), "kms-envelope-streams-"))
const [original, encrypted, restored] = ["report.pdf", "report.pdf.enc", "restored.pdf"].map((name) =>
  join(folder, name),
)
const keyring = rawAesKeyring({ keyNamespace: "examples", keyName: "streams", wrappingKey: randomBytes(32) })

try {
  await writeFile(original, randomBytes(3_000_000))
  await pipeline(createReadStream(original), encryptStream({ keyring }), createWriteStream(encrypted))

  const stream = decryptStream({ keyring })
  stream.once("header", ({ frameLength }) => console.log(`authenticated header: frames of ${frameLength} bytes`))
  await pipeline(createReadStream(encrypted), stream, createWriteStream(restored))
  const same = (await readFile(original)).equals(await readFile(restored))
  console.log(`restored: ${same ? "the same" : "something else"}`)

  // Half a message: what came out until then is authentic, but the stream says that it is not all.
  const half = createReadStream(encrypted, { end: 1_500_000 })
  await pipeline(half, decryptStream({ keyring }), createWriteStream(restored)).catch((error) => {
    if (!(error instanceof EnvelopeError)) throw error
    console.log(`half of it: ${error.code}`)
  })
} finally {
  keyring.close()
  await rm(folder, { recursive: true })
}
