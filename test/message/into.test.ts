import { randomFillSync } from "node:crypto"
import { describe, expect, it } from "vitest"
import { decrypt, decryptInto, encrypt, encryptInto, rawAesKeyring } from "../../src/index.ts"

const keyring = rawAesKeyring({ keyNamespace: "into", keyName: "key", wrappingKey: new Uint8Array(32).fill(4) })
const MiB = 1024 * 1024
const bytes = (length: number) => randomFillSync(new Uint8Array(length))

describe("encryptInto and decryptInto", () => {
  it.each([0, 1, 4096, MiB, MiB + 1, 5 * MiB])("write %i bytes to memory that is used again", async (length) => {
    const sealed = new Uint8Array(length + 8192)
    const opened = new Uint8Array(length + 10)
    for (const signed of [false, true]) {
      const plaintext = bytes(length)
      const message = await encryptInto(plaintext, sealed, { keyring, signed })
      expect(message.buffer).toBe(sealed.buffer)
      expect(Buffer.compare((await decrypt(message, { keyring })).plaintext, plaintext)).toBe(0)
      const result = await decryptInto(message, opened, { keyring })
      expect(result.plaintext.buffer).toBe(opened.buffer)
      expect(Buffer.compare(result.plaintext, plaintext)).toBe(0)
    }
  })

  it("need a target that is long enough, to the byte", async () => {
    const plaintext = bytes(100)
    const { length } = await encrypt(plaintext, { keyring })
    await expect(encryptInto(plaintext, new Uint8Array(length - 1), { keyring })).rejects.toThrow(RangeError)
    const message = await encryptInto(plaintext, new Uint8Array(length), { keyring })
    await expect(decryptInto(message, new Uint8Array(99), { keyring })).rejects.toThrow(RangeError)
    expect((await decryptInto(message, new Uint8Array(100), { keyring })).plaintext).toEqual(plaintext)
  })

  it("refuse a target that overlaps what they read", async () => {
    const memory = new Uint8Array(4096)
    const overlapping = encryptInto(memory.subarray(0, 100), memory.subarray(99), { keyring })
    await expect(overlapping).rejects.toThrow("must not overlap")
    const message = await encryptInto(memory.subarray(0, 100), memory.subarray(100), { keyring })
    await expect(decryptInto(message, memory, { keyring })).rejects.toThrow("must not overlap")
  })

  it.each([
    [4096, 256],
    [3 * MiB, 64 * 1024],
    [3 * MiB, 256 * 1024],
  ])("leave zeros when a late frame of %i bytes of plaintext is bad", async (length, frameLength) => {
    const message = await encrypt(bytes(length), { keyring, frameLength })
    message[message.length - 1]! ^= 1
    const target = new Uint8Array(length).fill(1)
    await expect(decryptInto(message, target, { keyring })).rejects.toMatchObject({ code: "TamperedMessage" })
    expect(target.every((byte) => byte === 0)).toBe(true)
  })
})

describe("large messages in memory", () => {
  it.each([4096, 100_000, 128 * 1024, 256 * 1024, MiB])(
    "let others run, with frames of %i bytes",
    async (frameLength) => {
      const plaintext = bytes(24 * MiB + 3)
      let turns = 0
      let running = true
      const turn = () => {
        turns++
        if (running) setImmediate(turn)
      }
      turn()
      for (const signed of [false, true]) {
        turns = 0
        const message = await encrypt(plaintext, { keyring, frameLength, signed })
        expect(turns).toBeGreaterThan(5)
        turns = 0
        const { plaintext: opened } = await decrypt(message, { keyring })
        expect(turns).toBeGreaterThan(5)
        expect(Buffer.compare(opened, plaintext)).toBe(0)
      }
      running = false
    },
  )

  it("stop on an abort", async () => {
    const plaintext = bytes(24 * MiB)
    const message = await encrypt(plaintext, { keyring })
    for (const frameLength of [4096, 256 * 1024]) {
      const signal = AbortSignal.timeout(1)
      await expect(encrypt(plaintext, { keyring, frameLength, signal })).rejects.toMatchObject({ name: "TimeoutError" })
    }
    await expect(decrypt(message, { keyring, signal: AbortSignal.timeout(1) })).rejects.toMatchObject({
      name: "TimeoutError",
    })
  })
})
