import { Readable } from "node:stream"
import {
  AbortMultipartUploadCommand,
  type CompletedPart,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  ListPartsCommand,
  PutObjectCommand,
  UploadPartCommand,
  UploadPartCopyCommand,
} from "@aws-sdk/client-s3"
import { Upload } from "@aws-sdk/lib-storage"
import fc from "fast-check"
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest"
import { decrypt, kmsKeyring } from "../../src/index.ts"
import type { EncryptedS3Client } from "../../src/s3/index.ts"
import { partSizes } from "../../src/s3/part-sizes.ts"
import { codeOf, errorOf } from "../support/errors.ts"
import { pattern } from "../support/keys.ts"
import { Bucket, createS3World, FRAME, get, put, type S3World } from "./s3-world.ts"

const PART = 8 * FRAME
const body = pattern(5 * PART + 100)
const slice = (number: number, from = body) => from.subarray((number - 1) * PART, number * PART)

let world: S3World
let s3: EncryptedS3Client
beforeAll(async () => {
  world = await createS3World()
  s3 = world.client()
})
afterAll(() => world[Symbol.asyncDispose]())
beforeEach(() => {
  world.server.intervene = undefined
  world.server.forget()
  world.calls.sent.length = 0
})

const same = (a: Uint8Array, b: Uint8Array) => Buffer.compare(a, b) === 0

/** A multipart upload by hand. */
async function begin(Key: string, client = s3) {
  const { UploadId } = await client.send(new CreateMultipartUploadCommand({ Bucket, Key }))
  const target = { Bucket, Key, UploadId }
  const parts = new Map<number, CompletedPart>()
  return {
    UploadId,
    target,
    async part(PartNumber: number, Body: Uint8Array, through = client) {
      const { ETag } = await through.send(new UploadPartCommand({ ...target, PartNumber, Body }))
      parts.set(PartNumber, { PartNumber, ETag })
      return ETag!
    },
    list: () => client.send(new ListPartsCommand(target)),
    abort: () => client.send(new AbortMultipartUploadCommand(target)),
    complete(Parts = [...parts.values()].sort((a, b) => a.PartNumber! - b.PartNumber!), more = {}) {
      return client.send(new CompleteMultipartUploadCommand({ ...target, MultipartUpload: { Parts }, ...more }))
    },
  }
}

describe("lib-storage's Upload", () => {
  const big = pattern(11 * 1024 * 1024 + 7)

  test.each([
    ["bytes", () => big],
    ["a stream", () => Readable.from([big.subarray(0, 7_000_001), big.subarray(7_000_001)], { objectMode: false })],
  ])("works over the client with %s, in parallel parts", async (_name, make) => {
    const upload = new Upload({ client: s3, params: { Bucket, Key: "upload", Body: make() } })
    const seen: number[] = []
    upload.on("httpUploadProgress", ({ loaded }) => seen.push(loaded!))
    const output = await upload.done()
    expect(output).toMatchObject({ Bucket, Key: "upload" })
    expect(seen.at(-1)).toBe(big.length)
    const { bytes, ContentLength } = await get(s3, "upload")
    expect(ContentLength).toBe(big.length)
    expect(same(bytes, big)).toBe(true)
    expect(world.server.count("UploadPart")).toBe(3)
  })

  test("sends a small body in one request", async () => {
    await new Upload({ client: s3, params: { Bucket, Key: "upload-small", Body: "small" } }).done()
    expect((await get(s3, "upload-small")).bytes).toHaveLength(5)
  })

  test("aborted, leaves nothing", async () => {
    const upload = new Upload({ client: s3, params: { Bucket, Key: "gone", Body: pattern(11_000_000) } })
    world.server.intervene = ({ operation }) => {
      if (operation === "UploadPart") void upload.abort()
    }
    await expect(upload.done()).rejects.toThrow("abort")
    world.server.intervene = undefined
    expect((await errorOf(() => get(s3, "gone"))).name).toBe("NoSuchKey")
  })
})

describe("parts by hand", () => {
  test("in any order, in parallel, with one data key (OBJ-4.1, OBJ-4.2)", async () => {
    for (const order of [
      [1, 2, 3, 4, 5, 6],
      [6, 5, 4, 3, 2, 1],
      [3, 6, 1, 2, 5, 4],
    ]) {
      world.calls.sent.length = 0
      const upload = await begin("order")
      for (const number of order) await upload.part(number, slice(number))
      await upload.complete()
      expect(world.kmsOperations()).toEqual(["GenerateDataKey"])
      expect(same((await get(s3, "order")).bytes, body)).toBe(true)
    }
    const upload = await begin("order")
    await Promise.all([4, 2, 6, 1, 3, 5].map((number) => upload.part(number, slice(number))))
    await upload.complete()
    expect(same((await get(s3, "order")).bytes, body)).toBe(true)
    const stored = await world.server.stored(Bucket, "order").content.bytes()
    expect(same((await decrypt(stored, { keyring: world.keyring })).plaintext, body)).toBe(true)
  })

  test("any order and any last part make the object (property)", async () => {
    const cases = fc
      .integer({ min: 1, max: 6 })
      .chain((count) =>
        fc.tuple(fc.shuffledSubarray(numbers(count), { minLength: count }), fc.integer({ min: 1, max: PART })),
      )
    const check = async ([order, last]: [number[], number]) => {
      const whole = pattern((order.length - 1) * PART + last)
      const upload = await begin("property")
      for (const number of order) await upload.part(number, slice(number, whole))
      await upload.complete()
      expect(same((await get(s3, "property")).bytes, whole)).toBe(true)
    }
    await fc.assert(fc.asyncProperty(cases, check), { numRuns: 25 })
  })

  test("what the caller hands in stays the caller's, Buffers too", async () => {
    const upload = await begin("buffers")
    const buffers = [1, 2, 3].map((number) => Buffer.from(slice(number)))
    for (const [i, buffer] of buffers.entries()) await upload.part(i + 1, buffer)
    for (const [i, buffer] of buffers.entries()) expect(same(buffer, slice(i + 1))).toBe(true)
    buffers[2]!.fill(0)
    await upload.complete()
    expect(same((await get(s3, "buffers")).bytes, body.subarray(0, 3 * PART))).toBe(true)
  })

  test("the highest so far waits for Complete, and until then no part is readable as a message (OBJ-4.3)", async () => {
    const upload = await begin("held")
    await upload.part(1, slice(1))
    expect(world.server.count("UploadPart")).toBe(0)
    await upload.part(2, slice(2))
    expect(world.server.count("UploadPart")).toBe(1)
    for (const content of world.server.unfinished(Bucket)) {
      expect(await codeOf(async () => decrypt(await content.bytes(), { keyring: world.keyring }))).toBe(
        "TruncatedMessage",
      )
    }
    expect((await errorOf(() => get(s3, "held"))).name).toBe("NoSuchKey")
    await upload.complete()
    expect((await get(s3, "held")).bytes).toHaveLength(2 * PART)
  })

  test("a part sent again with the same bytes is taken, with other bytes refused (OBJ-4.2)", async () => {
    const upload = await begin("again")
    await upload.part(1, slice(1))
    // Not sealed yet: it may still change.
    await upload.part(1, slice(3))
    await upload.part(1, slice(1))
    await upload.part(2, slice(2))
    const etag = await upload.part(1, slice(1))
    expect(etag).toBe(await upload.part(1, slice(1)))
    expect(await codeOf(() => upload.part(1, slice(3)))).toBe("UploadState")
    expect(await codeOf(() => upload.part(1, slice(1).subarray(1)))).toBe("UploadState")
    await upload.complete()
    expect(same((await get(s3, "again")).bytes, body.subarray(0, 2 * PART))).toBe(true)
  })

  test("sizes are held to the message's rules", async () => {
    const odd = await begin("sizes")
    await odd.part(2, pattern(10))
    await expect(odd.part(1, pattern(PART + 1))).rejects.toThrow("multiple of the frame length")
    const unequal = await begin("sizes")
    await unequal.part(1, slice(1))
    await unequal.part(2, slice(2).subarray(0, 4 * FRAME))
    await expect(unequal.part(3, slice(3))).rejects.toThrow("as long as the others")
    const long = await begin("sizes")
    await long.part(1, slice(1))
    await long.part(2, pattern(PART + 5))
    await expect(long.complete()).rejects.toThrow("more than the others")
    for (const upload of [odd, unequal, long]) await upload.abort()
    await expect(begin("sizes").then(({ part }) => part(10_001, slice(1)))).rejects.toThrow(RangeError)
  })

  test("the list of parts is complete, in order, and names their ETags", async () => {
    const upload = await begin("list")
    const one = { PartNumber: 1, ETag: await upload.part(1, slice(1)) }
    const two = { PartNumber: 2, ETag: await upload.part(2, slice(2)) }
    const three = { PartNumber: 3, ETag: await upload.part(3, slice(3)) }
    for (const parts of [[one, two], [two, three], [two, one, three], [one, two, { ...three, ETag: '"x"' }], []]) {
      expect(await codeOf(() => upload.complete(parts))).toBe("UploadState")
    }
    const { Parts } = await upload.list()
    expect(Parts!.map(({ PartNumber, Size }) => [PartNumber, Size])).toEqual([
      [1, PART],
      [2, PART],
      [3, PART],
    ])
    await upload.complete(Parts!.map(({ PartNumber, ETag }) => ({ PartNumber, ETag })))
    expect((await get(s3, "list")).bytes).toHaveLength(3 * PART)
  })

  test("failures of S3 are made good by sending again, and Complete too", async () => {
    const upload = await begin("flaky")
    await upload.part(1, slice(1))
    const troubles: unknown[] = [{ status: 400, code: "Injected" }]
    world.server.intervene = ({ operation }) => (operation === "UploadPart" ? troubles.shift() : undefined)
    expect((await errorOf(() => upload.part(2, slice(2)))).name).toBe("Injected")
    await upload.part(2, slice(2))
    troubles.push({ status: 400, code: "Injected" })
    expect((await errorOf(() => upload.complete())).name).toBe("Injected")
    world.server.intervene = ({ operation }) =>
      operation === "CompleteMultipartUpload" ? { status: 400, code: "Injected" } : undefined
    expect((await errorOf(() => upload.complete())).name).toBe("Injected")
    expect(await codeOf(() => upload.part(3, slice(3)))).toBe("UploadState")
    world.server.intervene = undefined
    await upload.complete()
    expect(same((await get(s3, "flaky")).bytes, body.subarray(0, 2 * PART))).toBe(true)
  })

  test("an upload lives in one client: elsewhere, after Complete and after Abort it is refused (OBJ-4.4)", async () => {
    const upload = await begin("one-process")
    await upload.part(1, slice(1))
    expect(await codeOf(() => upload.part(2, slice(2), world.client()))).toBe("UploadState")
    await upload.complete()
    expect(await codeOf(() => upload.part(2, slice(2)))).toBe("UploadState")
    const other = await begin("one-process")
    await other.abort()
    expect(await codeOf(() => other.part(1, slice(1)))).toBe("UploadState")
    await expect(
      world.client({ signed: true }).send(new CreateMultipartUploadCommand({ Bucket, Key: "k" })),
    ).rejects.toThrow("signed")
  })

  test("conditions of Complete reach S3", async () => {
    await put(s3, "taken", "x")
    const upload = await begin("taken")
    await upload.part(1, slice(1))
    expect((await errorOf(() => upload.complete(undefined, { IfNoneMatch: "*" }))).name).toBe("PreconditionFailed")
    await upload.complete()
    expect((await get(s3, "taken")).bytes).toHaveLength(PART)
  })

  test("a range of another object can be a part", async () => {
    await put(s3, "source", body)
    const upload = await begin("copied")
    const copy = (PartNumber: number, range: string) =>
      s3.send(
        new UploadPartCopyCommand({
          ...upload.target,
          PartNumber,
          CopySource: `${Bucket}/source`,
          CopySourceRange: range,
        }),
      )
    const first = await copy(1, `bytes=0-${PART - 1}`)
    const second = await copy(2, "bytes=10-19")
    const parts = [first, second].map(({ CopyPartResult }, i) => ({ PartNumber: i + 1, ETag: CopyPartResult!.ETag }))
    await upload.complete(parts)
    const expected = Buffer.concat([body.subarray(0, PART), body.subarray(10, 20)])
    expect(same((await get(s3, "copied")).bytes, expected)).toBe(true)
  })

  test("a data key that KMS refuses leaves no upload behind", async () => {
    const keyring = kmsKeyring({ client: world.admin, generatorKeyId: "alias/nowhere" })
    await expect(begin("refused", world.client({ keyring }))).rejects.toMatchObject({ name: "NotFoundException" })
    expect(world.server.log).toEqual([])
  })
})

test("a body of 24 MB in parts of the default size needs few of them at a time", async () => {
  const client = world.client({
    frameLength: 262_144,
    partSize: 5 * 1024 * 1024,
    multipartThreshold: 0,
    maxConcurrentParts: 2,
  })
  let underway = 0
  let most = 0
  world.server.intervene = async ({ operation }) => {
    if (operation !== "UploadPart") return
    most = Math.max(most, ++underway)
    await new Promise((resolve) => setTimeout(resolve, most < 2 ? 2000 : 20))
    underway--
  }
  async function* chunks() {
    for (let i = 0; i < 24; i++) yield new Uint8Array(1_000_000).fill(i)
  }
  await client.send(new PutObjectCommand({ Bucket, Key: "stream", Body: Readable.from(chunks()) }))
  world.server.intervene = undefined
  expect(most).toBe(2)
  expect((await get(client, "stream")).bytes).toHaveLength(24_000_000)
})

describe("sizes of parts (OBJ-4.5)", () => {
  const settings = { partSize: 8 * 1024 ** 2, frameLength: 256 * 1024, maxConcurrentParts: 4 }

  test("of an unknown length reach S3's largest object in 10,000 parts, within the memory of the first ones", () => {
    const sizes = partSizes(settings, undefined)
    let total = 0
    for (let i = 0; i < 10_000; i++) {
      const { size, mostAtOnce } = sizes.next()
      expect(size % settings.frameLength).toBe(0)
      if (mostAtOnce > 1) expect(size * mostAtOnce).toBeLessThanOrEqual(4 * settings.partSize)
      total += size
    }
    expect(total).toBeGreaterThan(5 * 1024 ** 4)
  })

  test.each([1, 10 ** 9, 10 ** 11, 5 * 1024 ** 4])("of %i bytes are equal and at most 10,000", (length) => {
    const sizes = partSizes(settings, length)
    const { size } = sizes.next()
    expect(sizes.next().size).toBe(size)
    expect(size % settings.frameLength).toBe(0)
    expect(Math.ceil(length / size)).toBeLessThanOrEqual(10_000)
  })
})

const numbers = (count: number) => Array.from({ length: count }, (_, i) => i + 1)
