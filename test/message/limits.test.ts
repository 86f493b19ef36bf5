import { describe, expect, it } from "vitest"
import type { Keyring } from "../../src/core/index.ts"
import {
  decrypt,
  decryptStream,
  encrypt,
  encryptStream,
  inspect,
  openMessage,
  type RandomAccessSource,
} from "../../src/index.ts"
import { multiKeyring } from "../../src/keyrings/index.ts"
import { writeReference } from "../reference/write.ts"
import { codeOf } from "../support/errors.ts"
import { headerOf } from "../support/header.ts"
import { AES_NAME, AES_NAMESPACE, aesKeyring, counting, pattern } from "../support/keys.ts"
import { readers } from "../support/readers.ts"
import { run, through } from "../support/streams.ts"

const keyring = aesKeyring()
const wrapUnder = [{ namespace: AES_NAMESPACE, name: AES_NAME, key: counting(32) }]
const times = (count: number): Keyring =>
  count === 1
    ? keyring
    : multiKeyring({ generator: keyring, children: Array.from({ length: count - 1 }, () => keyring) })
const contextOf = (length: number) => ({ k: "x".repeat(length - 7) })

describe("Limits of what is written", () => {
  it("are 16 wrapped keys by default, and an option", async () => {
    expect(inspect(await encrypt("x", { keyring: times(16) })).wrappedKeys.length).toBe(16)
    expect(await codeOf(() => encrypt("x", { keyring: times(17) }))).toBe("LimitExceeded")
    expect(await codeOf(() => through(encryptStream({ keyring: times(17) }), []))).toBe("LimitExceeded")
    expect(await codeOf(() => encrypt("x", { keyring: times(2), maxWrappedKeys: 1 }))).toBe("LimitExceeded")
    const many = await encrypt("x", { keyring: times(17), maxWrappedKeys: 17 })
    expect((await decrypt(many, { keyring, maxWrappedKeys: 17 })).text()).toBe("x")
  })

  it("are 8 KiB of context by default, and an option", async () => {
    const write = (length: number, options = {}) =>
      encrypt("x", { keyring, encryptionContext: contextOf(length), ...options })
    expect((await decrypt(await write(8192), { keyring })).text()).toBe("x")
    expect(await codeOf(() => write(8193))).toBe("LimitExceeded")
    expect(
      (await decrypt(await write(8193, { maxContextLength: 8193 }), { keyring, maxContextLength: 8193 })).text(),
    ).toBe("x")
    expect(await codeOf(() => write(20, { maxContextLength: 19 }))).toBe("LimitExceeded")
  })

  it("count the public key, so that every message that is written can be read", async () => {
    for (const suiteId of [0x0578, 0x0378, 0x0346, 0x0214]) {
      const commitmentPolicy = suiteId < 0x0400 ? "ForbidEncryptAllowDecrypt" : "RequireEncryptAllowDecrypt"
      const most = 8192 - (4 + 21 + (suiteId === 0x0214 ? 44 : 68))
      const write = (length: number) =>
        encrypt("x", { keyring, suiteId, commitmentPolicy, encryptionContext: contextOf(length) })
      const message = await write(most)
      expect(headerOf(message).contextBytes.length).toBe(8192)
      expect((await decrypt(message, { keyring, commitmentPolicy })).text()).toBe("x")
      expect(await codeOf(() => write(most + 1))).toBe("LimitExceeded")
    }
  })

  it("are as many bytes in memory as the option says", async () => {
    const options = { keyring, maxMessageLength: 100 }
    expect((await decrypt(await encrypt(pattern(100), options), { keyring })).plaintext.length).toBe(100)
    expect(await codeOf(() => encrypt(pattern(101), options))).toBe("LimitExceeded")
  })

  it("are 65,535 bytes for each field of a wrapped key", async () => {
    const wide = (length: number): Keyring => ({
      ...keyring,
      wrap: (request) => {
        const { dataKey } = keyring.wrap(request) as { dataKey: Uint8Array }
        return {
          dataKey,
          wrappedKeys: [{ providerId: "p", providerInfo: new Uint8Array(0), ciphertext: new Uint8Array(length) }],
        }
      },
    })
    expect(inspect(await encrypt("x", { keyring: wide(0xffff) })).wrappedKeys[0]!.ciphertext.length).toBe(0xffff)
    expect(await codeOf(() => encrypt("x", { keyring: wide(0x10000) }))).toBe("LimitExceeded")
  })
})

describe("Limits of what is read", () => {
  it.each([
    ["maxWrappedKeys", 2, () => encrypt("x", { keyring: times(2) })],
    ["maxContextLength", 20, () => encrypt("x", { keyring, encryptionContext: contextOf(20) })],
    ["maxFrameLength", 4096, () => encrypt("x", { keyring, frameLength: 4096 })],
  ] as const)("%s holds in every way of reading, at the limit and one below", async (option, size, write) => {
    const message = await write()
    for (const reader of readers) {
      const read = (limit: number) => reader.read(message, { keyring, [option]: limit })
      expect(Buffer.from(await read(size)).toString(), reader.name).toBe("x")
      expect(await codeOf(() => read(size - 1)), reader.name).toBe("LimitExceeded")
    }
    inspect(message, { [option]: size })
    expect(await codeOf(() => inspect(message, { [option]: size - 1 }))).toBe("LimitExceeded")
  })

  it("maxHeaderLength holds in every way of reading", async () => {
    const message = await encrypt("x", { keyring, encryptionContext: contextOf(500) })
    const { length } = headerOf(message)
    for (const reader of readers) {
      expect(Buffer.from(await reader.read(message, { keyring, maxHeaderLength: length })).toString()).toBe("x")
      const code = await codeOf(() => reader.read(message, { keyring, maxHeaderLength: length - 1 }))
      expect(code, reader.name).toBe("LimitExceeded")
    }
  })

  it("maxMessageLength bounds the message in memory, and a range", async () => {
    const message = await encrypt(pattern(100), { keyring, frameLength: 16 })
    const read = (maxMessageLength: number) => decrypt(message, { keyring, maxMessageLength })
    expect((await read(message.length)).plaintext.length).toBe(100)
    expect(await codeOf(() => read(message.length - 1))).toBe("LimitExceeded")
    await using handle = await openMessage(message, { keyring, maxMessageLength: 50 })
    expect((await handle.read(10, 60)).length).toBe(50)
    expect(await codeOf(() => handle.read(10, 61))).toBe("LimitExceeded")
  })

  // MSG-9.1, MSG-9.2
  it("stand before allocation: lengths that lie about what follows cost nothing", async () => {
    // 2^36 - 32 bytes are claimed, a hundred are there; then 64 MiB frames, one of which is claimed.
    const message = writeReference({ suiteId: 0x0478, frameLength: 0, plaintext: pattern(100), wrapUnder }).bytes
    const { length } = headerOf(message)
    const lying = message.slice()
    Buffer.from(lying.buffer).writeBigUInt64BE(2n ** 36n - 32n, length + 12)
    const framed = writeReference({
      suiteId: 0x0478,
      frameLength: 64 * 1024 * 1024,
      plaintext: pattern(100),
      wrapUnder,
    }).bytes
    const lyingFramed = framed.slice()
    Buffer.from(lyingFramed.buffer).writeUInt32BE(64 * 1024 * 1024, headerOf(framed).length + 20)
    const before = process.memoryUsage().arrayBuffers
    expect(await codeOf(() => decrypt(lying, { keyring }))).toBe("TruncatedMessage")
    expect(await codeOf(() => decrypt(lyingFramed, { keyring }))).toBe("TruncatedMessage")
    expect(await codeOf(() => through(decryptStream({ keyring }), [lying]))).toBe("LimitExceeded")
    expect(await codeOf(() => through(decryptStream({ keyring }), [lyingFramed]))).toBe("TruncatedMessage")
    expect(await codeOf(() => openMessage(lying, { keyring }))).toBe("LimitExceeded")
    expect(await codeOf(() => openMessage(lyingFramed, { keyring }))).toBe("TruncatedMessage")
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(32 * 1024 * 1024)
    // Above the format's own bound it is no message at all.
    Buffer.from(lying.buffer).writeBigUInt64BE(2n ** 36n - 31n, length + 12)
    expect(await codeOf(() => decrypt(lying, { keyring }))).toBe("MalformedMessage")
    Buffer.from(lying.buffer).writeBigUInt64BE(2n ** 64n - 1n, length + 12)
    expect(await codeOf(() => decrypt(lying, { keyring }))).toBe("MalformedMessage")
  })
})

describe("maxUnauthenticatedBytes", () => {
  const nonFramed = writeReference({ suiteId: 0x0478, frameLength: 0, plaintext: pattern(100), wrapUnder }).bytes
  const bounded = readers.filter(({ name }) => name !== "whole")

  it("bounds a non-framed message in streams and range reads, not in memory", async () => {
    for (const reader of bounded) {
      const read = (limit: number) => reader.read(nonFramed, { keyring, maxUnauthenticatedBytes: limit })
      expect((await read(100)).length, reader.name).toBe(100)
      expect(await codeOf(() => read(99)), reader.name).toBe("LimitExceeded")
    }
    expect((await decrypt(nonFramed, { keyring, maxUnauthenticatedBytes: 0 })).plaintext.length).toBe(100)
  })

  it("bounds the frames of a message", async () => {
    const message = await encrypt(pattern(250), { keyring, frameLength: 100 })
    for (const reader of bounded) {
      const read = (limit: number) => reader.read(message, { keyring, maxUnauthenticatedBytes: limit })
      expect((await read(100)).length, reader.name).toBe(250)
      expect(await codeOf(() => read(99)), reader.name).toBe("LimitExceeded")
    }
  })

  it("refuses a giant frame as soon as its head is there", async () => {
    const message = await encrypt(pattern(100_000), { keyring, frameLength: 60_000 })
    const { length } = headerOf(message)
    const stream = decryptStream({ keyring, maxUnauthenticatedBytes: 59_999 })
    const { output, error } = await run(stream, [message.subarray(0, length + 30)])
    expect(error).toMatchObject({ code: "LimitExceeded" })
    expect(output.length).toBe(0)
  })

  it("lets a small message through whatever its frame length claims", async () => {
    const message = await encrypt(pattern(10), { keyring, frameLength: 2 ** 32 - 1 })
    const options = { keyring, maxFrameLength: 2 ** 32 - 1 }
    expect((await decrypt(message, options)).plaintext.length).toBe(10)
    expect((await through(decryptStream(options), [message])).length).toBe(10)
    await using handle = await openMessage(message, options)
    expect(handle.plaintextLength).toBe(10)
  })

  it("bounds by default at 64 MiB, which a source that claims more is refused for at its head", async () => {
    const reads: [number, number][] = []
    const header = headerOf(nonFramed)
    const head = nonFramed.slice(0, header.length + 20)
    const size = header.length + 20 + 64 * 1024 * 1024 + 1 + 16
    Buffer.from(head.buffer).writeBigUInt64BE(BigInt(64 * 1024 * 1024 + 1), header.length + 12)
    const source: RandomAccessSource = {
      size,
      read(offset, length) {
        reads.push([offset, length])
        if (length > 10_000) throw new Error("must not be read")
        const bytes = new Uint8Array(length)
        bytes.set(head.subarray(offset, offset + length))
        return bytes
      },
    }
    expect(await codeOf(() => openMessage(source, { keyring }))).toBe("LimitExceeded")
    expect(reads.length).toBeGreaterThan(0)
  })
})
