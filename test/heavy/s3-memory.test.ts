import { execFile, spawn } from "node:child_process"
import { mkdirSync } from "node:fs"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"
import { promisify } from "node:util"
import { DeleteObjectCommand } from "@aws-sdk/client-s3"
import { build } from "esbuild"
import { afterAll, beforeAll, expect, test } from "vitest"
import { decrypt, rawAesKeyring } from "../../src/index.ts"
import { codeOf, errorOf } from "../support/errors.ts"
import { type S3Server, startS3Server } from "../support/s3-server/index.ts"

/** Of the object; `S3_GIB` sets another size. */
const SIZE = Math.round(Number(process.env.S3_GIB ?? 5) * 1024 ** 3)
const LIMIT_MIB = 300

const root = resolve(import.meta.dirname, "../..")
const library = join(root, ".cache/heavy/s3.mjs")
const script = join(import.meta.dirname, "s3-stream.mjs")

let server: S3Server
let folder: string
beforeAll(async () => {
  mkdirSync(join(root, ".cache/heavy"), { recursive: true })
  const resolveDir = root
  await build({
    stdin: { contents: 'export * from "./src/index.ts"; export * from "./src/s3/index.ts"', resolveDir, loader: "ts" },
    outfile: library,
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node20",
    external: ["@aws-sdk/*"],
    logLevel: "error",
  })
  folder = await mkdtemp(join(tmpdir(), "kms-envelope-s3-"))
  server = await startS3Server({ folder, buckets: ["heavy"] })
})
afterAll(async () => {
  await server.close()
  await rm(folder, { recursive: true })
})

async function run(mode: "put" | "get"): Promise<{ passed: number; digest: string; peakMiB: number }> {
  const options = { env: { ...process.env, ...server.environment } }
  const { stdout } = await promisify(execFile)(process.execPath, [script, library, mode, String(SIZE)], options)
  return JSON.parse(stdout)
}

test(`an object of ${SIZE} bytes streams up and down within ${LIMIT_MIB} MiB of memory`, async () => {
  const up = await run("put")
  const down = await run("get")
  expect([up.passed, down.passed]).toEqual([SIZE, SIZE])
  expect(down.digest).toBe(up.digest)
  expect(up.peakMiB).toBeLessThan(LIMIT_MIB)
  expect(down.peakMiB).toBeLessThan(LIMIT_MIB)
})

test("a process that is killed while it uploads leaves no object and no readable part", async () => {
  const keyring = rawAesKeyring({ keyNamespace: "heavy", keyName: "key", wrappingKey: new Uint8Array(32).fill(3) })
  await server.client().send(new DeleteObjectCommand({ Bucket: "heavy", Key: "object" }))
  const env = { ...process.env, ...server.environment }
  const child = spawn(process.execPath, [script, library, "put", String(SIZE)], { env, stdio: "ignore" })
  const gone = new Promise((done) => child.once("close", done))
  while (server.unfinished("heavy").length < 3) await new Promise((wait) => setTimeout(wait, 20))
  child.kill("SIGKILL")
  await gone
  expect((await errorOf(async () => server.stored("heavy", "object"))).message).toContain("does not exist")
  const parts = server.unfinished("heavy")
  expect(parts.length).toBeGreaterThanOrEqual(3)
  for (const part of parts) {
    const bytes = new Uint8Array(await part.bytes())
    expect(await codeOf(() => decrypt(bytes, { keyring }))).toMatch(
      /TruncatedMessage|UnsupportedFormat|MalformedMessage/,
    )
  }
})
