// The main job from end to end, on this machine alone: npm run demo
import { strict as assert } from "node:assert"
import { spawnSync } from "node:child_process"
import { createHash, randomFillSync } from "node:crypto"
import {
  closeSync,
  createReadStream,
  existsSync,
  mkdtempSync,
  openSync,
  readSync,
  rmSync,
  statSync,
  writeSync,
} from "node:fs"
import { createRequire } from "node:module"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { pipeline } from "node:stream/promises"
import { decrypt, encrypt, inspect, kmsKeyring } from "kms-envelope"
import { LocalKms } from "kms-envelope/local-kms"

const MIB = 1024 * 1024
const FILE_LENGTH = 128 * MIB

const packageFile = createRequire(import.meta.url).resolve("kms-envelope/package.json")
const command = join(dirname(packageFile), "dist", "cli.js")
const folder = mkdtempSync(join(tmpdir(), "kms-envelope-demo-"))
process.on("exit", () => rmSync(folder, { recursive: true, force: true }))
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => process.exit(1))
const inFolder = (name) => join(folder, name)

const isColoured = process.stdout.isTTY && !process.env.NO_COLOR
const paint = (code) => (text) => (isColoured ? `\u001b[${code}m${text}\u001b[0m` : text)
const [bold, dim, green, cyan] = [1, 2, 32, 36].map(paint)
const say = (text = "") => process.stdout.write(`${text}\n`)
let chapters = 0
const chapter = (title) => say(`\n${bold(`${++chapters}. ${title}`)}\n`)
const number = (value) => value.toLocaleString("en-US")

say(bold("Envelope encryption, with a KMS that runs on this machine"))
say(dim(`everything happens in ${folder}, which is removed at the end`))

chapter("A key, in a KMS of your own")
envelope(["key", "create", "--alias", "demo", "--description", "demo of kms-envelope"])

chapter("A file")
const before = await makeFile(inFolder("photos.tar"), FILE_LENGTH)
say(`photos.tar, ${number(FILE_LENGTH)} bytes`)
say(`SHA-256 ${before}`)

chapter("Encrypt it: the KMS makes a data key, the data never leaves")
timed(["encrypt", "photos.tar", "-o", "photos.tar.enc", "--key", "alias/demo", "--context", "tenant=42"])

chapter("What the file says about itself, to anybody")
envelope(["inspect", "photos.tar.enc"])

chapter("Decrypt it")
timed(["decrypt", "photos.tar.enc", "-o", "copy.tar", "--context", "tenant=42"])
const after = await sha256(inFolder("copy.tar"))
assert.equal(after, before)
say(`SHA-256 ${after}`)
say(green("the same, to the last byte"))
rmSync(inFolder("copy.tar"))

chapter("What is refused")
say(`One bit of ${number(statSync(inFolder("photos.tar.enc")).size * 8)} is flipped, near the end:`)
flipBit("photos.tar.enc", 100 * MIB)
envelope(["decrypt", "photos.tar.enc", "-o", "wrong.tar"], 11)
assert.equal(existsSync(inFolder("wrong.tar")), false)
say(green("and there is no wrong.tar, not even the authentic part of it"))
flipBit("photos.tar.enc", 100 * MIB)
say("\nThe bit is back, but somebody takes the file for another tenant's:")
envelope(["decrypt", "photos.tar.enc", "-o", "wrong.tar", "--context", "tenant=43"], 13)
say(dim("nobody had to ask the KMS for that"))
say("\nThe key is disabled:")
envelope(["key", "disable", "alias/demo"])
envelope(["decrypt", "photos.tar.enc", "-o", "wrong.tar"], 21)
envelope(["key", "enable", "alias/demo", "--quiet"])

chapter("The same from code")
await usingTheLibrary()

chapter("The audit trail: every request, the refused ones too")
const usage = await showAuditTrail()

chapter("What it cost")
showCost(usage)
say()

// --- how it is done ---

/** Runs the command as a person would, on the embedded KMS in the demo's folder. */
function envelope(args, expectedExitCode = 0) {
  say(cyan(`$ envelope ${args.map((arg) => (/\s/.test(arg) ? `"${arg}"` : arg)).join(" ")}`))
  const { status, signal } = spawnSync(process.execPath, [command, ...args], {
    cwd: folder,
    stdio: ["ignore", "inherit", "inherit"],
    env: { ...process.env, ENVELOPE_KMS: `local:${inFolder("kms")}` },
  })
  if (signal !== null) process.exit(1)
  if (status !== 0) say(dim(`exit code ${status}`))
  if (status !== expectedExitCode) throw new Error(`envelope ${args[0]} ended with ${status}, not ${expectedExitCode}`)
}

function timed(args) {
  const start = performance.now()
  envelope(args)
  const seconds = (performance.now() - start) / 1000
  say(dim(`${seconds.toFixed(2)} s, start-up of the command and writing to the disk included`))
}

/** Writes random bytes: nothing can compress or cache them away. @returns their digest */
async function makeFile(path, length) {
  const hash = createHash("sha256")
  const block = Buffer.alloc(8 * MIB)
  const file = openSync(path, "wx")
  for (let written = 0; written < length; written += block.length) {
    hash.update(randomFillSync(block))
    writeSync(file, block)
  }
  closeSync(file)
  return hash.digest("hex")
}

async function sha256(path) {
  const hash = createHash("sha256")
  await pipeline(createReadStream(path, { highWaterMark: MIB }), hash)
  return hash.digest("hex")
}

function flipBit(name, position) {
  const file = openSync(inFolder(name), "r+")
  const byte = Buffer.alloc(1)
  readSync(file, byte, 0, 1, position)
  byte[0] ^= 1
  writeSync(file, byte, 0, 1, position)
  closeSync(file)
}

async function usingTheLibrary() {
  const kms = await LocalKms.open(inFolder("kms"))
  try {
    // What the SDK has to say about old versions of Node does not belong here.
    process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED = "true"
    const client = kms.client() // a real KMSClient of the AWS SDK; with AWS: new KMSClient()
    const generatorKeyId = await keyArn(client)
    const keyring = kmsKeyring({ client, generatorKeyId })
    const message = await encrypt("4111 1111 1111 1111", { keyring, encryptionContext: { tenant: "42" } })
    const decrypted = await decrypt(message, { keyring, encryptionContext: { tenant: "42" } })
    assert.equal(decrypted.text(), "4111 1111 1111 1111")
    const { wrappedKeys } = inspect(message)
    say(`const keyring = kmsKeyring({ client, generatorKeyId: "${generatorKeyId}" })`)
    say('const message = await encrypt("4111 1111 1111 1111", { keyring, encryptionContext: { tenant: "42" } })')
    say(dim(`// ${message.length} bytes, data key wrapped by ${wrappedKeys[0].keyArn.split(":key/")[1]}`))
    say('const decrypted = await decrypt(message, { keyring, encryptionContext: { tenant: "42" } })')
    say("decrypted.text()")
    say(dim(`// ${decrypted.text()}`))
  } finally {
    await kms.close()
  }
}

async function keyArn(client) {
  const { DescribeKeyCommand } = await import("@aws-sdk/client-kms")
  return (await client.send(new DescribeKeyCommand({ KeyId: "alias/demo" }))).KeyMetadata.Arn
}

async function showAuditTrail() {
  const kms = await LocalKms.open(inFolder("kms"))
  try {
    for (const { eventTime, eventName, errorCode, requestParameters } of await kms.events()) {
      const context = Object.entries(requestParameters?.encryptionContext ?? {}).map((pair) => pair.join("="))
      const line = [eventTime.slice(11, 19), eventName.padEnd(16), (errorCode ?? "allowed").padEnd(18), ...context]
      say(line.join("  ").trimEnd())
    }
    return await kms.usage()
  } finally {
    await kms.close()
  }
}

function showCost({ requests, byOperation }) {
  const counts = Object.entries(byOperation).map(([operation, count]) => `${operation} ${count}`)
  say(`${requests} requests: ${counts.join(", ")}`)
  say("This KMS is free. AWS takes 1 USD a month for a key, and 0.03 USD for 10,000 requests after 20,000 free ones:")
  say(`  ${requests} requests x 0.000003 USD = ${(requests * 0.000003).toFixed(6)} USD`)
  const direct = FILE_LENGTH / 4096
  const price = (direct * 0.000003).toFixed(2)
  say("Were the file encrypted by KMS itself, which takes 4,096 bytes at a time:")
  say(`  ${number(direct)} requests x 0.000003 USD = ${price} USD, and every byte over the network`)
}
