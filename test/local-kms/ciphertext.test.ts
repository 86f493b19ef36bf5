import { createDecipheriv, createHash, createHmac } from "node:crypto"
import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { blobMaterialId, decryptBlob, encryptBlob, keyMaterialId } from "../../src/local-kms/ciphertext.ts"
import { isLocalCiphertext } from "../../src/local-kms/index.ts"
import { bytes, createKey, flipBit, memoryKms } from "./helpers.ts"

const material = bytes(32, 9)
const materialId = keyMaterialId("1234abcd-12ab-34cd-56ef-1234567890ab", material)
const context = fc.dictionary(fc.string({ unit: "grapheme", maxLength: 12 }), fc.string({ unit: "grapheme" }), {
  maxKeys: 6,
})
const plaintext = fc.uint8Array({ minLength: 1, maxLength: 300 })
/** The same pairs in another order of insertion. */
const reversed = (pairs: Record<string, string>): Record<string, string> =>
  Object.fromEntries(Object.entries(pairs).reverse())

describe("a ciphertext blob", () => {
  test("KMS-1.1: takes 152 bytes more than its plaintext and names its material", () => {
    fc.assert(
      fc.property(plaintext, context, (text, pairs) => {
        const blob = encryptBlob(material, materialId, text, pairs)
        expect(blob).toHaveLength(text.length + 152)
        expect(blobMaterialId(blob)).toBe(materialId)
        expect(Buffer.from(blob).toString("base64")).toMatch(/^LOCALKMS/)
      }),
    )
  })

  test("KMS-1.3: opens under the same context, in whatever order its pairs come", () => {
    fc.assert(
      fc.property(plaintext, context, (text, pairs) => {
        const blob = encryptBlob(material, materialId, text, pairs)
        expect(decryptBlob(material, blob, reversed(pairs))).toEqual(text)
      }),
    )
  })

  test("KMS-1.3: does not open under any other context", () => {
    fc.assert(
      fc.property(plaintext, context, context, (text, pairs, others) => {
        const sorted = (of: Record<string, string>): string => JSON.stringify(Object.entries(of).sort())
        fc.pre(sorted(pairs) !== sorted(others))
        const blob = encryptBlob(material, materialId, text, pairs)
        expect(decryptBlob(material, blob, others)).toBeUndefined()
      }),
    )
  })

  test.each([
    [{ a: "bc" }, { ab: "c" }],
    [{ a: "b", c: "d" }, { a: "bcd" }],
    [{ a: "" }, {}],
    [{ "": "" }, {}],
    [{ a: "b", c: "" }, { a: "b" }],
  ])("KMS-1.3: under %j does not open under %j", (pairs: Record<string, string>, others: Record<string, string>) => {
    const blob = encryptBlob(material, materialId, bytes(4), pairs)
    expect(decryptBlob(material, blob, others)).toBeUndefined()
    expect(decryptBlob(material, blob, pairs)).toEqual(bytes(4))
  })

  test("KMS-1.2: never repeats nonce or IV, and equal plaintexts look different", () => {
    const seen = new Set<string>()
    for (let i = 0; i < 500; i++) {
      const blob = encryptBlob(material, materialId, bytes(16), {})
      seen.add(Buffer.from(blob.subarray(39, 67)).toString("hex"))
      seen.add(Buffer.from(blob.subarray(136)).toString("hex"))
    }
    expect(seen.size).toBe(1000)
  })

  test("KMS-1.4: every single changed bit makes it unreadable", () => {
    const blob = encryptBlob(material, materialId, bytes(5), { a: "b" })
    for (let bit = 0; bit < blob.length * 8; bit++) {
      const changed = flipBit(blob, bit)
      const opened = blobMaterialId(changed) === materialId ? decryptBlob(material, changed, { a: "b" }) : undefined
      expect(opened, `bit ${bit}`).toBeUndefined()
    }
  })

  test("KMS-1.5: whatever bytes come in, reading them gives an id or nothing", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 6144 }), fc.nat(200), (garbage, cut) => {
        const blob = encryptBlob(material, materialId, bytes(5), {})
        expect(blobMaterialId(garbage)).toBeUndefined()
        expect(blobMaterialId(blob.subarray(0, Math.min(cut, 152)))).toBeUndefined()
        blob.set(garbage.subarray(0, blob.length - 7), 7)
        const id = blobMaterialId(blob)
        if (id !== undefined) expect(id).toMatch(/^[0-9a-f]{64}$/)
      }),
    )
  })

  test("fuzz: a mutated blob is refused by Decrypt, and with one of three errors", async () => {
    const { send } = memoryKms()
    const { keyId } = await createKey(send)
    const { CiphertextBlob } = await send("Encrypt", { KeyId: keyId, Plaintext: bytes(32) })
    const mutation = fc.oneof(
      fc.record({ kind: fc.constant("flip" as const), at: fc.nat(184 * 8 - 1) }),
      fc.record({ kind: fc.constant("cut" as const), at: fc.nat(183) }),
      fc.record({ kind: fc.constant("append" as const), at: fc.integer({ min: 1, max: 100 }) }),
      fc.record({ kind: fc.constant("zero" as const), at: fc.nat(183) }),
    )
    const mutate = (blob: Uint8Array, { kind, at }: { kind: string; at: number }): Uint8Array => {
      if (kind === "flip") return flipBit(blob, at % (blob.length * 8))
      if (kind === "cut") return blob.slice(0, Math.max(1, at % blob.length))
      if (kind === "append") return Uint8Array.from([...blob, ...bytes(at)])
      return blob.map((byte, index) => (index === at ? 0 : byte))
    }
    await fc.assert(
      fc.asyncProperty(fc.array(mutation, { minLength: 1, maxLength: 4 }), async (mutations) => {
        const changed = mutations.reduce(mutate, Uint8Array.from(CiphertextBlob))
        fc.pre(Buffer.compare(changed, CiphertextBlob) !== 0)
        const error = await send("Decrypt", { CiphertextBlob: changed }).catch((reason: Error) => reason)
        expect(error).toBeInstanceOf(Error)
        expect(["InvalidCiphertextException", "AccessDeniedException"]).toContain(error.name)
      }),
      { numRuns: 400 },
    )
  })
})

test("KMS-2.1: a material's id depends on the key's id and on the material", () => {
  expect(materialId).toMatch(/^[0-9a-f]{64}$/)
  expect(keyMaterialId("other", material)).not.toBe(materialId)
  expect(keyMaterialId("1234abcd-12ab-34cd-56ef-1234567890ab", bytes(32, 8))).not.toBe(materialId)
})

test("a blob of ours is told from one of AWS by its first bytes", () => {
  const blob = encryptBlob(material, materialId, bytes(5), {})
  expect(isLocalCiphertext(blob)).toBe(true)
  expect(isLocalCiphertext(Buffer.from("AQICAHhExample0000000000", "base64"))).toBe(false)
  expect(isLocalCiphertext(new Uint8Array(0))).toBe(false)
})

/** The specification read a second time, independently of the code: docs/spec/local-kms.md sections 1 and 2. */
function readBySpecification(material: Buffer, keyId: string, blob: Buffer, pairs: Record<string, string>): Buffer {
  const u32 = (value: number): Buffer => Buffer.from([value >>> 24, value >>> 16, value >>> 8, value])
  const text = (value: string): Buffer => Buffer.concat([u32(Buffer.byteLength(value)), Buffer.from(value)])
  const label = Buffer.from("kms-envelope local-kms key material id")
  const id = createHash("sha256")
    .update(Buffer.concat([label, text(keyId), material]))
    .digest()
  expect(blob.subarray(0, 7).toString("hex")).toBe("2ce0802ca31201")
  expect(blob.subarray(7, 39)).toEqual(id)
  expect(blob.subarray(67, 136)).toEqual(Buffer.alloc(69))
  const kdfInput = [u32(1), Buffer.from("kms-envelope local-kms message key\0"), blob.subarray(39, 55), u32(256)]
  const key = createHmac("sha256", material).update(Buffer.concat(kdfInput)).digest()
  const names = Object.keys(pairs).sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
  const context = names.flatMap((name) => [text(name), text(pairs[name]!)])
  const decipher = createDecipheriv("aes-256-gcm", key, blob.subarray(55, 67))
  decipher.setAAD(Buffer.concat([blob.subarray(0, 136), ...context]))
  decipher.setAuthTag(blob.subarray(blob.length - 16))
  return Buffer.concat([decipher.update(blob.subarray(136, blob.length - 16)), decipher.final()])
}

describe("a blob written by version 1", () => {
  const keyId = "1234abcd-12ab-34cd-56ef-1234567890ab"
  const material = Buffer.from(Array.from({ length: 32 }, (_, i) => i))
  // The last two names stand in the other order by UTF-16 code units.
  const pairs = { ключ: "значение", tenant: "42", "\u00e9": "", "\u{1d11e}": "clef", "\uffff": "last" }
  const blob = Buffer.from(
    "LOCALKMSAcTO7Ww95ITTHwql8g3sJV+JDLoEI41yKroecg0HNN//GrguTa3sbgl6eIcoz2VmT+Bs5mAU75aX58nKVgAAAAAAAAAAAAAAAAAA" +
      "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAL2gmg2yRvrLOK1MxQigxaiV6ehgreHNhjyE" +
      "Zzo53Q==",
    "base64",
  )

  test("is read by the code and by the specification", () => {
    const expected = Buffer.from("attack at dawn")
    expect(blobMaterialId(blob)).toBe(keyMaterialId(keyId, material))
    expect(Buffer.from(decryptBlob(material, blob, pairs)!)).toEqual(expected)
    expect(readBySpecification(material, keyId, blob, pairs)).toEqual(expected)
  })

  test("a new blob is read by the specification", () => {
    fc.assert(
      fc.property(plaintext, context, (text, pairs) => {
        const fresh = encryptBlob(material, keyMaterialId(keyId, material), text, pairs)
        expect(readBySpecification(material, keyId, Buffer.from(fresh), pairs)).toEqual(Buffer.from(text))
      }),
    )
  })
})
