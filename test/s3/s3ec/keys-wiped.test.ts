import type * as Crypto from "node:crypto"
import { beforeEach, describe, expect, test, vi } from "vitest"
import {
  newInstructionFile,
  objectSealer,
  openedStream,
  openObject,
  openRange,
  planS3ec,
  type S3ecKey,
  type S3ecOptions,
  sealedStream,
  sealObject,
} from "../../../src/s3/s3ec/index.ts"
import { codeOf, errorOf } from "../../support/errors.ts"
import { counting, pattern } from "../../support/keys.ts"
import { writeReferenceObject } from "./reference.ts"
import {
  ALL,
  aesKey,
  changed,
  collect,
  envelopeOf,
  flipped,
  kmsKey,
  pair,
  rsaKey,
  type StoredObject,
  streamOf,
  WRAPPING_KEY,
  world,
} from "./support.ts"

const { digests, cipherKeys, blocks, isWrappingKey } = vi.hoisted(() => ({
  /** Every HMAC output: pseudorandom keys, commitments before they are cut, encryption keys. */
  digests: [] as Uint8Array[],
  /** Every key handed to a cipher, apart from wrapping keys. */
  cipherKeys: new Set<Uint8Array>(),
  /** What RSA decrypted. */
  blocks: [] as Uint8Array[],
  /** WRAPPING_KEY, told without it, as the embedded KMS has ciphers before it is there; or a key object of its own. */
  isWrappingKey: (key: Uint8Array): boolean =>
    !(key instanceof Uint8Array) || (key.length === 32 && key.every((byte, i) => byte === i + 1)),
}))

vi.mock("node:crypto", async (importOriginal) => {
  const original = await importOriginal<typeof Crypto>()
  const watched =
    <A extends unknown[], R>(create: (algorithm: string, key: Uint8Array, ...rest: A) => R) =>
    (algorithm: string, key: Uint8Array, ...rest: A): R => {
      if (!isWrappingKey(key)) cipherKeys.add(key)
      return create(algorithm, key, ...rest)
    }
  return {
    ...original,
    createCipheriv: watched(original.createCipheriv as never),
    createDecipheriv: watched(original.createDecipheriv as never),
    privateDecrypt: (...args: Parameters<typeof original.privateDecrypt>) => {
      const block = original.privateDecrypt(...args)
      blocks.push(block)
      return block
    },
    createHmac: (hash: string, key: Uint8Array) => {
      const hmac = original.createHmac(hash, key)
      const digest = hmac.digest.bind(hmac)
      return Object.assign(hmac, {
        digest: (encoding?: "hex") => {
          if (encoding !== undefined) return digest(encoding)
          const output = digest()
          // Of the embedded KMS, which derives keys with SHA-256, nothing counts here.
          if (hash === "sha512") digests.push(output)
          return output
        },
      })
    },
  }
})

const isZero = (bytes: Uint8Array): boolean => bytes.every((byte) => byte === 0)

/** Data keys handed out, by reference. */
const dataKeys: Uint8Array[] = []
const watch = (key: S3ecKey): S3ecKey => ({
  ...key,
  async wrap(request) {
    const result = await key.wrap(request)
    dataKeys.push(result.dataKey)
    return result
  },
  async unwrap(request) {
    const dataKey = await key.unwrap(request)
    if (dataKey !== undefined) dataKeys.push(dataKey)
    return dataKey
  },
})

const reset = () => {
  for (const list of [digests, blocks, dataKeys]) list.length = 0
  cipherKeys.clear()
}
beforeEach(reset)

function expectWiped(what: string): void {
  expect(dataKeys.length, `${what}: data keys seen`).toBeGreaterThan(0)
  for (const [name, list] of Object.entries({ dataKeys, digests, blocks, cipherKeys: [...cipherKeys] })) {
    expect(list.filter((bytes) => !isZero(bytes)).length, `${what}: ${name} not overwritten`).toBe(0)
  }
}

const plaintext = pattern(2000)
const V2 = { commitmentPolicy: "ForbidEncryptAllowDecrypt" } as const
// Raw keys only: the embedded KMS in this process has keys of its own, which live on.
const makers = [() => aesKey(), () => rsaKey()]
const cases: [string, S3ecOptions][] = makers.flatMap((make, i): [string, S3ecOptions][] => [
  [`V3 under ${["AES", "RSA"][i]}`, { key: watch(make()), instructionFile: true }],
  [`V2 under ${["AES", "RSA"][i]}`, { key: watch(make()), instructionFile: true, ...V2 }],
])

describe.each(cases)("Key buffers of %s are overwritten", (_what, options) => {
  const plan = planS3ec({ ...options })
  const reading = planS3ec({ ...options, ...ALL })
  const opening = async (object: StoredObject) => openObject(reading, await envelopeOf(object), object.body)

  test("by sealing and opening in memory", async () => {
    const object = await sealObject(plan, plaintext)
    expectWiped("sealObject")
    reset()
    await opening(object)
    expectWiped("openObject")
  })

  test("by every way of opening when body, commitment or IV are wrong", async () => {
    const object = await sealObject(plan, plaintext)
    const name = "x-amz-d" in object.metadata ? "x-amz-d" : undefined
    const bad: StoredObject[] = [
      { ...object, body: flipped(object.body, 0) },
      { ...object, body: flipped(object.body, -1) },
      { ...object, body: object.body.subarray(0, 100) },
    ]
    if (name !== undefined) {
      const value = Buffer.from(flipped(Buffer.from(object.metadata[name]!, "base64"), 0)).toString("base64")
      bad.push({ ...object, metadata: changed(object.metadata, { [name]: value }) })
    }
    for (const each of bad) {
      reset()
      expect(await codeOf(() => opening(each))).toBe("TamperedMessage")
      expectWiped("openObject")
      reset()
      const envelope = await envelopeOf(each)
      await errorOf(async () => collect(await openedStream(reading, envelope, streamOf(each.body))))
      expectWiped("openedStream")
    }
  })

  test("by streams as soon as they begin, so at any end", async () => {
    const sealer = await objectSealer(plan)
    expectWiped("objectSealer")
    const body = await collect(sealedStream(sealer, streamOf(plaintext)))
    const object = { metadata: sealer.metadata, instructionFile: sealer.instructionFile!, body }
    reset()
    const stream = await openedStream(reading, await envelopeOf(object), streamOf(body))
    expectWiped("openedStream")
    stream.destroy()
  })

  test("by parts and by a new instruction file, done or refused", async () => {
    const object = await sealObject(plan, plaintext)
    const envelope = await envelopeOf(object)
    reset()
    await openRange(reading, envelope, { start: 0, end: 16 }, object.body.subarray(0, 16))
    expectWiped("openRange")
    for (const enforceRotation of [false, true]) {
      for (const wrappingKey of [counting(32, 90), WRAPPING_KEY]) {
        reset()
        const newKey = watch(aesKey({ generation: "2" }, wrappingKey))
        await newInstructionFile(plan, envelope, { newKey, enforceRotation }).catch(() => {})
        cipherKeys.forEach((key) => {
          if (Buffer.from(key).equals(counting(32, 90))) cipherKeys.delete(key)
        })
        expectWiped("newInstructionFile")
      }
    }
  })

  test("by an abort between the data key and the object", async () => {
    const object = await sealObject(plan, plaintext)
    const envelope = await envelopeOf(object)
    const works: [string, (using: typeof plan, signal: AbortSignal) => Promise<unknown>][] = [
      ["objectSealer", (using, signal) => objectSealer(using, { signal })],
      ["openObject", (using, signal) => openObject(using, envelope, object.body, { signal })],
      ["openRange", (using, signal) => openRange(using, envelope, { start: 0, end: 0 }, new Uint8Array(0), { signal })],
    ]
    for (const [name, work] of works) {
      reset()
      const controller = new AbortController()
      const afterwards = <T>(result: T): T => {
        controller.abort()
        return result
      }
      const key: S3ecKey = {
        ...options.key,
        wrap: async (request) => afterwards(await options.key.wrap(request)),
        unwrap: async (request) => afterwards(await options.key.unwrap(request)),
      }
      const using = planS3ec({ ...options, ...(name !== "objectSealer" && ALL), key })
      expect(await errorOf(() => work(using, controller.signal)), name).toBe(controller.signal.reason)
      expectWiped(name)
    }
  })
})

test("Legacy data keys are overwritten", async () => {
  for (const algorithm of ["AESWrap", "AES", "RSA/ECB/OAEPWithSHA-256AndMGF1Padding"] as const) {
    const wrap = algorithm.startsWith("RSA") ? { algorithm, key: pair.publicKey } : { algorithm, key: WRAPPING_KEY }
    const format = algorithm === "AES" ? "V1" : "V2"
    const object = await writeReferenceObject({ suite: "cbc", format, plaintext, wrap: wrap as never })
    reset()
    const key = watch(algorithm.startsWith("RSA") ? rsaKey() : aesKey())
    await openObject(planS3ec({ ...ALL, key }), await envelopeOf(object), object.body)
    expectWiped(algorithm)
  }
})

test("The data key that KMS gives is overwritten, and the copy in its response", async () => {
  const plaintexts: Uint8Array[] = []
  const client = {
    // biome-ignore lint/suspicious/noExplicitAny: commands of any kind.
    async send(command: any, options: any) {
      const response = await world.home.send(command, options)
      if ("Plaintext" in response) plaintexts.push(response.Plaintext as Uint8Array)
      return response
    },
  }
  const key = watch(kmsKey(client))
  const object = await sealObject(planS3ec({ key }), plaintext)
  await openObject(planS3ec({ key }), await envelopeOf(object), object.body)
  const bad = { ...object, body: flipped(object.body, -1) }
  expect(await codeOf(async () => openObject(planS3ec({ key }), await envelopeOf(bad), bad.body))).toBe(
    "TamperedMessage",
  )
  expect([plaintexts.length, dataKeys.length]).toEqual([3, 3])
  expect([...plaintexts, ...dataKeys].every(isZero)).toBe(true)
})
