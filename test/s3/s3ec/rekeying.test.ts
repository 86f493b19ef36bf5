import { describe, expect, test } from "vitest"
import { findEnvelope, newInstructionFile, planS3ec, type S3ecOptions, s3ecRsaKey } from "../../../src/s3/s3ec/index.ts"
import { recorder } from "../../keyrings/kms-world.ts"
import { codeOf, errorOf } from "../../support/errors.ts"
import { counting, pattern } from "../../support/keys.ts"
import { writeReferenceObject } from "./reference.ts"
import {
  ALL,
  aesKey,
  changed,
  envelopeOf,
  kmsEncrypt,
  kmsKey,
  otherPair,
  read,
  rewrapEnvelope,
  rsaKey,
  type StoredObject,
  text,
  world,
  write,
} from "./support.ts"

const plaintext = pattern(100)
const V2 = { commitmentPolicy: "ForbidEncryptAllowDecrypt" } as const
const rotatedAes = aesKey({ generation: "2" }, counting(32, 80))
const rotatedRsa = s3ecRsaKey({ ...otherPair, materialDescription: { partner: "p" } })

async function reencrypted(
  object: StoredObject,
  options: S3ecOptions,
  newKey = rotatedAes,
  more = {},
): Promise<StoredObject> {
  const instructionFile = await newInstructionFile(planS3ec(options), await envelopeOf(object), {
    newKey,
    ...more,
  })
  return { ...object, instructionFile }
}

describe("A new instruction file", () => {
  test.each([
    ["V3", {}],
    ["V2", V2],
  ] as const)("CSE-9.1: makes a %s object readable with the new key, its body as it was", async (_format, policy) => {
    for (const key of [aesKey({ generation: "1" }), rsaKey(), kmsKey()]) {
      const options = { key, instructionFile: true, ...policy }
      const object = await write(plaintext, options)
      for (const newKey of [rotatedAes, rotatedRsa]) {
        const moved = await reencrypted(object, options, newKey, { enforceRotation: true })
        expect(Buffer.from(await read(moved, { ...ALL, key: newKey })).equals(plaintext)).toBe(true)
        expect(["UnwrapFailed", "NoMatchingKey"]).toContain(await codeOf(() => read(moved, { ...ALL, key })))
        const [before, after] = [await envelopeOf(object), await envelopeOf(moved)]
        const kept = ({ wrapAlgorithm, wrappedKey, description, ...rest }: typeof before) => rest
        expect(kept(after)).toEqual(kept(before))
        expect(after.description).toEqual(newKey.materialDescription)
      }
    }
  })

  test("CSE-9.2: needs another material description", async () => {
    const options = { key: aesKey({ generation: "2" }), instructionFile: true }
    const object = await write(plaintext, options)
    await expect(reencrypted(object, options)).rejects.toThrow(TypeError)
  })

  test("CSE-9.2: with enforceRotation the same key under another description is refused", async () => {
    const options = { key: aesKey({ generation: "1" }), instructionFile: true }
    const object = await write(plaintext, options)
    const same = aesKey({ generation: "2" })
    expect((await read(await reencrypted(object, options, same), { key: same })).length).toBe(100)
    await expect(reencrypted(object, options, same, { enforceRotation: true })).rejects.toThrow(TypeError)
  })

  test("CSE-9.2: an object of another suite than the options write is refused", async () => {
    const object = await write(plaintext, { key: aesKey(), instructionFile: true, ...V2 })
    const options = { key: aesKey(), commitmentPolicy: "RequireEncryptAllowDecrypt" } as const
    expect(await codeOf(() => reencrypted(object, options))).toBe("CommitmentPolicy")
  })

  test("is refused for an object without one, and for a key that is no raw key", async () => {
    const inMetadata = await write(plaintext, { key: aesKey() })
    await expect(reencrypted(inMetadata, { key: aesKey() })).rejects.toThrow(TypeError)
    const object = await write(plaintext, { key: aesKey(), instructionFile: true })
    await expect(reencrypted(object, { key: aesKey() }, kmsKey() as never)).rejects.toThrow(TypeError)
  })

  test("CSE-9.1: is not written for a data key that the object does not commit to", async () => {
    const [a, b] = [
      await write(plaintext, { key: aesKey(), instructionFile: true }),
      await write(plaintext, { key: aesKey(), instructionFile: true }),
    ]
    const swapped = { ...a, instructionFile: b.instructionFile! }
    expect(await codeOf(() => reencrypted(swapped, { key: aesKey() }))).toBe("TamperedMessage")
  })

  test("CSE-6.2: checks the context of an object of KMS", async () => {
    const options = { key: kmsKey(), instructionFile: true }
    const encryptionContext = { dept: "x" }
    const object = await write(plaintext, options, { encryptionContext })
    expect(await codeOf(() => reencrypted(object, options))).toBe("ContextMismatch")
    const moved = await reencrypted(object, options, rotatedAes, { encryptionContext })
    expect((await read(moved, { key: rotatedAes })).length).toBe(100)
  })
})

describe("Rewrapping by KMS ReEncrypt", () => {
  const destination = { client: world.home, keyId: world.otherArn }

  test.each([
    ["V3 in metadata", {}],
    ["V3 with instruction file", { instructionFile: true }],
    ["V2 in metadata", V2],
    ["V2 with instruction file", { instructionFile: true, ...V2 }],
  ] as const)("CSE-9.3: moves an object of format %s to another key with one call", async (_what, more) => {
    const encryptionContext = { dept: "x" }
    const object = await write(plaintext, { key: kmsKey(), ...more }, { encryptionContext })
    const client = recorder(world.home)
    const envelope = await envelopeOf(object)
    const rewritten = await rewrapEnvelope(envelope, { client, keyId: world.otherArn, sourceKeyId: world.keyArn })
    expect(client.sent.map(({ operation, input }) => [operation, input])).toEqual([
      [
        "ReEncrypt",
        {
          CiphertextBlob: envelope.wrappedKey,
          SourceKeyId: world.keyArn,
          SourceEncryptionContext: { ...envelope.description },
          DestinationKeyId: world.otherArn,
          DestinationEncryptionContext: { ...envelope.description },
        },
      ],
    ])
    const moved = { ...object, ...rewritten }
    const key = kmsKey(world.home, world.otherArn)
    expect(Buffer.from(await read(moved, { ...ALL, key }, { encryptionContext })).equals(plaintext)).toBe(true)
    const error = await errorOf(() => read(moved, { ...ALL, key: kmsKey() }, { encryptionContext }))
    expect(error).toMatchObject({ name: "IncorrectKeyException" })
    expect(Object.keys(moved.metadata).sort()).toEqual(Object.keys(object.metadata).sort())
  })

  test("CSE-9.3: gives the wrapped key another context, as of another place", async () => {
    const object = await write(plaintext, { key: kmsKey() }, { encryptionContext: { place: "a" } })
    const encryptionContext = { place: "b" }
    const rewritten = await rewrapEnvelope(await envelopeOf(object), { ...destination, encryptionContext })
    const moved = { ...object, ...rewritten }
    const key = kmsKey(world.home, world.otherArn)
    expect((await read(moved, { key }, { encryptionContext })).length).toBe(100)
    expect(await codeOf(() => read(moved, { key }, { encryptionContext: { place: "a" } }))).toBe("ContextMismatch")
    await expect(
      rewrapEnvelope(await envelopeOf(object), { ...destination, encryptionContext: { "aws:x-amz-cek-alg": "x" } }),
    ).rejects.toThrow(TypeError)
  })

  test("CSE-9.3: moves legacy kms with its context, and gives it no other", async () => {
    const wrap = { algorithm: "kms", encrypt: kmsEncrypt() } as const
    const object = await writeReferenceObject({
      suite: "cbc",
      plaintext,
      wrap,
      description: { kms_cmk_id: world.keyArn },
    })
    const envelope = await envelopeOf(object)
    const moved = { ...object, ...(await rewrapEnvelope(envelope, destination)) }
    expect((await read(moved, { ...ALL, key: kmsKey(world.home, world.otherArn) })).length).toBe(100)
    const withContext = { ...destination, encryptionContext: { a: "b" } }
    expect(await codeOf(() => rewrapEnvelope(envelope, withContext))).toBe("UnsupportedFormat")
  })

  test("an object of a raw key is NoMatchingKey, another source key KMS's own error", async () => {
    const raw = await write(plaintext, { key: aesKey() })
    expect(await codeOf(async () => rewrapEnvelope(await envelopeOf(raw), destination))).toBe("NoMatchingKey")
    const object = await write(plaintext, { key: kmsKey() })
    const error = await errorOf(async () =>
      rewrapEnvelope(await envelopeOf(object), { ...destination, sourceKeyId: world.otherArn }),
    )
    expect(error).toMatchObject({ code: "KmsError", name: "IncorrectKeyException" })
  })

  test("a changed context fails at KMS, so that nothing is moved that would not have opened", async () => {
    const object = await write(plaintext, { key: kmsKey() }, { encryptionContext: { dept: "x" } })
    const metadata = changed(object.metadata, { "x-amz-t": '{"dept":"y","aws:x-amz-cek-alg":"115"}' })
    const envelope = (await findEnvelope(metadata, () => text("")))!
    expect(await errorOf(() => rewrapEnvelope(envelope, destination))).toMatchObject({
      name: "InvalidCiphertextException",
    })
  })
})
