import { describe, expect, it } from "vitest"
import type { BytesLike } from "../../src/core/index.ts"
import { decrypt, decryptStream, encrypt, encryptStream, inspect, openMessage } from "../../src/index.ts"
import { errorOf } from "../support/errors.ts"
import { aesKeyring } from "../support/keys.ts"
import { through } from "../support/streams.ts"

const keyring = aesKeyring()
const text = "Grüße, 鍵 🔑"
const bytes = new TextEncoder().encode(text)
const padded = new Uint8Array([9, 9, 9, ...bytes, 9])
const inputs: [string, BytesLike][] = [
  ["a string", text],
  ["a Uint8Array", bytes],
  ["a view into a larger buffer", padded.subarray(3, -1)],
  ["a Buffer", Buffer.from(text)],
  ["an ArrayBuffer", bytes.slice().buffer],
  ["a DataView", new DataView(padded.buffer, 3, bytes.length)],
]

describe("Plaintexts", () => {
  it.each(inputs)("may be %s", async (_, input) => {
    const { plaintext, text: decode } = await decrypt(await encrypt(input, { keyring }), { keyring })
    expect(Buffer.from(plaintext).equals(bytes)).toBe(true)
    expect(decode.call({ plaintext })).toBe(text)
  })

  it.each(inputs.slice(0, 4))("may be written to a stream as %s", async (_, input) => {
    const message = await through(encryptStream({ keyring }), [input as Uint8Array])
    expect((await decrypt(message, { keyring })).text()).toBe(text)
  })

  it("may be a typed array of wider elements", async () => {
    const wide = Uint32Array.of(1, 2, 3)
    const { plaintext } = await decrypt(await encrypt(wide, { keyring }), { keyring })
    expect(Buffer.from(plaintext).equals(new Uint8Array(wide.buffer))).toBe(true)
  })

  it.each([[undefined], [null], [7], [{}], [[1, 2]], [true]])("may not be %j", async (input) => {
    expect(await errorOf(() => encrypt(input as never, { keyring }))).toBeInstanceOf(TypeError)
    expect(await errorOf(() => decrypt(input as never, { keyring }))).toBeInstanceOf(TypeError)
    expect(await errorOf(() => inspect(input as never))).toBeInstanceOf(TypeError)
  })

  it("that are not UTF-8 are bytes, but no text()", async () => {
    const result = await decrypt(await encrypt(Uint8Array.of(0xff, 0xfe), { keyring }), { keyring })
    expect([...result.plaintext]).toEqual([0xff, 0xfe])
    expect(() => result.text()).toThrow(TypeError)
  })

  it("keep a byte order mark in text()", async () => {
    expect((await decrypt(await encrypt("\ufefftext", { keyring }), { keyring })).text()).toBe("\ufefftext")
  })
})

describe("Messages", () => {
  it.each([
    ["a Buffer", (m: Uint8Array) => Buffer.from(m)],
    ["an ArrayBuffer", (m: Uint8Array) => m.slice().buffer as ArrayBuffer],
    ["a DataView", (m: Uint8Array) => new DataView(m.slice().buffer)],
    ["a view into a larger buffer", (m: Uint8Array) => new Uint8Array([1, 2, ...m, 3]).subarray(2, -1)],
  ] as const)("may be %s", async (_, convert) => {
    const message = await encrypt(text, { keyring, signed: true })
    expect((await decrypt(convert(message), { keyring })).text()).toBe(text)
    expect(inspect(convert(message)).suiteId).toBe(0x0578)
  })

  it("may not be a string, base64 or not", async () => {
    const message = await encrypt(text, { keyring })
    const error = await errorOf(() => decrypt(Buffer.from(message).toString("base64") as never, { keyring }))
    expect(error).toBeInstanceOf(TypeError)
    expect(error.message).toMatch(/base64/)
  })

  it("of base64 bytes are refused with a hint", async () => {
    const message = Buffer.from(Buffer.from(await encrypt(text, { keyring })).toString("base64"))
    expect(await errorOf(() => decrypt(message, { keyring }))).toMatchObject({ code: "UnsupportedFormat" })
    expect((await errorOf(() => decrypt(message, { keyring }))).message).toMatch(/base64/)
  })
})

describe("Options", () => {
  it.each([
    ["no keyring", { keyring: undefined }],
    ["a keyring that is none", { keyring: {} }],
    ["a frame length of 0", { keyring, frameLength: 0 }],
    ["a frame length of 2^32", { keyring, frameLength: 2 ** 32 }],
    ["a fraction as frame length", { keyring, frameLength: 1.5 }],
    ["an unknown policy", { keyring, commitmentPolicy: "none" }],
    ["an unknown suite", { keyring, suiteId: 1 }],
    ["signed against the suite", { keyring, suiteId: 0x0478, signed: true }],
    ["unsigned against the suite", { keyring, suiteId: 0x0578, signed: false }],
    ["a reserved context key", { keyring, encryptionContext: { "aws-crypto-x": "" } }],
    ["a number in the context", { keyring, encryptionContext: { x: 1 } }],
    ["a required key that the context lacks", { keyring, requiredContextKeys: ["x"] }],
    ["a negative limit", { keyring, maxWrappedKeys: -1 }],
  ])("that name %s are the caller's mistake", async (_, options) => {
    for (const call of [() => encrypt("x", options as never), () => encryptStream(options as never)]) {
      const error = await errorOf(call)
      expect(error instanceof TypeError || error instanceof RangeError, String(error)).toBe(true)
    }
  })

  it.each([
    ["no keyring", { keyring: undefined }],
    ["an unknown policy", { keyring, commitmentPolicy: "none" }],
    ["a number in the context", { keyring, encryptionContext: { x: 1 } }],
    ["half a surrogate pair in the context", { keyring, encryptionContext: { x: "\ud800" } }],
    ["a required key that the context lacks", { keyring, requiredContextKeys: ["x"] }],
    ["a negative limit", { keyring, maxHeaderLength: -1 }],
  ])("to decrypt that name %s are the caller's mistake", async (_, options) => {
    const message = await encrypt("x", { keyring })
    for (const call of [
      () => decrypt(message, options as never),
      () => decryptStream(options as never),
      () => openMessage(message, options as never),
    ]) {
      const error = await errorOf(call)
      expect(error instanceof TypeError || error instanceof RangeError, String(error)).toBe(true)
    }
  })

  it("for signed messages are one of two words", async () => {
    const message = await encrypt("x", { keyring })
    expect(() => decryptStream({ keyring, signed: "yes" as never })).toThrow(TypeError)
    expect(await errorOf(() => openMessage(message, { keyring, signed: "yes" as never }))).toBeInstanceOf(TypeError)
  })

  it("are read once: changing the context object afterwards changes nothing", async () => {
    const encryptionContext: Record<string, string> = { tenant: "1" }
    const encrypting = encryptStream({ keyring, encryptionContext })
    const decrypting = decryptStream({ keyring, encryptionContext })
    encryptionContext.tenant = "2"
    const message = await through(encrypting, [bytes])
    expect({ ...inspect(message).encryptionContext }).toEqual({ tenant: "1" })
    expect(Buffer.from(await through(decrypting, [message])).equals(bytes)).toBe(true)
  })
})
