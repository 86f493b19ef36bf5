import { constants, generateKeyPairSync, privateDecrypt, publicEncrypt } from "node:crypto"
import { describe, expect, it } from "vitest"
import type { EncryptionContext } from "../../src/core/index.ts"
import { type DecryptOptions, decrypt, inspect } from "../../src/index.ts"
import { type DafnyVector, dafnyVectors } from "../support/dafny-vectors.ts"
import { codeOf, errorOf } from "../support/errors.ts"
import { headerOf, reencodedHeader } from "../support/header.ts"
import { readers, streamedHeader } from "../support/readers.ts"
import { describeVectors } from "../support/vectors.ts"

/** Whether this Node decrypts RSA PKCS #1 v1.5 (20 and 22 refuse it for CVE-2023-46809). */
const readsPkcs1 = ((): boolean => {
  const { publicKey, privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 })
  const padding = constants.RSA_PKCS1_PADDING
  try {
    privateDecrypt({ key: privateKey, padding }, publicEncrypt({ key: publicKey, padding }, Buffer.from("x")))
    return true
  } catch {
    return false
  }
})()

const optionsFor = (vector: DafnyVector): DecryptOptions => ({
  keyring: vector.keyring(),
  commitmentPolicy: "RequireEncryptAllowDecrypt",
  encryptionContext: vector.reproduced,
  requiredContextKeys: vector.requiredKeys,
})

describeVectors("Published vectors with raw keys", () => {
  const all = dafnyVectors()
  const raw = all.filter(({ kind }) => kind !== "kms" && kind !== "other")
  const count = (kind: DafnyVector["kind"]) => raw.filter((vector) => vector.kind === kind).length
  const refused = (vector: DafnyVector) => vector.padding === "pkcs1" && !readsPkcs1

  it("are 187: 33 raw AES, 55 raw RSA, 44 multi, 55 with required context", () => {
    expect(raw.length).toBe(187)
    expect([count("raw-aes"), count("raw-rsa"), count("multi"), count("required-context")]).toEqual([33, 55, 44, 55])
    expect(raw.filter(({ padding }) => padding === "pkcs1").length).toBe(11)
    expect(new Set(raw.map(({ suiteId }) => suiteId)).size).toBe(11)
  })

  describe.each(raw.filter((vector) => !refused(vector)))("$description $id", (vector) => {
    const message = vector.message()

    it("decrypts every way", async () => {
      const plaintext = vector.plaintext()
      for (const reader of readers) {
        const read = await reader.read(message, optionsFor(vector))
        expect(Buffer.from(read).equals(plaintext), reader.name).toBe(true)
      }
    })

    it("shows its header alike inspected and authenticated, and re-encodes to the same bytes", async () => {
      const header = headerOf(message)
      const encoded = reencodedHeader(header)
      expect(Buffer.from(encoded).equals(message.subarray(0, header.length))).toBe(true)
      const inspected = inspect(message)
      expect(inspected.suiteId).toBe(vector.suiteId)
      const authenticated = await streamedHeader(message, optionsFor(vector))
      const { authenticated: sure, plaintextLength: _, ...claims } = inspected
      expect({ ...claims, authenticated: true }).toEqual(authenticated)
      expect(sure).toBe(false)
    })
  })

  describe.each(raw.filter(refused))("$description $id", (vector) => {
    it("fails with an error that says that this Node refuses RSA PKCS #1 v1.5", async () => {
      for (const reader of readers) {
        const error = await errorOf(() => reader.read(vector.message(), optionsFor(vector)))
        expect(error, reader.name).toMatchObject({ code: "UnwrapFailed" })
        expect(error.message, reader.name).toMatch(/refuses RSA PKCS #1 v1\.5/)
      }
    })
  })

  describe.each(raw.filter(({ kind }) => kind === "required-context"))("$description $id", (vector) => {
    const stored = (): EncryptionContext => headerOf(vector.message()).encryptionContext
    const missing = vector.requiredKeys.filter((key) => !Object.hasOwn(stored(), key))

    it("does not decrypt without a pair that it does not store, nor with another value", async () => {
      expect(missing.length).toBeGreaterThan(0)
      for (const key of missing) {
        const { [key]: value, ...rest } = vector.reproduced
        const keys = vector.requiredKeys.filter((name) => name !== key)
        const without = { ...optionsFor(vector), encryptionContext: rest, requiredContextKeys: keys }
        expect(await codeOf(() => decrypt(vector.message(), without))).toBe("UnwrapFailed")
        const wrong = { ...optionsFor(vector), encryptionContext: { ...vector.reproduced, [key]: `${value}x` } }
        expect(await codeOf(() => decrypt(vector.message(), wrong))).toBe("UnwrapFailed")
      }
    })

    it("returns the pair that it does not store among the authenticated ones", async () => {
      const { encryptionContext } = await decrypt(vector.message(), optionsFor(vector))
      expect({ ...encryptionContext }).toEqual({ ...stored(), ...vector.reproduced })
    })
  })
})
