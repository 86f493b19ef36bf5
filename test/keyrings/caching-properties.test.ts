import fc from "fast-check"
import { expect, test } from "vitest"
import type { EncryptionContext, EncryptionMaterials } from "../../src/core/index.ts"
import { decryptionId, encryptionId } from "../../src/keyrings/cache-ids.ts"
import { cachingKeyring } from "../../src/keyrings/index.ts"
import { countingKeyring, decryptionRequest, encryptionRequest } from "./cache-support.ts"
import { isZero } from "./requests.ts"

/** Short texts of few letters, so that lookalikes turn up. */
const text = fc.string({ unit: fc.constantFrom("a", "1", ":", "é", " "), maxLength: 4 })
const context = fc.dictionary(text, text, { maxKeys: 3 }) as fc.Arbitrary<EncryptionContext>
const bytes = fc.uint8Array({ maxLength: 4 })
const wrappedKeys = fc.array(fc.record({ providerId: text, providerInfo: bytes, ciphertext: bytes }), {
  minLength: 1,
  maxLength: 3,
})
const canonical = (pairs: EncryptionContext) => JSON.stringify(Object.entries(pairs).sort())

test("ids for encrypting are equal for equal partitions and contexts only", () => {
  fc.assert(
    fc.property(text, context, text, context, (p1, c1, p2, c2) => {
      const id = (partition: string, encryptionContext: EncryptionContext) =>
        encryptionId(partition, encryptionRequest({ encryptionContext }))
      const same = p1 === p2 && canonical(c1) === canonical(c2)
      expect(id(p1, c1) === id(p2, c2)).toBe(same)
      expect(id(p1, Object.fromEntries(Object.entries(c1).reverse()))).toBe(id(p1, c1))
    }),
    { numRuns: 2000 },
  )
})

test("ids for decrypting are equal for equal partitions, contexts and wrapped keys only", () => {
  fc.assert(
    fc.property(text, context, wrappedKeys, text, context, wrappedKeys, (p1, c1, k1, p2, c2, k2) => {
      const id = (partition: string, encryptionContext: EncryptionContext, keys: typeof k1) =>
        decryptionId(partition, decryptionRequest(keys, { encryptionContext }))
      const same = p1 === p2 && canonical(c1) === canonical(c2) && JSON.stringify(k1) === JSON.stringify(k2)
      expect(id(p1, c1, k1) === id(p2, c2, k2)).toBe(same)
      expect(id(p1, c1, structuredClone(k1))).toBe(id(p1, c1, k1))
    }),
    { numRuns: 2000 },
  )
})

test("an id longer than the scratch memory is as exact as any other", () => {
  const long = (last: number) => {
    const ciphertext = new Uint8Array(100_000)
    ciphertext[99_999] = last
    return decryptionId(
      "p",
      decryptionRequest([{ providerId: "é".repeat(1000), providerInfo: ciphertext, ciphertext }]),
    )
  }
  expect(long(1)).toBe(long(1))
  expect(long(1)).not.toBe(long(2))
})

const LIMITS = { maxAgeSeconds: 10, maxMessages: 4, maxBytes: 1000, capacity: 2 }

type Step =
  | { do: "encrypt"; tenant: number; length: number | undefined }
  | { do: "release"; which: number }
  | { do: "wait"; seconds: number }
const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    fc.record({
      do: fc.constant("encrypt" as const),
      tenant: fc.nat(3),
      length: fc.oneof(fc.constantFrom(0, 1, 999, 1000, 1001, undefined), fc.nat(600)),
    }),
    fc.record({ do: fc.constant("release" as const), which: fc.nat(50) }),
    fc.record({ do: fc.constant("wait" as const), seconds: fc.nat(12) }),
  ),
  { maxLength: 60 },
)

test("whatever happens, no key exceeds a limit, no key in use is overwritten, and none is left at the end", async () => {
  await fc.assert(
    fc.asyncProperty(steps, async (script) => {
      let now = 0
      const bornAt = new Map<Uint8Array, number>()
      const inner = countingKeyring()
      const keyring = cachingKeyring(inner, { ...LIMITS, clock: () => now })
      const served = new Map<Uint8Array, { tenant: number; messages: number; bytes: number }>()
      const held: { materials: EncryptionMaterials; copy: Uint8Array }[] = []
      for (const step of script) {
        if (step.do === "wait") now += step.seconds * 1000
        else if (step.do === "release") {
          const [one] = held.length > 0 ? held.splice(step.which % held.length, 1) : []
          if (one !== undefined) expect(one.materials.dataKey).toEqual(one.copy)
          one?.materials.release()
        } else {
          const { plaintextLength: _, ...request } = encryptionRequest({
            encryptionContext: { tenant: String(step.tenant) },
          })
          const more = step.length === undefined ? {} : { plaintextLength: step.length }
          const materials = await keyring.materials!.encryption({ ...request, ...more })
          const { dataKey } = materials
          held.push({ materials, copy: new Uint8Array(dataKey) })
          expect(isZero(dataKey)).toBe(false)
          if (!bornAt.has(dataKey)) bornAt.set(dataKey, now)
          expect(now - bornAt.get(dataKey)!).toBeLessThan(LIMITS.maxAgeSeconds * 1000)
          const use = served.get(dataKey) ?? { tenant: step.tenant, messages: 0, bytes: 0 }
          served.set(dataKey, use)
          use.messages++
          use.bytes += step.length ?? 0
          expect(use.tenant).toBe(step.tenant)
          expect(use.messages).toBeLessThanOrEqual(step.length === undefined ? 1 : LIMITS.maxMessages)
          if (use.messages > 1) expect(use.bytes).toBeLessThanOrEqual(LIMITS.maxBytes)
        }
        // At most `capacity` keys are alive beside those in use.
        const inUse = new Set(held.map(({ materials }) => materials.dataKey))
        const alive = inner.dataKeys.filter((key) => !isZero(key) && !inUse.has(key))
        expect(alive.length).toBeLessThanOrEqual(LIMITS.capacity)
      }
      keyring.close()
      for (const { materials, copy } of held) {
        expect(materials.dataKey).toEqual(copy)
      }
      for (const { materials } of held) materials.release()
      expect(inner.dataKeys.every(isZero)).toBe(true)
    }),
    { numRuns: 200 },
  )
})
