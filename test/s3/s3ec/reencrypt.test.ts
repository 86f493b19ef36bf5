import { GetObjectCommand, PutObjectCommand, type S3Client } from "@aws-sdk/client-s3"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import {
  EncryptedS3Client,
  type ReencryptInstructionFileOptions,
  reencryptInstructionFile,
  type S3ecOptions,
} from "../../../src/s3/index.ts"
import { codeOf, errorOf } from "../../support/errors.ts"
import { counting, pattern } from "../../support/keys.ts"
import { type S3Server, startS3Server } from "../../support/s3-server/index.ts"
import { aesKey, rsaKey } from "./support.ts"

const Bucket = "bucket"
const plaintext = pattern(3000)
const oldKey = aesKey({ generation: "1" })
const newKey = aesKey({ generation: "2" }, counting(32, 60))
const partnerKey = rsaKey({ partner: "p" })
const s3ec: S3ecOptions = { key: oldKey, instructionFile: true }

let server: S3Server
let plain: S3Client
beforeAll(async () => {
  server = await startS3Server({ buckets: [Bucket] })
  plain = server.client()
})
afterAll(() => server.close())

const clientOf = (options: S3ecOptions) => new EncryptedS3Client({ client: plain, format: "s3ec", s3ec: options })
const put = (Key: string) => clientOf(s3ec).send(new PutObjectCommand({ Bucket, Key, Body: plaintext }))
async function get(Key: string, options: S3ecOptions): Promise<Buffer> {
  const { Body } = await clientOf(options).send(new GetObjectCommand({ Bucket, Key }))
  return Buffer.from(await Body!.transformToByteArray())
}
const reencrypt = (Key: string, more: Partial<ReencryptInstructionFileOptions> = {}, client: S3Client = plain) =>
  reencryptInstructionFile(client, { bucket: Bucket, key: Key }, { s3ec, newKey, ...more })

describe("An instruction file written for another key, in the bucket", () => {
  test("CSE-9.1: replaces the present one without a read of the object, under the plain client and ours", async () => {
    for (const client of [plain, clientOf(s3ec)]) {
      await put("a")
      const body = server.stored(Bucket, "a")
      server.forget()
      expect(await reencrypt("a", { enforceRotation: true }, client)).toBe("a.instruction")
      const requests = server.log.map(({ method, key }) => `${method} ${key}`)
      expect(requests).toEqual(["HEAD a", "GET a.instruction", "PUT a.instruction"])
      expect(server.stored(Bucket, "a")).toEqual(body)
      expect((await get("a", { key: newKey })).equals(plaintext)).toBe(true)
      expect(await codeOf(() => get("a", { key: oldKey }))).toBe("UnwrapFailed")
    }
  })

  test("CSE-1.5: stands under a suffix beside the present one, for who names it", async () => {
    await put("b")
    expect(await reencrypt("b", { newKey: partnerKey, suffix: ".partner" })).toBe("b.partner")
    expect((await get("b", s3ec)).equals(plaintext)).toBe(true)
    const partner = { key: partnerKey, instructionFileSuffix: ".partner" }
    expect((await get("b", partner)).equals(plaintext)).toBe(true)
    expect(await codeOf(() => get("b", { key: partnerKey }))).toBe("NoMatchingKey")
    expect(await codeOf(() => get("b", { ...partner, instructionFileSuffix: ".nobody" }))).toBe("MalformedMessage")
  })

  test("CSE-1.5: a suffix is for reading only", () => {
    expect(() => clientOf({ ...s3ec, instructionFileSuffix: ".partner" })).toThrow(TypeError)
    expect(() => clientOf({ key: oldKey, instructionFileSuffix: "" })).toThrow(TypeError)
    expect(() => clientOf({ ...s3ec, instructionFileSuffix: ".instruction" })).not.toThrow()
  })

  test("does not overwrite a file that changed in the meantime", async () => {
    await put("c")
    const file = { Bucket, Key: "c.instruction" }
    const present = await (await plain.send(new GetObjectCommand(file))).Body!.transformToString()
    const slow = server.client()
    slow.middlewareStack.add(
      (next, { commandName }) =>
        async (request) => {
          if (commandName === "PutObjectCommand")
            await plain.send(new PutObjectCommand({ ...file, Body: `${present} ` }))
          return next(request)
        },
      { step: "initialize" },
    )
    expect((await errorOf(() => reencrypt("c", {}, slow))).name).toBe("PreconditionFailed")
    expect((await get("c", s3ec)).equals(plaintext)).toBe(true)
  })

  test("needs an object with one", async () => {
    await clientOf({ key: oldKey }).send(new PutObjectCommand({ Bucket, Key: "d", Body: "x" }))
    await expect(reencrypt("d")).rejects.toThrow(TypeError)
    await expect(reencrypt("missing")).rejects.toMatchObject({ name: "NotFound" })
  })
})
