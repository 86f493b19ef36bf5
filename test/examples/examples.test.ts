import { execFile } from "node:child_process"
import { existsSync, readdirSync } from "node:fs"
import { promisify } from "node:util"
import { beforeAll, describe, expect, test } from "vitest"
import { compile } from "../docs/compile.ts"
import { startS3Server } from "../support/s3-server/index.ts"

const run = promisify(execFile)

/** What each example prints, on the built package. */
const examples: Readonly<Record<string, readonly (string | RegExp)[]>> = {
  "encrypt-decrypt.mjs": [
    /^message of \d+ bytes, context \{"column":"card","tenant":"42"\}$/m,
    "decrypted: 4111 1111 1111 1111",
    "for another tenant: ContextMismatch",
  ],
  "streams.mjs": [/^authenticated header: frames of \d+ bytes$/m, "restored: the same", "half of it: TruncatedMessage"],
  "range-read.mjs": ["plaintext of 1200000 bytes", "read: line 077777", /^fetched [1-4]\d{4} of 120\d{4} bytes$/m],
  "required-context.mjs": [
    'stored: {"purpose":"payroll"}',
    'authenticated: {"purpose":"payroll","employee":"jane@example.com"}',
    "for somebody else: KmsError InvalidCiphertextException",
  ],
  "embedded-kms.mjs": [
    "decrypted: an order",
    "after disabling the key: DisabledException",
    "  GenerateDataKey\n  Decrypt\n  DisableKey\n  Decrypt DisabledException",
  ],
}

/** Run elsewhere, or nowhere. */
const others: Readonly<Record<string, string>> = {
  "mocked-kms.test.mjs": "run below, by Node's own test runner",
  "aws-kms.mjs": "needs an AWS account",
  "demo.mjs": "npm run demo",
  "s3.mjs": "run below, against the S3 server of the tests",
  "kms-seed.json": "test/local-kms/http/seed.test.ts",
  "opentelemetry.mjs": "test/telemetry",
  "vault-keyring.ts": "test/keyrings",
}

const node = async (...args: string[]): Promise<string> =>
  (await run(process.execPath, ["--no-warnings", ...args])).stdout

describe("examples/", () => {
  beforeAll(() => {
    if (!existsSync("dist/index.js")) throw new Error("dist/ is not there: npm run build")
  })

  test("every file is run or accounted for", () => {
    expect(readdirSync("examples").sort()).toEqual([...Object.keys(examples), ...Object.keys(others)].sort())
  })

  test("every file compiles against the library, JavaScript by its inferred types", () => {
    const files = readdirSync("examples").filter((name) => name !== "demo.mjs" && !name.endsWith(".json"))
    expect(
      compile(
        new Map(),
        files.map((name) => `examples/${name}`),
      ),
    ).toEqual([])
  }, 120_000)

  test.concurrent.each(Object.entries(examples))("%s does what it says", async (name, expected) => {
    const output = await node(`examples/${name}`)
    for (const part of expected) {
      if (typeof part === "string") expect(output).toContain(part)
      else expect(output).toMatch(part)
    }
  })

  test("s3.mjs writes, reads a range of, copies and refuses encrypted objects", async () => {
    await using server = await startS3Server({ buckets: ["example"] })
    const options = { env: { ...process.env, ...server.environment } }
    const { stdout } = await run(process.execPath, ["--no-warnings", "examples/s3.mjs"], options)
    const [range, head, stored, ...rest] = stdout.trimEnd().split("\n")
    expect(range).toBe("bytes 600000-600010/1200000: line 050000")
    expect(head).toBe("1200000 bytes in the format message")
    expect(stored).toMatch(/^stored: 120\d{4} bytes under bucket-key:arn:aws:kms:/)
    expect(rest).toEqual([
      "moved: ContextMismatch",
      "moved, with boundTo: 1200000 bytes",
      "CreateKey, GenerateDataKey, Decrypt",
    ])
  })

  test("mocked-kms.test.mjs passes", async () => {
    expect(await node("--test", "--test-reporter=tap", "examples/mocked-kms.test.mjs")).toMatch(/^# pass 2\n# fail 0$/m)
  })
})
