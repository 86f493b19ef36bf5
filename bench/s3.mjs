/**
 * The encrypting S3 client beside the SDK's plain `S3Client`, in one run, on one disk-backed server (the Versity S3
 * Gateway, a process of its own): large objects up and down, small objects with a bucket key, and ranges of a large
 * object with the requests they take. `scripts/install-s3-servers.sh .cache/s3` installs the server; `--quick` takes
 * smaller objects and fewer rounds.
 *
 * The plain client sends large objects as the encrypting one does: parts of 8 MiB, four at a time, by lib-storage.
 */
import { spawn } from "node:child_process"
import { once } from "node:events"
import { closeSync, createReadStream, existsSync, mkdirSync, mkdtempSync, openSync, rmSync, writeSync } from "node:fs"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { CreateKeyCommand } from "@aws-sdk/client-kms"
import { CreateBucketCommand, GetObjectCommand, PutObjectCommand, S3Client } from "@aws-sdk/client-s3"
import { Upload } from "@aws-sdk/lib-storage"
import { kmsKeyring } from "kms-envelope"
import { LocalKms } from "kms-envelope/local-kms"
import { EncryptedS3Client } from "kms-envelope/s3"
import { GiB, KiB, MiB, median, quick } from "./harness.mjs"

const SERVER = ".cache/s3/bin/versitygw"
if (!existsSync(SERVER)) {
  console.error(`${SERVER} is missing: scripts/install-s3-servers.sh .cache/s3`)
  process.exit(1)
}
const only = process.argv.slice(2).filter((argument) => !argument.startsWith("--"))
const Bucket = "bench"
const folder = mkdtempSync(join(tmpdir(), "s3-bench-"))
const credentials = { accessKeyId: "BENCH", secretAccessKey: "bench-secret" }
const { endpoint, child } = await startServer()

const kms = LocalKms.inMemory()
const { KeyMetadata } = await kms.client().send(new CreateKeyCommand({}))
const keyring = kmsKeyring({ client: kms.client(), generatorKeyId: KeyMetadata.Arn })
const plain = new S3Client({ endpoint, region: "us-east-1", forcePathStyle: true, credentials })
let gets = 0
plain.middlewareStack.add(
  (next, context) => (request) => {
    if (context.commandName === "GetObjectCommand") gets++
    return next(request)
  },
  { step: "initialize" },
)
const encrypted = (options = {}) => new EncryptedS3Client({ client: plain, keyring, ...options })

try {
  await plain.send(new CreateBucketCommand({ Bucket }))
  const parts = { large, small, range }
  for (const [name, part] of Object.entries(parts)) if (only.length === 0 || only.includes(name)) await part()
} finally {
  child.kill()
  await once(child, "exit")
  await kms.close()
  plain.destroy()
  rmSync(folder, { recursive: true, force: true })
}

/** Throughput of whole objects, from a file and into nothing. */
async function large() {
  console.log("\nwhole objects, MiB/s (median; ratio to plain)")
  const sizes = quick ? [64 * MiB, 256 * MiB] : [64 * MiB, GiB]
  const client = encrypted()
  for (const size of sizes) {
    const file = makeFile(size)
    const subjects = {
      "put plain": () => putPlain(file, size),
      "put encrypted": () => {
        const command = new PutObjectCommand({
          Bucket,
          Key: "e",
          Body: createReadStream(file, { highWaterMark: MiB }),
          ContentLength: size,
        })
        return client.send(command)
      },
      "get plain": () => drain(plain, "p"),
      "get encrypted": () => drain(client, "e"),
    }
    const rounds = size >= GiB ? 3 : quick ? 3 : 7
    const rates = await sideBySide(subjects, rounds, (seconds) => size / MiB / seconds)
    printPair(`${size / MiB} MiB`, rates, "put")
    printPair(`${size / MiB} MiB`, rates, "get")
    rmSync(file)
  }
  client.close()
}

async function putPlain(file, size) {
  const Body = createReadStream(file, { highWaterMark: MiB })
  const params = { Bucket, Key: "p", Body, ContentLength: size }
  await new Upload({ client: plain, params, partSize: 8 * MiB, queueSize: 4 }).done()
}

async function drain(client, Key) {
  const { Body } = await client.send(new GetObjectCommand({ Bucket, Key }))
  for await (const _chunk of Body);
}

/** Operations a second of 4 KiB objects, eight in flight. */
async function small() {
  console.log("\nobjects of 4 KiB, operations a second (median; ratio to plain)")
  const count = quick ? 200 : 1000
  const client = encrypted({ bucketKey: { maxAgeSeconds: 300 } })
  const Body = Buffer.alloc(4 * KiB, 7)
  const put = (via, prefix) => () =>
    each(count, (i) => via.send(new PutObjectCommand({ Bucket, Key: `small-${prefix}/${i}`, Body })))
  const get = (via, prefix) => () =>
    each(count, async (i) => {
      const { Body: body } = await via.send(new GetObjectCommand({ Bucket, Key: `small-${prefix}/${i}` }))
      await body.transformToByteArray()
    })
  const subjects = {
    "put plain": put(plain, "p"),
    "put encrypted": put(client, "e"),
    "get plain": get(plain, "p"),
    "get encrypted": get(client, "e"),
  }
  const before = (await kms.events()).length
  const rates = await sideBySide(subjects, quick ? 3 : 7, (seconds) => count / seconds)
  printPair("4 KiB", rates, "put")
  printPair("4 KiB", rates, "get")
  console.log(`  ${(await kms.events()).length - before} calls of KMS`)
  client.close()
}

async function each(count, work) {
  let next = 0
  const worker = async () => {
    while (next < count) await work(next++)
  }
  await Promise.all(Array.from({ length: 8 }, worker))
}

/** Latency of 100 bytes in the middle of a large object, and the requests they take. */
async function range() {
  const size = quick ? 256 * MiB : GiB
  console.log(`\n100 bytes of ${size / MiB} MiB: milliseconds (median; ratio to plain), GET requests`)
  const file = makeFile(size)
  const cold = encrypted()
  const warm = encrypted({ readCache: { maxAgeSeconds: 300 } })
  await putPlain(file, size)
  await cold.send(
    new PutObjectCommand({
      Bucket,
      Key: "e",
      Body: createReadStream(file, { highWaterMark: MiB }),
      ContentLength: size,
    }),
  )
  const read = async (client, Key) => {
    const start = 1000 + Math.floor(Math.random() * (size - 5000))
    const { Body } = await client.send(new GetObjectCommand({ Bucket, Key, Range: `bytes=${start}-${start + 99}` }))
    if ((await Body.transformToByteArray()).length !== 100) throw new Error("not 100 bytes")
  }
  const subjects = { plain: [plain, "p"], cold: [cold, "e"], warm: [warm, "e"] }
  await read(warm, "e")
  const times = { plain: [], cold: [], warm: [] }
  const requests = { plain: 0, cold: 0, warm: 0 }
  const rounds = quick ? 50 : 300
  for (let round = 0; round < rounds; round++) {
    for (const [name, [client, key]] of Object.entries(subjects)) {
      gets = 0
      const start = performance.now()
      await read(client, key)
      times[name].push(performance.now() - start)
      requests[name] = Math.max(requests[name], gets)
    }
  }
  for (const name of Object.keys(subjects)) {
    const ratio = median(times[name]) / median(times.plain)
    console.log(
      `  ${name.padEnd(6)} ${median(times[name]).toFixed(2).padStart(8)}  ${ratio.toFixed(2)}  ${requests[name]} GET`,
    )
  }
  cold.close()
  warm.close()
  rmSync(file)
}

/** Every round runs each subject in turn, so that a machine that slows down slows all of them. */
async function sideBySide(subjects, rounds, rate) {
  const rates = Object.fromEntries(Object.keys(subjects).map((name) => [name, []]))
  // Once without counting: connections, code and caches are warm then.
  for (const work of Object.values(subjects)) await work()
  for (let round = 0; round < rounds; round++) {
    for (const [name, work] of Object.entries(subjects)) {
      const start = performance.now()
      await work()
      rates[name].push(rate((performance.now() - start) / 1000))
    }
  }
  return rates
}

function printPair(label, rates, operation) {
  const [theirs, ours] = [median(rates[`${operation} plain`]), median(rates[`${operation} encrypted`])]
  const figures = `plain ${theirs.toFixed(0).padStart(6)}  encrypted ${ours.toFixed(0).padStart(6)}`
  console.log(`  ${operation} ${label.padEnd(9)} ${figures}  ${(ours / theirs).toFixed(2)}`)
}

function makeFile(size) {
  const path = join(folder, "source")
  const chunk = Buffer.alloc(MiB)
  for (let i = 0; i < chunk.length; i++) chunk[i] = (i * 31) & 0xff
  const file = openSync(path, "w")
  for (let at = 0; at < size; at += chunk.length) writeSync(file, chunk)
  closeSync(file)
  return path
}

async function startServer() {
  const probe = createServer().listen(0, "127.0.0.1")
  await once(probe, "listening")
  const { port } = probe.address()
  probe.close()
  await once(probe, "close")
  mkdirSync(join(folder, "data"))
  const { accessKeyId, secretAccessKey } = credentials
  const server = spawn(
    SERVER,
    [
      "--access",
      accessKeyId,
      "--secret",
      secretAccessKey,
      "--port",
      `127.0.0.1:${port}`,
      "--quiet",
      "posix",
      join(folder, "data"),
    ],
    { stdio: "ignore" },
  )
  const address = `http://127.0.0.1:${port}`
  for (let attempt = 0; ; attempt++) {
    try {
      await fetch(address)
      return { endpoint: address, child: server }
    } catch (error) {
      if (attempt === 100) throw error
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
  }
}
