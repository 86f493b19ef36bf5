/**
 * The embedded KMS beside moto's server, in one run, through the same `@aws-sdk/client-kms`: GenerateDataKey and Decrypt
 * with 1 and 16 requests in flight. `scripts/install-python.sh .cache/aws scripts/aws-requirements.txt` installs moto;
 * `--quick` takes fewer, shorter rounds.
 *
 * What nobody can pass is measured in the same rounds: the client in front of a server, and of a handler in the process,
 * that answer without doing anything, and how often this disk synchronises one page.
 */
import { spawn } from "node:child_process"
import { once } from "node:events"
import { closeSync, existsSync, fdatasyncSync, mkdtempSync, openSync, rmSync, writeFileSync, writeSync } from "node:fs"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { CreateKeyCommand, DecryptCommand, GenerateDataKeyCommand, KMSClient } from "@aws-sdk/client-kms"
import { LocalKms } from "kms-envelope/local-kms"
import { effort } from "./harness.mjs"

const MOTO = ".cache/aws/bin/moto_server"
const credentials = {
  accessKeyId: "AKIABENCHBENCHBENCH1",
  secretAccessKey: "bench-bench-bench-bench-bench-bench-bench",
}
const region = "us-east-1"
const folder = mkdtempSync(join(tmpdir(), "kms-bench-"))
const children = []
const opened = []

/** What each way in has to reach beside moto, by requests in flight. */
const ways = [
  { name: "HTTP, durable", targets: { 1: 2, 16: 4 }, open: openServer },
  {
    name: "in process, memory",
    targets: { 1: 6, 16: 6 },
    open: async () => keep(LocalKms.inMemory()).client({ region }),
  },
  {
    name: "in process, durable",
    targets: { 1: 3.5, 16: 6 },
    open: async () => keep(await LocalKms.open(join(folder, "process"))).client({ region }),
  },
]

const keep = (kms) => {
  opened.push(kms)
  return kms
}

async function openServer() {
  const seed = join(folder, "seed.json")
  const principal = "arn:aws:iam::111122223333:root"
  writeFileSync(seed, JSON.stringify({ accessKeys: [{ ...credentials, principal }] }))
  const child = spawn(
    process.execPath,
    ["dist/cli.js", "kms", "serve", "--port", "0", "--seed", seed, "--kms", `local:${join(folder, "server")}`],
    { stdio: ["ignore", "pipe", "ignore"] },
  )
  children.push(child)
  const [line] = await once(child.stdout, "data")
  return new KMSClient({ endpoint: String(line).trim(), region, credentials })
}

async function openMoto() {
  const port = await freePort()
  const child = spawn(MOTO, ["-H", "127.0.0.1", "-p", String(port)], { stdio: "ignore" })
  children.push(child)
  const client = new KMSClient({ endpoint: `http://127.0.0.1:${port}`, region, credentials })
  for (let attempt = 0; ; attempt++) {
    try {
      await client.send(new CreateKeyCommand({}))
      return client
    } catch (error) {
      if (attempt === 20) throw error
      await new Promise((resolve) => setTimeout(resolve, 500))
    }
  }
}

async function freePort() {
  const server = createServer().listen(0, "127.0.0.1")
  await once(server, "listening")
  const { port } = server.address()
  server.close()
  return port
}

/** @returns requests answered a second */
async function measure(send, inFlight, milliseconds) {
  const start = performance.now()
  const end = start + milliseconds
  let count = 0
  const worker = async () => {
    while (performance.now() < end) {
      await send()
      count++
    }
  }
  await Promise.all(Array.from({ length: inFlight }, worker))
  return (count * 1000) / (performance.now() - start)
}

const median = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]
/** Answers every request with the same data key. */
const NOTHING = {
  KeyId: `arn:aws:kms:${region}:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab`,
  CiphertextBlob: Buffer.alloc(184, 1).toString("base64"),
  Plaintext: Buffer.alloc(32, 2).toString("base64"),
  KeyMaterialId: "0".repeat(64),
  KeyMetadata: { KeyId: "1234abcd-12ab-34cd-56ef-1234567890ab", Arn: "arn" },
}
const NOTHING_TYPE = "application/x-amz-json-1.1"

/** A server in a process of its own, as those that are measured. */
async function openNothing() {
  const program = `
    const body = ${JSON.stringify(JSON.stringify(NOTHING))}
    const headers = { "Content-Type": "${NOTHING_TYPE}", "Content-Length": body.length }
    const server = require("node:http").createServer((request, response) => {
      request.resume().once("end", () => response.writeHead(200, headers).end(body))
    })
    server.listen(0, "127.0.0.1", () => console.log("http://127.0.0.1:" + server.address().port))
    server.keepAliveTimeout = 75000`
  const child = spawn(process.execPath, ["-e", program], { stdio: ["ignore", "pipe", "ignore"] })
  children.push(child)
  const [line] = await once(child.stdout, "data")
  return new KMSClient({ endpoint: String(line).trim(), region, credentials })
}

function openNothingInProcess() {
  const body = new TextEncoder().encode(JSON.stringify(NOTHING))
  const response = { statusCode: 200, headers: { "content-type": NOTHING_TYPE }, body }
  const requestHandler = { handle: async () => ({ response }), destroy() {}, metadata: { handlerProtocol: "http/1.1" } }
  const signer = { sign: async (request) => request }
  return new KMSClient({ endpoint: "https://kms.local", region, credentials, signer, requestHandler })
}

/** @returns a call that writes a page in place and synchronises it: what one commit cannot do without */
function openDisk() {
  const file = openSync(join(folder, "page"), "w")
  const page = Buffer.alloc(4096, 1)
  const write = async () => {
    writeSync(file, page, 0, page.length, 0)
    fdatasyncSync(file)
  }
  opened.push({ close: async () => closeSync(file) })
  return { GenerateDataKey: write, Decrypt: write }
}

const number = (value) => String(Math.round(value)).padStart(7)

async function prepare(client) {
  const { KeyMetadata } = await client.send(new CreateKeyCommand({}))
  const KeyId = KeyMetadata.Arn
  const EncryptionContext = { tenant: "42", purpose: "bench" }
  const generate = { KeyId, KeySpec: "AES_256", EncryptionContext }
  const { CiphertextBlob } = await client.send(new GenerateDataKeyCommand(generate))
  return {
    GenerateDataKey: () => client.send(new GenerateDataKeyCommand(generate)),
    Decrypt: () => client.send(new DecryptCommand({ CiphertextBlob, EncryptionContext })),
  }
}

async function main() {
  const hasMoto = existsSync(MOTO)
  if (!hasMoto) console.log(`moto is not installed (${MOTO}): no comparison`)
  const candidates = []
  for (const { name, targets, open } of ways) candidates.push({ name, targets, calls: await prepare(await open()) })
  candidates.push({ name: "nothing, HTTP", calls: await prepare(await openNothing()) })
  candidates.push({ name: "nothing, in process", calls: await prepare(openNothingInProcess()) })
  candidates.push({ name: "one page to disk", calls: openDisk(), lanes: 1 })
  if (hasMoto) candidates.push({ name: "moto, HTTP, memory", calls: await prepare(await openMoto()) })
  const milliseconds = effort.milliseconds * 5
  for (const operation of ["GenerateDataKey", "Decrypt"]) {
    for (const inFlight of [1, 16]) {
      const rates = candidates.map(() => [])
      const once = ({ calls, lanes = inFlight }) => measure(calls[operation], lanes, milliseconds)
      for (const candidate of candidates) await once(candidate)
      for (let round = 0; round < effort.rounds; round++)
        for (const [i, candidate] of candidates.entries()) rates[i].push(await once(candidate))
      print(operation, inFlight, candidates, rates, hasMoto)
    }
  }
}

function print(operation, inFlight, candidates, rates, hasMoto) {
  console.log(`\n${operation}, ${inFlight} in flight`)
  for (const [i, { name, targets }] of candidates.entries()) {
    const spread = `(${Math.round(Math.min(...rates[i]))} to ${Math.round(Math.max(...rates[i]))})`
    const ratio = hasMoto && name !== candidates.at(-1).name ? median(rates[i]) / median(rates.at(-1)) : undefined
    const target = targets?.[inFlight]
    const aim = target === undefined ? ", a bound" : `, to reach ${target}${ratio < target ? "  MISSED" : ""}`
    const verdict = ratio === undefined ? "" : `  ${ratio.toFixed(2)} times moto${aim}`
    console.log(`  ${name.padEnd(22)} ${number(median(rates[i]))} /s  ${spread.padEnd(16)}${verdict}`)
  }
}

try {
  await main()
} finally {
  for (const child of children) child.kill()
  for (const kms of opened) await kms.close()
  await Promise.all(children.map((child) => child.exitCode ?? once(child, "exit")))
  rmSync(folder, { recursive: true, force: true })
}
process.exit()
