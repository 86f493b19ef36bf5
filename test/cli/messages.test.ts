import { expect, it } from "vitest"
import { type Sandbox, sandboxWithKey } from "./sandbox.ts"

const json = async (box: Sandbox, args: readonly string[]) =>
  JSON.parse((await box.ok([...args, "--json"])).stdout.toString())

it.each([0, 1, 65_535, 65_536, 65_537, 3_000_000])("carries %i bytes through pipes and files", async (length) => {
  const box = await sandboxWithKey()
  const plain = Buffer.alloc(length, "plaintext ")
  const piped = await box.ok(["encrypt"], { input: plain })
  expect((await box.ok(["decrypt", "-"], { input: piped.stdout })).stdout.equals(plain)).toBe(true)
  box.write("message", piped.stdout)
  await box.ok(["decrypt", "message", "-o", "copy"])
  expect(box.read("copy").equals(plain)).toBe(true)
})

it.each([0, 1, 2, 3, 200_000])("carries %i bytes as base64", async (length) => {
  const box = await sandboxWithKey()
  const plain = Buffer.alloc(length, "plaintext ")
  const { stdout } = await box.ok(["encrypt", "--base64"], { input: plain })
  const text = stdout.toString()
  expect(text).toMatch(/^[A-Za-z0-9+/]+={0,2}\n$/)
  const folded = text.replace(/(.{64})/g, "$1\r\n")
  expect((await box.ok(["decrypt", "--base64"], { input: folded })).stdout.equals(plain)).toBe(true)
  expect((await box.ok(["decrypt"], { input: Buffer.from(text, "base64") })).stdout.equals(plain)).toBe(true)
  box.write("text", folded)
  expect((await json(box, ["inspect", "--base64", "text"])).plaintextLength).toBe(length)
})

it("suggests --base64, or leaving it out", async () => {
  const box = await sandboxWithKey()
  const { stdout } = await box.ok(["encrypt", "--base64"], { input: "hello" })
  const without = await box.run(["decrypt"], { input: stdout })
  expect(without.code).toBe(10)
  expect(without.stderr).toContain("add --base64")
  const needless = await box.run(["decrypt", "--base64"], { input: Buffer.from(stdout.toString(), "base64") })
  expect(needless.code).toBe(10)
  expect(needless.stderr).toContain("leave out --base64")
  const cut = await box.run(["decrypt", "--base64"], { input: stdout.subarray(0, 102) })
  expect(cut.code).toBe(12)
})

it("prints what it did as JSON: beside a file, or on standard error beside the data", async () => {
  const box = await sandboxWithKey()
  box.write("plain", "hello")
  const report = await json(box, ["encrypt", "plain", "-o", "message", "-c", "tenant=42", "--frame-length", "1KiB"])
  expect(report).toEqual({
    input: "plain",
    output: "message",
    inputLength: 5,
    outputLength: box.read("message").length,
    seconds: expect.any(Number),
    header: {
      authenticated: true,
      formatVersion: 2,
      suite: "0x0478",
      signed: false,
      committed: true,
      messageId: expect.stringMatching(/^[0-9a-f]{64}$/),
      encryptionContext: { tenant: "42" },
      wrappedKeys: [{ providerId: "aws-kms", keyArn: box.keyArn, wrappedBy: "local", length: 184 }],
      contentType: "framed",
      frameLength: 1024,
      headerLength: 378,
    },
  })
  const piped = await box.ok(["decrypt", "message", "--json"])
  expect(piped.stdout.toString()).toBe("hello")
  expect(JSON.parse(piped.stderr)).toMatchObject({ input: "message", output: "standard output", outputLength: 5 })
})

it("inspects as JSON what anybody could have written", async () => {
  const box = await sandboxWithKey()
  box.write("message", (await box.ok(["encrypt", "-c", "tenant=42"], { input: "hello" })).stdout)
  const fromFile = await json(box, ["inspect", "message"])
  expect(fromFile).toMatchObject({ authenticated: false, encryptionContext: { tenant: "42" }, plaintextLength: 5 })
  const piped = await box.ok(["inspect", "--json"], { input: box.read("message") })
  expect(JSON.parse(piped.stdout.toString())).toEqual(fromFile)
})

it("reports failures as JSON when asked for JSON", async () => {
  const box = await sandboxWithKey()
  const message = (await box.ok(["encrypt"], { input: "hello" })).stdout
  const { code, stderr } = await box.run(["decrypt", "--json", "-c", "tenant=42"], { input: message })
  expect(code).toBe(13)
  expect(JSON.parse(stderr)).toEqual({
    error: {
      code: "ContextMismatch",
      message: expect.stringContaining("tenant"),
      hint: "envelope inspect shows the pairs the message has",
      exitCode: 13,
    },
  })
})

it("asks for a pair that the message does not store", async () => {
  const box = await sandboxWithKey()
  const message = (await box.ok(["encrypt", "--required-context", "tenant=42"], { input: "hello" })).stdout
  const decrypt = (...args: string[]) => box.run(["decrypt", ...args], { input: message })
  expect((await decrypt("--required-context", "tenant=42")).stdout.toString()).toBe("hello")
  expect((await decrypt("--context", "tenant=42")).code).toBe(13)
  const wrong = await decrypt("--required-context", "tenant=43")
  expect(wrong.code).toBe(21)
  expect(wrong.stderr).toContain("InvalidCiphertextException")
  expect(wrong.stderr).toContain("--required-context is missing or differs")
})

it("wraps under several keys, any of which decrypts", async () => {
  const box = await sandboxWithKey()
  const other = (await box.ok(["key", "create", "-q"])).stdout.toString().trim()
  const id = other.slice(other.indexOf("/") + 1)
  const message = (await box.ok(["encrypt", "-k", "alias/default", "-k", id], { input: "hello" })).stdout
  await box.ok(["key", "disable", "alias/default"])
  expect((await box.ok(["decrypt"], { input: message })).stdout.toString()).toBe("hello")
  expect((await box.ok(["decrypt", "--key", id], { input: message })).stdout.toString()).toBe("hello")
  expect((await box.run(["decrypt", "--key", box.keyArn], { input: message })).code).toBe(21)
})

it("decrypts only with the key that --key names", async () => {
  const box = await sandboxWithKey()
  await box.ok(["key", "create", "-q", "--alias", "other"])
  const message = (await box.ok(["encrypt"], { input: "hello" })).stdout
  expect((await box.ok(["decrypt", "-k", "alias/default"], { input: message })).stdout.toString()).toBe("hello")
  const refused = await box.run(["decrypt", "-k", "alias/other"], { input: message })
  expect(refused.code).toBe(20)
  expect(refused.stderr).toContain("envelope inspect shows which keys the message needs")
})

it("takes the key from ENVELOPE_KEY, else from alias/default, else says how to make one", async () => {
  const box = await sandboxWithKey()
  await box.ok(["key", "create", "-q", "--alias", "other"])
  const arnOf = async (env: Record<string, string>) => {
    const message = (await box.ok(["encrypt"], { input: "hello", env })).stdout
    return JSON.parse((await box.ok(["inspect", "--json"], { input: message })).stdout.toString()).wrappedKeys[0].keyArn
  }
  expect(await arnOf({})).toBe(box.keyArn)
  expect(await arnOf({ ENVELOPE_KEY: "alias/other" })).not.toBe(box.keyArn)
  await box.ok(["alias", "delete", "default"])
  const none = await box.run(["encrypt"], { input: "hello" })
  expect(none.code).toBe(2)
  expect(none.stderr).toContain("envelope key create --alias default")
})

it("lets a signed message into a file, and into a pipe only when that is accepted", async () => {
  const box = await sandboxWithKey()
  box.write("message", (await box.ok(["encrypt", "--signed"], { input: "hello" })).stdout)
  const refused = await box.run(["decrypt", "message"])
  expect(refused.code).toBe(14)
  expect(refused.stdout.length).toBe(0)
  expect((await box.ok(["decrypt", "message", "--verify-at-end"])).stdout.toString()).toBe("hello")
  await box.ok(["decrypt", "message", "-o", "plain"])
  expect(box.read("plain").toString()).toBe("hello")

  const forged = box.read("message")
  forged[forged.length - 1]! ^= 1
  box.write("forged", forged)
  expect((await box.run(["decrypt", "forged", "-o", "other"])).code).toBe(11)
  expect(box.files().sort()).toEqual(["forged", "message", "plain"])
})

it("follows the commitment policy both ways", async () => {
  const box = await sandboxWithKey()
  const forbid = ["--commitment-policy", "forbid-encrypt-allow-decrypt"]
  const message = (await box.ok(["encrypt", ...forbid], { input: "hello" })).stdout
  expect((await box.run(["decrypt"], { input: message })).code).toBe(14)
  const allow = ["--commitment-policy", "require-encrypt-allow-decrypt"]
  expect((await box.ok(["decrypt", ...allow], { input: message })).stdout.toString()).toBe("hello")
})

it("raises a limit that an error names", async () => {
  const box = await sandboxWithKey()
  const pair = `long=${"x".repeat(5000)}`
  const message = (await box.ok(["encrypt", "-c", pair], { input: "hello" })).stdout
  const limited = await box.run(["decrypt", "--limit", "maxContextLength=4KiB"], { input: message })
  expect(limited.code).toBe(15)
  expect(limited.stderr).toContain("maxContextLength")
  const generous = ["--limit", "maxContextLength=6000"]
  expect((await box.ok(["decrypt", ...generous], { input: message })).stdout.toString()).toBe("hello")
})

it("refuses what is no message at once", async () => {
  const box = await sandboxWithKey()
  expect((await box.run(["decrypt"], { input: "" })).code).toBe(12)
  expect((await box.run(["inspect"], { input: Buffer.alloc(5_000_000) })).code).toBe(10)
  expect((await box.run(["decrypt"], { input: "%PDF-1.7 and so on" })).code).toBe(10)
  // A header of version 2 that promises 65,535 wrapped keys.
  const header = Buffer.concat([Buffer.from("020478", "hex"), Buffer.alloc(32), Buffer.from("0000ffff", "hex")])
  expect((await box.run(["decrypt"], { input: Buffer.concat([header, Buffer.alloc(4_000_000, 1)]) })).code).toBe(15)
})

it("shows a hostile header without letting it reach the terminal", async () => {
  const box = await sandboxWithKey()
  const message = (await box.ok(["encrypt", "-c", "a=\u001b[31mred\u202e"], { input: "hello" })).stdout
  const { stdout } = await box.ok(["inspect"], { input: message })
  expect(stdout.toString()).toContain("  a = \\u001b[31mred\\u202e\n")
})
