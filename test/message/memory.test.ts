import { generateKeyPairSync, randomBytes } from "node:crypto"
import { describe, expect, it } from "vitest"
import type { Keyring } from "../../src/core/index.ts"
import { decrypt, decryptStream, encrypt, encryptStream, openMessage } from "../../src/index.ts"
import { rawAesKeyring, rawRsaKeyring } from "../../src/keyrings/index.ts"
import { aesKeyring, pattern } from "../support/keys.ts"
import { chunksOf, run, through } from "../support/streams.ts"

/**
 * Runs `work` while Node's shared pool is one large block that serves every small request, and returns that block.
 * Whatever asks for pooled memory meanwhile leaves its bytes there.
 */
async function poolDuring(work: () => Promise<void>): Promise<Buffer> {
  const { poolSize } = Buffer
  Buffer.poolSize = 8 * 1024 * 1024
  // Too large for what is left of the present pool, small enough to come from a new one.
  let pool = Buffer.allocUnsafe(3 * 1024 * 1024).buffer
  while (pool.byteLength !== Buffer.poolSize) pool = Buffer.allocUnsafe(3 * 1024 * 1024).buffer
  Buffer.poolSize = poolSize
  const whole = Buffer.from(pool)
  whole.fill(0)
  await work()
  if (Buffer.from("x").buffer !== pool) throw new Error("the pool was replaced meanwhile: make it larger")
  return whole
}

const SECRET = "the plaintext that must not be found in the pool"
const dataKeys: Buffer[] = []
/** Keeps copies, outside the pool, of the data keys that pass. */
const watched = (inner: Keyring): Keyring => {
  const note = (key: Uint8Array | undefined) => {
    if (key === undefined) return
    const copy = Buffer.alloc(key.length)
    copy.set(key)
    dataKeys.push(copy)
  }
  return {
    name: inner.name,
    async wrap(request) {
      const result = await inner.wrap(request)
      note(result.dataKey)
      return result
    },
    async unwrap(request) {
      const dataKey = await inner.unwrap(request)
      note(dataKey)
      return dataKey
    },
  }
}

describe("Node's shared buffer pool", () => {
  const wrappingKey = Buffer.alloc(32)
  wrappingKey.set(randomBytes(32))
  const pair = generateKeyPairSync("rsa", { modulusLength: 2048 })
  const keyrings = {
    "raw AES": rawAesKeyring({ keyNamespace: "pool", keyName: "aes", wrappingKey }),
    "raw RSA": rawRsaKeyring({ keyNamespace: "pool", keyName: "rsa", ...pair, padding: "oaep-sha256" }),
  }

  it("would show a plaintext that was put there", async () => {
    const pool = await poolDuring(async () => void Buffer.from(SECRET))
    expect(pool.includes(SECRET)).toBe(true)
  })

  it.each(Object.entries(keyrings))("holds no key and no plaintext after messages under %s", async (_, inner) => {
    dataKeys.length = 0
    const keyring = watched(inner)
    const plaintext = new TextEncoder().encode(SECRET)
    const results: unknown[] = []
    const pool = await poolDuring(async () => {
      for (const signed of [false, true]) {
        const message = await encrypt(SECRET, { keyring, signed })
        const result = await decrypt(message, { keyring })
        results.push(result.text(), result)
        const pieces: Uint8Array[] = []
        const encrypting = encryptStream({ keyring, signed, frameLength: 10 }).on("data", (piece) => pieces.push(piece))
        encrypting.end(plaintext)
        await new Promise((resolve) => encrypting.once("end", resolve))
        const decrypting = decryptStream({ keyring, signed: "verify-at-end" }).on("data", (piece) =>
          results.push(piece),
        )
        for (const piece of pieces) decrypting.write(piece)
        decrypting.end()
        await new Promise((resolve) => decrypting.once("end", resolve))
        const handle = await openMessage(message, { keyring, signed: "skip-signature" })
        results.push(await handle.read(0, 20))
        await handle.close()
      }
    })
    expect(dataKeys.length).toBe(10)
    for (const key of dataKeys) {
      expect(key.length).toBe(32)
      expect(pool.includes(key)).toBe(false)
    }
    expect(pool.includes(wrappingKey)).toBe(false)
    expect(pool.includes(SECRET)).toBe(false)
    expect(pool.includes(SECRET.slice(0, 10))).toBe(false)
    expect(results.length).toBeGreaterThan(0)
  })
})

describe("What is returned", () => {
  const keyring = aesKeyring()
  const owns = (bytes: Uint8Array) => bytes.byteOffset === 0 && bytes.buffer.byteLength < bytes.length + 110

  it.each([[0], [1], [100], [5000]])("owns its memory (%i bytes)", async (length) => {
    for (const signed of [false, true]) {
      const message = await encrypt(pattern(length), { keyring, signed, frameLength: 1000 })
      expect(owns(message)).toBe(true)
      const { plaintext } = await decrypt(message, { keyring })
      expect(owns(plaintext)).toBe(true)
      await using handle = await openMessage(message, { keyring, signed: "skip-signature" })
      const range = await handle.read(0, length >> 1)
      expect(range.byteOffset === 0 && range.buffer.byteLength === range.length).toBe(true)
    }
  })

  it("does not change when its sources do", async () => {
    const source = pattern(100)
    const message = await encrypt(source, { keyring })
    source.fill(0)
    const bytes = message.slice()
    const result = await decrypt(bytes, { keyring })
    bytes.fill(0)
    expect(Buffer.from(result.plaintext).equals(pattern(100))).toBe(true)
    expect(result.header.messageId.some((byte) => byte !== 0)).toBe(true)
    expect(Buffer.from((await decrypt(message, { keyring })).plaintext).equals(pattern(100))).toBe(true)
  })

  it("by a stream does not change when the chunks that were written do", async () => {
    const message = await encrypt(pattern(100), { keyring, frameLength: 16 })
    const chunks = chunksOf(message, 40).map((chunk) => chunk.slice())
    const { output } = await run(decryptStream({ keyring }), chunks)
    for (const chunk of chunks) chunk.fill(0)
    expect(Buffer.from(output).equals(pattern(100))).toBe(true)
  })

  it("leaves the arguments as they were", async () => {
    const wrappingKey = pattern(32)
    const own = rawAesKeyring({ keyNamespace: "n", keyName: "k", wrappingKey })
    const source = pattern(50)
    const message = await encrypt(source, { keyring: own })
    await through(encryptStream({ keyring: own }), [source])
    const copy = message.slice()
    await decrypt(message, { keyring: own })
    await through(decryptStream({ keyring: own }), chunksOf(message, 7))
    own.close()
    expect(Buffer.from(source).equals(pattern(50))).toBe(true)
    expect(Buffer.from(message).equals(copy)).toBe(true)
    expect(Buffer.from(wrappingKey).equals(pattern(32))).toBe(true)
  })
})
