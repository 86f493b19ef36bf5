// Streams an object up and down again, and reports the peak of its resident memory: LIBRARY MODE SIZE.
import { createHash } from "node:crypto"
import { Readable } from "node:stream"
import { GetObjectCommand, PutObjectCommand, S3Client } from "@aws-sdk/client-s3"

const [, , library, mode, size] = process.argv
const { EncryptedS3Client, rawAesKeyring } = await import(library)
const keyring = rawAesKeyring({ keyNamespace: "heavy", keyName: "key", wrappingKey: new Uint8Array(32).fill(3) })
const s3 = new EncryptedS3Client({ client: new S3Client({ forcePathStyle: true }), keyring })
const target = { Bucket: "heavy", Key: "object" }

const CHUNK = 1024 * 1024
const chunk = new Uint8Array(CHUNK)
const hash = createHash("sha256")

function* chunks() {
  for (let at = 0, i = 0; at < Number(size); at += CHUNK, i++) {
    const piece = chunk.fill(i & 0xff).slice(0, Math.min(CHUNK, Number(size) - at))
    hash.update(piece)
    yield piece
  }
}

let passed = 0
if (mode === "put") {
  const Body = Readable.from(chunks(), { objectMode: false })
  process.send?.("started")
  await s3.send(new PutObjectCommand({ ...target, Body }))
  passed = Number(size)
} else {
  const { Body } = await s3.send(new GetObjectCommand(target))
  for await (const piece of Body) {
    passed += piece.length
    hash.update(piece)
  }
}
const peakMiB = process.resourceUsage().maxRSS / 1024
console.log(JSON.stringify({ mode, passed, digest: hash.digest("hex"), peakMiB }))
s3.destroy()
