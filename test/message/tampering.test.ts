import { describe, expect, it } from "vitest"
import { decrypt, decryptStream, encrypt, inspect, openMessage } from "../../src/index.ts"
import { writeReference } from "../reference/write.ts"
import { codeOf, errorOf } from "../support/errors.ts"
import { headerOf } from "../support/header.ts"
import { AES_NAME, AES_NAMESPACE, aesKeyring, counting, pattern } from "../support/keys.ts"
import { readers } from "../support/readers.ts"
import { chunksOf, run } from "../support/streams.ts"

const keyring = aesKeyring()
const wrapUnder = [{ namespace: AES_NAMESPACE, name: AES_NAME, key: counting(32) }]
const options = { keyring, commitmentPolicy: "RequireEncryptAllowDecrypt" } as const
const samples = [
  { name: "framed", suiteId: 0x0478, frameLength: 8 },
  { name: "non-framed", suiteId: 0x0478, frameLength: 0 },
  { name: "version 1", suiteId: 0x0178, frameLength: 8 },
  { name: "signed", suiteId: 0x0578, frameLength: 8 },
  { name: "with an empty final frame", suiteId: 0x0478, frameLength: 10, emptyFinalFrame: true },
].map((sample) => ({
  name: sample.name,
  ...writeReference({ ...sample, plaintext: pattern(20), wrapUnder, context: [["a", "b"]] }),
}))

describe.each(samples)("A message ($name)", ({ bytes: message, marks, name }) => {
  // MSG-1.1, MSG-6.8
  it("cut at any byte fails and never ends cleanly", async () => {
    for (let length = 0; length < message.length; length++) {
      const cut = message.subarray(0, length)
      const code = await codeOf(() => decrypt(cut, options))
      expect(code, `${length} bytes`).toBe("TruncatedMessage")
      const stream = decryptStream({ ...options, signed: "verify-at-end" })
      const { output, error, ended } = await run(stream, chunksOf(cut, 11))
      expect(error, `${length} bytes`).toMatchObject({ code: "TruncatedMessage" })
      expect(ended).toBe(false)
      expect(Buffer.from(output).equals(pattern(20).subarray(0, output.length))).toBe(true)
      // An empty plaintext must not pass for a message that was cut to its header.
      if (length < marks[1]!) expect(output.length).toBe(0)
      await codeOf(() => openMessage(cut, options))
    }
  })

  it("with one byte changed anywhere fails in every way", async () => {
    for (let at = 0; at < message.length; at++) {
      const changed = message.slice()
      changed[at]! ^= 0x04
      await codeOf(() => decrypt(changed, options))
      const stream = decryptStream({ ...options, signed: "verify-at-end" })
      const { output, error } = await run(stream, [changed])
      expect(error, `byte ${at}`).toMatchObject({ name: "EnvelopeError" })
      expect(Buffer.from(output).equals(pattern(20).subarray(0, output.length))).toBe(true)
    }
  })

  // MSG-1.1
  it("followed by any byte fails in every way", async () => {
    for (const extra of [Uint8Array.of(0), Uint8Array.of(0xff), message, message.subarray(marks[1])]) {
      for (const reader of readers) {
        const code = await codeOf(() => reader.read(Buffer.concat([message, extra]), options))
        if (!reader.name.startsWith("at random")) expect(code, `${name}, ${reader.name}`).toBe("MalformedMessage")
      }
    }
    // In a chunk of its own, after the end.
    const stream = decryptStream({ ...options, signed: "verify-at-end" })
    const { error, ended } = await run(stream, [message, Uint8Array.of(0)])
    expect(error).toMatchObject({ code: "MalformedMessage" })
    expect(ended).toBe(false)
  })
})

describe("Errors of changed messages", () => {
  // MSG-8.2, MSG-5.4
  it("are all alike, wherever the change is", async () => {
    const message = await encrypt(pattern(40), { keyring, frameLength: 16, signed: true })
    const header = headerOf(message)
    const places = {
      commitment: header.length - 17,
      "header tag": header.length - 1,
      "iv of a frame": header.length + 5,
      ciphertext: header.length + 20,
      "tag of a frame": header.length + 47,
      signature: message.length - 1,
    }
    const errors = new Set<string>()
    for (const at of Object.values(places)) {
      const changed = message.slice()
      changed[at]! ^= 1
      const {
        name,
        message: text,
        code,
        cause,
      } = (await errorOf(() => decrypt(changed, options))) as Error & { code: string }
      errors.add(JSON.stringify([name, text, code, cause]))
    }
    expect([...errors].length).toBe(1)
    expect([...errors][0]).toMatch(/TamperedMessage/)
  })
})

describe("The header of a stream", () => {
  // MSG-8.1
  it("comes as event and promise after its tag verified", async () => {
    const message = await encrypt(pattern(40), { keyring, frameLength: 16, encryptionContext: { a: "b" } })
    const { length } = headerOf(message)
    const stream = decryptStream(options)
    const seen: unknown[] = []
    stream.on("header", (header) => seen.push(header))
    stream.write(message.subarray(0, length - 1))
    for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve))
    expect(seen).toEqual([])
    stream.write(message.subarray(length - 1, length))
    const header = await stream.header
    expect(header).toMatchObject({
      authenticated: true,
      encryptionContext: { a: "b" },
      frameLength: 16,
      suiteId: 0x0478,
    })
    expect(seen).toEqual([header])
    stream.destroy()
  })

  it("never comes when its tag, its commitment or its context is wrong", async () => {
    const message = await encrypt(pattern(40), { keyring })
    const { length } = headerOf(message)
    for (const [at, extra] of [
      [length - 1, {}],
      [length - 20, {}],
      [undefined, { encryptionContext: { x: "y" } }],
    ] as const) {
      const changed = message.slice()
      if (at !== undefined) changed[at]! ^= 1
      const stream = decryptStream({ ...options, ...extra })
      let seen = 0
      stream.on("header", () => seen++)
      const { error } = await run(stream, [changed])
      expect(await errorOf(() => stream.header)).toBe(error)
      expect(seen).toBe(0)
    }
  })

  // MSG-8.4
  it("is marked unauthenticated where inspect shows it, even of an intact message", async () => {
    const message = await encrypt("x", { keyring })
    expect(inspect(message).authenticated).toBe(false)
    expect((await decrypt(message, options)).header.authenticated).toBe(true)
    const changed = message.slice()
    changed[headerOf(message).length - 1]! ^= 1
    expect(inspect(changed).authenticated).toBe(false)
  })

  it("rejects when the stream ends or is destroyed before", async () => {
    const ended = decryptStream(options)
    const { error } = await run(ended, [])
    expect(error).toMatchObject({ code: "TruncatedMessage" })
    expect(await errorOf(() => ended.header)).toBe(error)
    const destroyed = decryptStream(options)
    destroyed.destroy()
    expect(await codeOf(() => destroyed.header)).toBe("Closed")
  })
})
