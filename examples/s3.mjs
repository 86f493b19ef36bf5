// Encrypted objects behind the AWS SDK's own commands, on any S3 that the environment names (AWS_ENDPOINT_URL_S3, or
// AWS itself): BUCKET=my-bucket node examples/s3.mjs
import { CreateKeyCommand } from "@aws-sdk/client-kms"
import { CopyObjectCommand, GetObjectCommand, HeadObjectCommand, PutObjectCommand, S3Client } from "@aws-sdk/client-s3"
import { EnvelopeError, kmsKeyring } from "kms-envelope"
import { LocalKms } from "kms-envelope/local-kms"
import { EncryptedS3Client, envelopeOf } from "kms-envelope/s3"

const Bucket = process.env.BUCKET ?? "example"
const kms = LocalKms.inMemory()
const { KeyMetadata } = await kms.client().send(new CreateKeyCommand({}))
const keyring = kmsKeyring({ client: kms.client(), generatorKeyId: KeyMetadata?.Arn ?? "" })

// One call to KMS for the bucket and five minutes, instead of one for every object.
const client = new S3Client({ forcePathStyle: true })
const s3 = new EncryptedS3Client({ client, keyring, bucketKey: { maxAgeSeconds: 300 } })

const lines = Array.from({ length: 100_000 }, (_, i) => `line ${String(i).padStart(6, "0")}\n`)
await s3.send(new PutObjectCommand({ Bucket, Key: "report", Body: lines.join(""), ContentType: "text/plain" }))

const range = await s3.send(new GetObjectCommand({ Bucket, Key: "report", Range: "bytes=600000-600010" }))
console.log(`${range.ContentRange}: ${await range.Body?.transformToString()}`)

const head = await s3.send(new HeadObjectCommand({ Bucket, Key: "report" }))
console.log(`${head.ContentLength} bytes in the format ${envelopeOf(head)?.format}`)
const stored = await client.send(new HeadObjectCommand({ Bucket, Key: "report" }))
console.log(`stored: ${stored.ContentLength} bytes under ${stored.Metadata?.["envelope-key"]}`)

// A copy outside this client keeps the bytes, which are bound to another key: it is refused.
await client.send(new CopyObjectCommand({ Bucket, Key: "moved", CopySource: `${Bucket}/report` }))
await s3.send(new GetObjectCommand({ Bucket, Key: "moved" })).catch((error) => {
  if (!(error instanceof EnvelopeError)) throw error
  console.log(`moved: ${error.code}`)
})
const boundTo = { bucket: Bucket, key: "report" }
const moved = await s3.send(new GetObjectCommand({ Bucket, Key: "moved" }), { boundTo })
console.log(`moved, with boundTo: ${(await moved.Body?.transformToByteArray())?.length} bytes`)

console.log((await kms.events()).map(({ eventName }) => eventName).join(", "))
s3.destroy()
await kms.close()
