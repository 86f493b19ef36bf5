import { CreateMultipartUploadCommand, GetObjectCommand, UploadPartCommand } from "@aws-sdk/client-s3"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import type { Keyring } from "../../src/index.ts"
import type { EncryptedS3ClientOptions } from "../../src/s3/index.ts"
import { codeOf } from "../support/errors.ts"
import { pattern } from "../support/keys.ts"
import { Bucket, createS3World, FRAME, get, put, read, type S3World } from "./s3-world.ts"

let world: S3World
beforeAll(async () => {
  world = await createS3World()
})
afterAll(() => world[Symbol.asyncDispose]())

/** Keeps hold of every data key that it gives out. */
function spying(): { keyring: Keyring; dataKeys: Uint8Array[] } {
  const dataKeys: Uint8Array[] = []
  const { keyring } = world
  return {
    dataKeys,
    keyring: {
      name: "spy",
      async wrap(request) {
        const result = await keyring.wrap(request)
        dataKeys.push(result.dataKey)
        return result
      },
      async unwrap(request) {
        const dataKey = await keyring.unwrap(request)
        if (dataKey !== undefined) dataKeys.push(dataKey)
        return dataKey
      },
    },
  }
}

const setUp = (options: Partial<EncryptedS3ClientOptions> = {}) => {
  const { keyring, dataKeys } = spying()
  return { s3: world.client({ keyring, ...options }), dataKeys }
}
const isZero = (bytes: Uint8Array) => bytes.every((byte) => byte === 0)
const body = pattern(50 * FRAME)

describe("data keys are overwritten", () => {
  test("after success: put, parts, get, range, copy-free head", async () => {
    const { s3, dataKeys } = setUp()
    await put(s3, "small", "x")
    await put(s3, "large", body)
    await get(s3, "small")
    await get(s3, "large")
    await read(s3, "large", "bytes=30000-30009")
    expect(dataKeys).toHaveLength(5)
    expect(dataKeys.every(isZero)).toBe(true)
  })

  test("after errors: a frame, the header, the context, S3", async () => {
    const { s3, dataKeys } = setUp()
    await put(s3, "bad", body)
    await world.server.tamper(Bucket, "bad", (bytes) => bytes.fill(bytes.at(-1)! ^ 1, -1))
    expect(await codeOf(() => get(s3, "bad"))).toBe("TamperedMessage")
    expect(await codeOf(() => read(s3, "bad", "bytes=-1"))).toBe("TamperedMessage")
    world.server.intervene = ({ operation }) =>
      operation.startsWith("Upload") || operation === "PutObject" ? { status: 400, code: "No" } : undefined
    await expect(put(s3, "bad", body)).rejects.toThrow()
    await expect(put(s3, "bad", "x")).rejects.toThrow()
    world.server.intervene = undefined
    expect(dataKeys.length).toBeGreaterThan(4)
    expect(dataKeys.every(isZero)).toBe(true)
  })

  test("after an abort", async () => {
    const { s3, dataKeys } = setUp()
    const controller = new AbortController()
    world.server.intervene = ({ operation }) => {
      if (operation === "UploadPart") controller.abort(new Error("stop"))
    }
    await expect(put(s3, "aborted", body, {}, { abortSignal: controller.signal })).rejects.toThrow()
    world.server.intervene = undefined
    expect(dataKeys).toHaveLength(1)
    expect(dataKeys.every(isZero)).toBe(true)
  })

  test("of bodies that nobody reads to their end, as soon as they are destroyed", async () => {
    const { s3, dataKeys } = setUp({ frameLength: 65_536, partSize: 655_360 })
    await put(s3, "left", pattern(2_000_000))
    const { Body } = await s3.send(new GetObjectCommand({ Bucket, Key: "left" }))
    ;(Body as unknown as { destroy(): void }).destroy()
    expect(dataKeys.every(isZero)).toBe(true)
  })
})

test("a closed client forgets its unfinished uploads, and an upload's key dies with it", async () => {
  const { s3, dataKeys } = setUp()
  const { UploadId } = await s3.send(new CreateMultipartUploadCommand({ Bucket, Key: "open" }))
  const part = () => s3.send(new UploadPartCommand({ Bucket, Key: "open", UploadId, PartNumber: 1, Body: body }))
  await part()
  expect(dataKeys.every(isZero)).toBe(true)
  s3.close()
  expect(await codeOf(part)).toBe("Closed")
})

test("no byte of plaintext and no key goes to S3", async () => {
  const secret = "correct horse battery staple ".repeat(2000)
  const { s3 } = setUp()
  await put(s3, "scan", secret)
  const stored = Buffer.from(await world.server.stored(Bucket, "scan").content.bytes())
  expect(stored.includes("battery")).toBe(false)
  expect(JSON.stringify(world.server.log.map(({ headers }) => headers))).not.toContain("battery")
})
