import { expect, it } from "vitest"
import type { EncryptionContext, Keyring } from "../../src/core/index.ts"
import { deriveMessageKeys } from "../../src/crypto/index.ts"
import { decrypt } from "../../src/index.ts"
import { codeOf } from "../support/errors.ts"
import { headerOf, reencodedHeader } from "../support/header.ts"
import { readers } from "../support/readers.ts"
import { describeVectors, vectorJson } from "../support/vectors.ts"

interface KnownAnswer {
  readonly ciphertext: string
  readonly commitment: string
  readonly "content-encryption-key"?: string
  readonly "decrypted-dek": string
  readonly exception: string | null
  readonly "encryption-context": EncryptionContext
  readonly header: string
  readonly "message-id": string
  readonly "plaintext-frames": readonly string[]
  readonly status: boolean
  readonly comment: string
}

const base64 = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, "base64"))

/** These vectors bring the data key with them, so that no KMS is asked. */
const holdsDataKey = (test: KnownAnswer): Keyring => ({
  name: "known data key",
  wrap: () => {
    throw new Error("not used")
  },
  unwrap: () => base64(test["decrypted-dek"]),
})

describeVectors("Published key commitment known answers", () => {
  const { tests } = vectorJson("commitment-known-answers.json") as { tests: KnownAnswer[] }
  const positive = tests.filter((test) => test.status)
  const negative = tests.filter((test) => !test.status)

  it("are 46: 41 to decrypt and 5 to refuse", () => {
    expect([tests.length, positive.length, negative.length]).toEqual([46, 41, 5])
  })

  it.each(positive)("$comment: header, commitment and derived key are those published", (test) => {
    const header = headerOf(base64(test.ciphertext))
    expect(Buffer.from(header.messageId).toString("base64")).toBe(test["message-id"])
    expect({ ...header.encryptionContext }).toEqual(test["encryption-context"])
    expect(Buffer.from(reencodedHeader(header)).equals(base64(test.header))).toBe(true)
    expect(Buffer.from(header.suiteData).toString("base64")).toBe(test.commitment)
    const keys = deriveMessageKeys(header.suite, base64(test["decrypted-dek"]), header.messageId)
    expect(Buffer.from(keys.commitment).toString("base64")).toBe(test.commitment)
    if (test["content-encryption-key"] !== undefined) {
      expect(Buffer.from(keys.encryptionKey).toString("base64")).toBe(test["content-encryption-key"])
    }
  })

  it.each(positive)("$comment: decrypts every way", async (test) => {
    const message = base64(test.ciphertext)
    for (const reader of readers) {
      const plaintext = await reader.read(message, { keyring: holdsDataKey(test) })
      expect(Buffer.from(plaintext).toString("latin1"), reader.name).toBe(test["plaintext-frames"].join(""))
    }
    const { encryptionContext } = await decrypt(message, { keyring: holdsDataKey(test) })
    expect({ ...encryptionContext }).toEqual(test["encryption-context"])
  })

  // MSG-5.4
  it.each(negative)("$comment: is refused every way, for its commitment", async (test) => {
    expect(test.exception).toMatch(/Invalid commitment/)
    const header = headerOf(base64(test.ciphertext))
    const keys = deriveMessageKeys(header.suite, base64(test["decrypted-dek"]), header.messageId)
    expect(Buffer.from(keys.commitment).equals(header.suiteData)).toBe(false)
    for (const reader of readers) {
      const code = await codeOf(() => reader.read(base64(test.ciphertext), { keyring: holdsDataKey(test) }))
      expect(code, reader.name).toBe("TamperedMessage")
    }
  })
})
