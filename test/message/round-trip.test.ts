import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { decrypt, encrypt, encryptStream, encryptTransform } from "../../src/index.ts"
import { referenceSuites } from "../reference/suites.ts"
import { aesKeyring, pattern } from "../support/keys.ts"
import { readers } from "../support/readers.ts"
import { run, through } from "../support/streams.ts"

const keyring = aesKeyring()
const readOptions = { keyring, commitmentPolicy: "RequireEncryptAllowDecrypt" } as const
const suite = fc.constantFrom(...referenceSuites).map(({ id, version }) => ({
  suiteId: id,
  commitmentPolicy: version === 1 ? ("ForbidEncryptAllowDecrypt" as const) : ("RequireEncryptRequireDecrypt" as const),
}))

describe("A message", () => {
  it("comes back as it went in, whatever its suite, frame length and chunks", async () => {
    await fc.assert(
      fc.asyncProperty(
        suite,
        fc.integer({ min: 1, max: 60 }),
        fc.array(fc.uint8Array({ maxLength: 70 }), { maxLength: 6 }),
        fc.array(fc.integer({ min: 1, max: 90 }), { minLength: 1, maxLength: 5 }),
        fc.dictionary(fc.string({ unit: "grapheme", maxLength: 5 }), fc.string({ maxLength: 5 }), { maxKeys: 4 }),
        fc.constantFrom(...readers),
        async (write, frameLength, chunks, cuts, encryptionContext, reader) => {
          const plaintext = Buffer.concat(chunks)
          const options = { keyring, ...write, frameLength, encryptionContext }
          const streamed = await through(encryptStream(options), chunks)
          const whole = await encrypt(plaintext, options)
          // Both write the same layout: only ids, keys and tags differ, and the length of a signature.
          if (![0x0214, 0x0346, 0x0378, 0x0578].includes(write.suiteId)) expect(streamed.length).toBe(whole.length)
          for (const message of [streamed, whole]) {
            const read = await reader.read(message, { ...readOptions, encryptionContext })
            expect(Buffer.from(read).equals(plaintext)).toBe(true)
          }
          const pieces: Uint8Array[] = []
          for (let at = 0, i = 0; at < plaintext.length; at += cuts[i++ % cuts.length]!) {
            pieces.push(plaintext.subarray(at, at + cuts[i % cuts.length]!))
          }
        },
      ),
      { numRuns: 150 },
    )
  })

  it.each([0, 1, 15, 16, 17, 31, 32, 33, 48, 64])(
    "of %i bytes in frames of 16 ends with one final frame",
    async (length) => {
      const message = await encrypt(pattern(length), { keyring, frameLength: 16 })
      for (const reader of readers) {
        expect(Buffer.from(await reader.read(message, readOptions)).equals(pattern(length)), reader.name).toBe(true)
      }
    },
  )

  it("of several megabytes in default frames comes back in every way", async () => {
    const plaintext = pattern(3 * 1024 * 1024 + 17)
    const message = await encrypt(plaintext, { keyring })
    for (const reader of readers.filter(({ name }) => !/byte by byte|Web/.test(name))) {
      expect(Buffer.from(await reader.read(message, readOptions)).equals(plaintext), reader.name).toBe(true)
    }
    const streamed = await through(encryptStream({ keyring, plaintextLength: plaintext.length }), [plaintext])
    expect(Buffer.from((await decrypt(streamed, readOptions)).plaintext).equals(plaintext)).toBe(true)
  })

  it("of more than 32 MiB, which is written and read in runs, comes back", async () => {
    const plaintext = new Uint8Array(33 * 1024 * 1024 + 5)
    for (let i = 0; i < plaintext.length; i += 997) plaintext[i] = i % 251
    const message = await encrypt(plaintext, { keyring, frameLength: 100_000 })
    expect(Buffer.compare((await decrypt(message, readOptions)).plaintext, plaintext)).toBe(0)
    const streamed = await run(encryptStream({ keyring, frameLength: 100_000 }), [plaintext])
    expect(Buffer.compare((await decrypt(streamed.output, readOptions)).plaintext, plaintext)).toBe(0)
  })

  // MSG-2.2
  it("differs every time, in message id and in everything after it", async () => {
    const [a, b] = [await encrypt("x", { keyring }), await encrypt("x", { keyring })]
    expect(Buffer.from(a.subarray(3, 35)).equals(b.subarray(3, 35))).toBe(false)
    expect(Buffer.from(a.subarray(-17)).equals(b.subarray(-17))).toBe(false)
  })

  it("passes through Web streams", async () => {
    const plaintext = pattern(1000)
    const source = new Blob([plaintext as Uint8Array<ArrayBuffer>]).stream() as unknown as ReadableStream<Uint8Array>
    const transform = encryptTransform({ keyring, frameLength: 64, signed: true })
    const message = new Uint8Array(await new Response(source.pipeThrough(transform)).arrayBuffer())
    expect((await transform.header).suiteId).toBe(0x0578)
    expect(Buffer.from((await decrypt(message, readOptions)).plaintext).equals(plaintext)).toBe(true)
  })
})
