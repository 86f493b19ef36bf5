import { describe, expect, it } from "vitest"
import { deriveMessageKeys, findSuite } from "../../src/crypto/index.ts"
import { referenceKeys } from "../reference/crypto.ts"
import { referenceSuites } from "../reference/suites.ts"
import { seeded } from "../support/random.ts"

describe("Message keys", () => {
  const random = seeded(1)

  // MSG-5.1, MSG-5.2, MSG-5.3
  it.each(referenceSuites)("of suite $id are those of OpenSSL's HKDF", (reference) => {
    const suite = findSuite(reference.id)!
    for (let i = 0; i < 20; i++) {
      const dataKey = random.bytes(suite.dataKeyLength)
      const messageId = random.bytes(suite.messageIdLength)
      const expected = referenceKeys(reference, dataKey, messageId)
      const { encryptionKey, commitment } = deriveMessageKeys(suite, dataKey, messageId)
      expect(expected.key.equals(encryptionKey)).toBe(true)
      expect(expected.commitment.equals(commitment)).toBe(true)
    }
  })

  it("are copies: overwriting them leaves the data key alone, and the other way round", () => {
    for (const { id } of referenceSuites) {
      const suite = findSuite(id)!
      const dataKey = random.bytes(suite.dataKeyLength)
      const before = dataKey.slice()
      const { encryptionKey } = deriveMessageKeys(suite, dataKey, random.bytes(suite.messageIdLength))
      encryptionKey.fill(0)
      expect(dataKey).toEqual(before)
      expect(encryptionKey.buffer.byteLength).toBe(encryptionKey.length)
    }
  })
})
