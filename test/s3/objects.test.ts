import { S3Client } from "@aws-sdk/client-s3"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { decrypt } from "../../src/index.ts"
import type { EncryptedS3Client } from "../../src/s3/index.ts"
import { pattern } from "../support/keys.ts"
import { Bucket, createS3World, FRAME, get, put, type S3World } from "./s3-world.ts"

let world: S3World
let s3: EncryptedS3Client
beforeAll(async () => {
  world = await createS3World()
  s3 = world.client()
})
afterAll(() => world[Symbol.asyncDispose]())

const sizes = [0, 1, FRAME - 1, FRAME, FRAME + 1, 5 * FRAME, 16 * FRAME, 16 * FRAME + 1, 24 * FRAME, 100_000, 1_300_000]

describe("objects go out encrypted and come back as they were", () => {
  test("the client is an S3Client", () => {
    expect(s3).toBeInstanceOf(S3Client)
  })

  test.each(sizes)("%i bytes", async (size) => {
    const body = pattern(size)
    await put(s3, `size-${size}`, body)
    const { bytes, ContentLength } = await get(s3, `size-${size}`)
    expect(Buffer.compare(bytes, body)).toBe(0)
    expect(ContentLength).toBe(size)
    const stored = await world.server.stored(Bucket, `size-${size}`).content.bytes()
    expect(Buffer.compare((await decrypt(stored, { keyring: world.keyring })).plaintext, body)).toBe(0)
  })
})
