import { describe, expect, test } from "vitest"
import type { CommitmentPolicy } from "../../../src/core/index.ts"
import {
  planS3ec,
  type S3ecKey,
  type S3ecOptions,
  s3ecAesKey,
  s3ecKmsKey,
  s3ecRsaKey,
  sesMail,
} from "../../../src/s3/s3ec/index.ts"
import { codeOf, errorOf } from "../../support/errors.ts"
import { counting, pattern } from "../../support/keys.ts"
import { type ReferenceWrap, writeReferenceObject } from "./reference.ts"
import {
  ALL,
  aesKey,
  kmsEncrypt,
  kmsKey,
  pair,
  read,
  refusesPkcs1,
  rsaKey,
  WRAPPING_KEY,
  world,
  write,
} from "./support.ts"

const plaintext = pattern(64)
const policies: CommitmentPolicy[] = [
  "ForbidEncryptAllowDecrypt",
  "RequireEncryptAllowDecrypt",
  "RequireEncryptRequireDecrypt",
]
const aes = { algorithm: "AES/GCM", key: WRAPPING_KEY } as const

/** Fails when it is asked for anything. */
const untouched: S3ecKey = {
  name: "untouched",
  bindsContext: true,
  wrap: () => expect.unreachable("wrap"),
  unwrap: () => expect.unreachable("unwrap"),
}

describe("Commitment policies", () => {
  test.each([
    ["ForbidEncryptAllowDecrypt", "x-amz-key-v2"],
    ["RequireEncryptAllowDecrypt", "x-amz-3"],
    ["RequireEncryptRequireDecrypt", "x-amz-3"],
    [undefined, "x-amz-3"],
  ] as const)("CSE-7.1: %s writes %s", async (commitmentPolicy, name) => {
    const policy = commitmentPolicy && { commitmentPolicy }
    expect((await write(plaintext, { key: aesKey(), ...policy })).metadata).toHaveProperty([name])
  })

  test("CSE-7.1: a suite that the policy does not write, or a legacy one, throws when the options are made", async () => {
    for (const commitmentPolicy of policies) {
      const forbids = commitmentPolicy === "ForbidEncryptAllowDecrypt"
      const options = { key: aesKey(), commitmentPolicy }
      expect(planS3ec({ ...options, suiteId: forbids ? 0x72 : 0x73 }).suiteId).toBe(forbids ? 0x72 : 0x73)
      expect(await codeOf(() => planS3ec({ ...options, suiteId: forbids ? 0x73 : 0x72 }))).toBe("CommitmentPolicy")
      for (const suiteId of [0x70, 0x71, 0x74, 0x478])
        expect(() => planS3ec({ ...options, suiteId })).toThrow(TypeError)
    }
    expect(() => planS3ec({ key: aesKey(), commitmentPolicy: "Require" as never })).toThrow(TypeError)
  })

  test("CSE-7.1, CSE-7.2: only RequireEncryptRequireDecrypt refuses V2 and V1, before any key is asked", async () => {
    const objects = [
      await writeReferenceObject({ suite: "gcm", plaintext, wrap: aes }),
      await writeReferenceObject({ suite: "cbc", plaintext, wrap: aes }),
      await writeReferenceObject({
        suite: "cbc",
        format: "V1",
        plaintext,
        wrap: { algorithm: "AES", key: WRAPPING_KEY },
      }),
    ]
    for (const object of objects) {
      for (const commitmentPolicy of policies) {
        const options = { ...ALL, commitmentPolicy }
        if (commitmentPolicy !== "RequireEncryptRequireDecrypt") {
          expect(Buffer.from(await read(object, { ...options, key: aesKey() })).equals(plaintext)).toBe(true)
        } else expect(await codeOf(() => read(object, { ...options, key: untouched }))).toBe("CommitmentPolicy")
      }
    }
  })

  test("every policy reads V3", async () => {
    const object = await writeReferenceObject({ suite: "committing", plaintext, wrap: aes })
    for (const commitmentPolicy of policies) {
      expect(Buffer.from(await read(object, { key: aesKey(), commitmentPolicy })).equals(plaintext)).toBe(true)
    }
  })
})

describe("Legacy", () => {
  const wraps: ReferenceWrap[] = [
    { algorithm: "kms", encrypt: kmsEncrypt() },
    { algorithm: "AESWrap", key: WRAPPING_KEY },
    { algorithm: "RSA/ECB/OAEPWithSHA-256AndMGF1Padding", key: pair.publicKey },
    { algorithm: "AES", key: WRAPPING_KEY },
    { algorithm: "RSA", key: pair.publicKey },
  ]
  const make = (wrap: ReferenceWrap) =>
    wrap.algorithm === "AES" || wrap.algorithm === "RSA"
      ? writeReferenceObject({ suite: "cbc", format: "V1", plaintext, wrap })
      : writeReferenceObject({ suite: "gcm", plaintext, wrap })
  const keyFor = (wrap: ReferenceWrap) =>
    wrap.algorithm === "kms" ? kmsKey() : wrap.algorithm.startsWith("AES") ? aesKey() : rsaKey()

  test.each(wraps.map((wrap) => [wrap.algorithm, wrap] as const))(
    "CSE-6.5, CSE-6.6, CSE-7.2: %s is refused before any key is asked, and read with legacyWrapping",
    async (algorithm, wrap) => {
      const object = await make(wrap)
      const options = { ...ALL, legacyWrapping: false }
      const error = await errorOf(() => read(object, { ...options, key: untouched }))
      expect(error).toMatchObject({ code: "UnsupportedFormat", message: expect.stringContaining("legacyWrapping") })
      const reading = () => read(object, { ...ALL, key: keyFor(wrap) })
      if (algorithm === "RSA" && refusesPkcs1) expect(await codeOf(reading)).toBe("UnwrapFailed")
      else expect(Buffer.from(await reading()).equals(plaintext)).toBe(true)
    },
  )

  test("CSE-7.2: AES-CBC is refused before any key is asked, and read with unauthenticatedCbc", async () => {
    const object = await writeReferenceObject({ suite: "cbc", plaintext, wrap: aes })
    const options = { ...ALL, unauthenticatedCbc: false }
    const error = await errorOf(() => read(object, { ...options, key: untouched }))
    expect(error).toMatchObject({ code: "UnsupportedFormat", message: expect.stringContaining("unauthenticatedCbc") })
    expect(Buffer.from(await read(object, { ...ALL, key: aesKey() })).equals(plaintext)).toBe(true)
  })

  test("flags are off by default", () => {
    const { legacyWrapping, unauthenticatedCbc, unauthenticatedRanges, instructionFile } = planS3ec({ key: aesKey() })
    expect([legacyWrapping, unauthenticatedCbc, unauthenticatedRanges, instructionFile]).toEqual([
      false,
      false,
      false,
      false,
    ])
  })

  test("the preset for mail of Amazon SES reads what SES writes, whatever its context", async () => {
    const description = {
      "aws:ses:message-id": "m1",
      "aws:ses:rule-name": "store",
      "aws:ses:source-account": "111122223333",
      kms_cmk_id: world.keyArn,
    }
    const wrap = { algorithm: "kms", encrypt: kmsEncrypt() } as const
    const mail = await writeReferenceObject({ suite: "gcm", plaintext, wrap, description })
    const metadata = { ...mail.metadata, "x-amz-unencrypted-content-length": "64" }
    expect(Buffer.from(await read({ ...mail, metadata }, sesMail(kmsKey()))).equals(plaintext)).toBe(true)
    const cbc = await writeReferenceObject({ suite: "cbc", plaintext, wrap, description })
    expect(await codeOf(() => read(cbc, sesMail(kmsKey())))).toBe("UnsupportedFormat")
  })
})

describe("Options", () => {
  const key = aesKey()
  test.each([
    ["no key", { key: undefined }],
    ["a key that is none", { key: { wrap: () => {} } }],
    ["further keys that are none", { key, additionalKeys: [{}] }],
    ["a flag that only counts as true", { key, unauthenticatedCbc: 1 }],
    ["another such", { key, legacyWrapping: "false" }],
    ["an empty spool", { key, spool: "" }],
    ["CSE-8.1: delayed authentication beside a buffer size", { key, delayedAuthentication: true, bufferSize: 1000 }],
    ["CSE-8.1: delayed authentication beside a spool", { key, delayedAuthentication: true, spool: "/tmp" }],
  ])("%s is a TypeError", (_what, options) => {
    expect(() => planS3ec(options as unknown as S3ecOptions)).toThrow(TypeError)
  })

  test.each([[15], [2 ** 36 - 31], [16.5], [Number.NaN]])(
    "CSE-8.1: a buffer of %s bytes is a RangeError",
    (bufferSize) => {
      expect(() => planS3ec({ key, bufferSize })).toThrow(RangeError)
    },
  )

  test("CSE-8.1: the buffer's bounds are allowed, its default is 64 MiB", () => {
    const sizeOf = (bufferSize?: number) => planS3ec({ key, ...(bufferSize && { bufferSize }) }).release
    expect([sizeOf(16), sizeOf(2 ** 36 - 32), sizeOf()]).toMatchObject(
      [16, 2 ** 36 - 32, 64 * 1024 * 1024].map((bufferSize) => ({ when: "verified", bufferSize })),
    )
  })

  test.each([
    ["a passphrase for an AES key", () => s3ecAesKey({ wrappingKey: "passphrase" as never }), TypeError],
    ["17 bytes for an AES key", () => s3ecAesKey({ wrappingKey: counting(17) }), RangeError],
    [
      "a description that is no record of strings",
      () => s3ecAesKey({ wrappingKey: counting(32), materialDescription: { a: 1 } as never }),
      TypeError,
    ],
    ["no RSA key", () => s3ecRsaKey({}), TypeError],
    ["a private key as the public one", () => s3ecRsaKey({ publicKey: pair.privateKey }), TypeError],
    ["a client that is none", () => s3ecKmsKey({ client: {} as never, keyId: "alias/a" }), TypeError],
    ["an empty key id", () => s3ecKmsKey({ client: world.home, keyId: "" }), TypeError],
  ])("%s is refused", (_what, make, type) => {
    expect(make).toThrow(type)
  })
})
