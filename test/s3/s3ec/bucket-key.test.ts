import { describe, expect, test } from "vitest"
import { openedStream, planS3ec, s3ecBucketKey } from "../../../src/s3/s3ec/index.ts"
import { recorder } from "../../keyrings/kms-world.ts"
import { codeOf } from "../../support/errors.ts"
import { pattern } from "../../support/keys.ts"
import {
  ALL,
  aesKey,
  changed,
  collect,
  envelopeOf,
  flipped,
  kmsKey,
  read,
  type StoredObject,
  streamOf,
  world,
  write,
} from "./support.ts"

const plaintext = pattern(100)
const V2 = { commitmentPolicy: "ForbidEncryptAllowDecrypt" } as const

function shared(options: Partial<Parameters<typeof s3ecBucketKey>[1]> = {}) {
  const client = recorder(world.home)
  const key = s3ecBucketKey(kmsKey(client), { maxAgeSeconds: 60, ...options })
  const count = () => client.sent.map(({ operation }) => operation)
  return { client, key, count }
}

describe("One data key for several objects", () => {
  test("CSE-10.1: many objects cost one GenerateDataKey, and reading them one Decrypt; each has its own message id", async () => {
    const writer = shared()
    const objects: StoredObject[] = []
    for (let i = 0; i < 50; i++) objects.push(await write(pattern(i), { key: writer.key }))
    expect(writer.count()).toEqual(["GenerateDataKey"])
    const distinct = (name: string) => new Set(objects.map(({ metadata }) => metadata[name])).size
    expect(["x-amz-3", "x-amz-i", "x-amz-d"].map(distinct)).toEqual([1, 50, 50])
    const reader = shared()
    for (const [i, object] of objects.entries()) {
      expect(Buffer.from(await read(object, { key: reader.key })).equals(pattern(i))).toBe(true)
    }
    expect(reader.count()).toEqual(["Decrypt"])
    // Whoever knows nothing of it reads them as well.
    expect((await read(objects[3]!, { key: kmsKey() })).length).toBe(3)
  })

  test("concurrent writers and readers share the call", async () => {
    const { key, count } = shared()
    const objects = await Promise.all(Array.from({ length: 20 }, () => write(plaintext, { key })))
    await Promise.all(objects.map((object) => read(object, { key })))
    expect(count()).toEqual(["GenerateDataKey", "Decrypt"])
  })

  test("another context has another data key", async () => {
    const { key, count } = shared()
    for (const dept of ["x", "y", "x", "y"]) {
      const call = { encryptionContext: { dept } }
      const object = await write(plaintext, { key }, call)
      expect((await read(object, { key }, call)).length).toBe(100)
      const other = { encryptionContext: { dept: "z" } }
      expect(await codeOf(() => read(object, { key }, other))).toBe("ContextMismatch")
    }
    expect(count().sort()).toEqual(["Decrypt", "Decrypt", "GenerateDataKey", "GenerateDataKey"])
  })

  test("a changed context is not served from the cache", async () => {
    const { key } = shared()
    const call = { encryptionContext: { dept: "x" } }
    const object = await write(plaintext, { key }, call)
    await read(object, { key }, call)
    const metadata = changed(object.metadata, { "x-amz-t": '{"dept":"y","aws:x-amz-cek-alg":"115"}' })
    const other = { encryptionContext: { dept: "y" } }
    expect(await codeOf(() => read({ ...object, metadata }, { key }, other))).toBe("KmsError")
  })

  test("CSE-10.1: age, number and bytes bound it", async () => {
    let now = 0
    const { key, count } = shared({ maxAgeSeconds: 10, maxMessages: 3, maxBytes: 250, clock: () => now })
    for (let i = 0; i < 4; i++) await write(pattern(10), { key })
    expect(count().length).toBe(2)
    now += 10_001
    await write(pattern(10), { key })
    expect(count().length).toBe(3)
    now += 10_001
    for (let i = 0; i < 3; i++) await write(pattern(100), { key })
    expect(count().length).toBe(5)
    expect(() => s3ecBucketKey(kmsKey(), { maxAgeSeconds: 0 })).toThrow(RangeError)
  })

  test("CSE-10.2: V2 objects never share a data key", async () => {
    const { key, count } = shared()
    const objects = [await write(plaintext, { key, ...V2 }), await write(plaintext, { key, ...V2 })]
    expect(objects[0]!.metadata["x-amz-key-v2"]).not.toBe(objects[1]!.metadata["x-amz-key-v2"])
    for (const object of objects) await read(object, { ...ALL, key })
    expect(count()).toEqual(["GenerateDataKey", "GenerateDataKey", "Decrypt", "Decrypt"])
  })

  test("CVE-2026-6550: a cache that clients of different policies share does not loosen the stricter one", async () => {
    const { key } = shared()
    const loose = { ...ALL, key }
    const object = await write(plaintext, { key, ...V2 })
    expect((await read(object, loose)).length).toBe(100)
    expect(await codeOf(() => read(object, { key }))).toBe("CommitmentPolicy")
    expect(await codeOf(() => read(object, { ...loose, commitmentPolicy: undefined as never }))).toBe(
      "CommitmentPolicy",
    )
  })

  test("a data key that the object does not commit to is not kept", async () => {
    const { key, count } = shared()
    const [a, b] = [await write(plaintext, { key: kmsKey() }), await write(plaintext, { key: kmsKey() })]
    const swapped = { ...a, metadata: changed(a.metadata, { "x-amz-3": b.metadata["x-amz-3"] }) }
    for (let i = 0; i < 2; i++) expect(await codeOf(() => read(swapped, { key }))).toBe("TamperedMessage")
    expect(count()).toEqual(["Decrypt", "Decrypt"])
    await read(b, { key })
    await read(b, { key })
    expect(count().length).toBe(3)
  })

  test("a wrong body is refused with a kept data key too, and the kept one stays good", async () => {
    const { key, count } = shared()
    const object = await write(plaintext, { key })
    await read(object, { key })
    expect(await codeOf(() => read({ ...object, body: flipped(object.body, 3) }, { key }))).toBe("TamperedMessage")
    expect((await read(object, { key })).length).toBe(100)
    expect(count()).toEqual(["GenerateDataKey", "Decrypt"])
  })

  test("streams under way go on when it is closed; later calls are Closed", async () => {
    const { key } = shared()
    const object = await write(pattern(300_000), { key })
    const stream = await openedStream(planS3ec({ key }), await envelopeOf(object), streamOf(object.body))
    key.close()
    expect((await collect(stream)).equals(pattern(300_000))).toBe(true)
    expect(await codeOf(() => write(plaintext, { key }))).toBe("Closed")
    expect(await codeOf(() => read(object, { key }))).toBe("Closed")
  })

  test("raw keys can share as well, and keys of another kind stay NoMatchingKey", async () => {
    const key = s3ecBucketKey(aesKey({ generation: "1" }), { maxAgeSeconds: 60 })
    const objects = [await write(plaintext, { key }), await write(plaintext, { key })]
    expect(objects[0]!.metadata["x-amz-3"]).toBe(objects[1]!.metadata["x-amz-3"])
    expect((await read(objects[1]!, { key: aesKey() })).length).toBe(100)
    expect(await codeOf(() => read(objects[0]!, { key: shared().key }))).toBe("NoMatchingKey")
  })
})
