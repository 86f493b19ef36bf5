import { constants, createDecipheriv, privateDecrypt } from "node:crypto"
import { describe, expect, test } from "vitest"
import {
  findEnvelope,
  type S3ecKey,
  s3ecAesKey,
  s3ecKmsDiscoveryKey,
  s3ecKmsKey,
  s3ecRsaKey,
} from "../../../src/s3/s3ec/index.ts"
import { recorder } from "../../keyrings/kms-world.ts"
import { codeOf, errorOf } from "../../support/errors.ts"
import { counting, pattern } from "../../support/keys.ts"
import { mixedOaep, writeReferenceObject } from "./reference.ts"
import {
  ALL,
  aesKey,
  changed,
  flipped,
  kmsEncrypt,
  kmsKey,
  otherPair,
  pair,
  read,
  rsaKey,
  WRAPPING_KEY,
  world,
  write,
} from "./support.ts"

const plaintext = pattern(40)
const V2 = { commitmentPolicy: "ForbidEncryptAllowDecrypt" } as const
const encryptionContext = { dept: "x", "aws:s3:arn": "arn:aws:s3:::bucket/key" }
const bytes = (text: string) => Buffer.from(text, "base64")
const stored = async (object: { metadata: Record<string, string> }) => (await findEnvelope(object.metadata))!

describe("KMS keys", () => {
  test("CSE-6.1, CSE-6.2: one GenerateDataKey writes and one Decrypt reads, with key id and full context", async () => {
    for (const [policy, cipher] of [
      [{}, "115"],
      [V2, "AES/GCM/NoPadding"],
    ] as const) {
      const client = recorder(world.home)
      const key = s3ecKmsKey({ client, keyId: world.keyArn, grantTokens: [] })
      const object = await write(plaintext, { key, ...policy }, { encryptionContext })
      const EncryptionContext = { ...encryptionContext, "aws:x-amz-cek-alg": cipher }
      expect(client.sent.map(({ operation, input }) => [operation, input])).toEqual([
        ["GenerateDataKey", { KeyId: world.keyArn, KeySpec: "AES_256", EncryptionContext }],
      ])
      expect((await stored(object)).description).toEqual(EncryptionContext)
      await read(object, { ...ALL, key }, { encryptionContext })
      const { wrappedKey } = await stored(object)
      expect(client.sent.slice(1).map(({ operation, input }) => [operation, input])).toEqual([
        ["Decrypt", { KeyId: world.keyArn, CiphertextBlob: wrappedKey, EncryptionContext }],
      ])
    }
  })

  test("CSE-6.1: names that the format sets are a TypeError in the caller's context, on both sides", async () => {
    const object = await write(plaintext, { key: kmsKey() })
    for (const name of ["aws:x-amz-cek-alg", "kms_cmk_id"]) {
      const call = { encryptionContext: { [name]: "115" } }
      await expect(write(plaintext, { key: kmsKey() }, call)).rejects.toThrow(TypeError)
      await expect(read(object, { key: kmsKey() }, call)).rejects.toThrow(TypeError)
    }
  })

  test.each([
    ["none", {}],
    ["fewer pairs", { dept: "x" }],
    ["more pairs", { ...encryptionContext, more: "y" }],
    ["another value", { ...encryptionContext, dept: "y" }],
    ["another name", { "aws:s3:arn": encryptionContext["aws:s3:arn"], Dept: "x" }],
  ])("CSE-6.2: %s instead of the stored context is ContextMismatch, before KMS is asked", async (_what, context) => {
    const object = await write(plaintext, { key: kmsKey() }, { encryptionContext })
    const client = recorder(world.home)
    const reading = read(object, { key: kmsKey(client) }, { encryptionContext: context as Record<string, string> })
    expect(await codeOf(() => reading)).toBe("ContextMismatch")
    expect(client.sent).toEqual([])
  })

  test.each([
    ["another cipher", "AES/GCM/NoPadding"],
    ["none", undefined],
  ])("CSE-6.2: %s in the stored context is ContextMismatch", async (_what, cipher) => {
    const object = await write(plaintext, { key: kmsKey() })
    const metadata = changed(object.metadata, { "x-amz-t": JSON.stringify({ "aws:x-amz-cek-alg": cipher }) })
    expect(await codeOf(() => read({ ...object, metadata }, { key: kmsKey() }))).toBe("ContextMismatch")
  })

  test("CSE-6.2: a stored kms_cmk_id is no pair of the caller's, but KMS gets it", async () => {
    const wrap = { algorithm: "kms+context", encrypt: kmsEncrypt() } as const
    const description = { dept: "x", kms_cmk_id: world.keyArn }
    const object = await writeReferenceObject({ suite: "committing", plaintext, wrap, description })
    expect((await read(object, { key: kmsKey() }, { encryptionContext: { dept: "x" } })).length).toBe(40)
  })

  test("CSE-6.2: a context that was changed on the server is refused by KMS when the caller expects it", async () => {
    const object = await write(plaintext, { key: kmsKey() }, { encryptionContext: { dept: "x" } })
    const metadata = changed(object.metadata, { "x-amz-t": '{"dept":"y","aws:x-amz-cek-alg":"115"}' })
    const error = await errorOf(() =>
      read({ ...object, metadata }, { key: kmsKey() }, { encryptionContext: { dept: "y" } }),
    )
    expect(error).toMatchObject({ code: "KmsError", name: "InvalidCiphertextException" })
  })

  test("a key named by alias or id reads and writes; another key is refused", async () => {
    for (const keyId of [world.alias, world.keyArn.split("/")[1]!]) {
      const key = kmsKey(world.home, keyId)
      expect((await read(await write(plaintext, { key }), { key })).length).toBe(40)
    }
    const object = await write(plaintext, { key: kmsKey() })
    const error = await errorOf(() => read(object, { key: kmsKey(world.home, world.otherArn) }))
    expect(error).toMatchObject({ code: "KmsError", name: "IncorrectKeyException" })
  })

  test("a KMS that answers for another key than the one asked for is refused, and the key overwritten", async () => {
    const object = await write(plaintext, { key: kmsKey() })
    let handedOut: Uint8Array | undefined
    const client = recorder(world.home, {
      after: (response) => {
        handedOut = response.Plaintext
        response.KeyId = world.otherArn
      },
    })
    expect(await codeOf(() => read(object, { key: kmsKey(client) }))).toBe("KmsError")
    expect(handedOut!.every((byte) => byte === 0)).toBe(true)
  })

  test("a discovery key reads under any key, without naming one, and does not write", async () => {
    const client = recorder(world.home)
    const key = s3ecKmsDiscoveryKey({ client })
    for (const keyId of [world.keyArn, world.otherArn]) {
      expect((await read(await write(plaintext, { key: kmsKey(world.home, keyId) }), { key })).length).toBe(40)
    }
    expect(client.sent.map(({ input }) => "KeyId" in input)).toEqual([false, false])
    await expect(write(plaintext, { key })).rejects.toThrow(TypeError)
  })

  test("a key that cannot generate data keys fails with AWS's name, before anything is written", async () => {
    const key = kmsKey(world.home, "alias/missing")
    expect(await errorOf(() => write(plaintext, { key }))).toMatchObject({
      code: "KmsError",
      name: "NotFoundException",
    })
  })

  test("grant tokens go with every request", async () => {
    const client = recorder(world.home)
    const key = s3ecKmsKey({ client, keyId: world.keyArn, grantTokens: ["AAAA"] })
    await errorOf(() => write(plaintext, { key }))
    expect(client.sent[0]!.input.GrantTokens).toEqual(["AAAA"])
  })

  test("no context, and one of many pairs, pass through the SDK's own client", async () => {
    const many = Object.fromEntries(Array.from({ length: 20 }, (_, i) => [`k${i}`, `v${i}`]))
    for (const encryptionContext of [{}, many]) {
      const object = await write(plaintext, { key: kmsKey(world.home) }, { encryptionContext })
      expect((await read(object, { key: kmsKey(world.home) }, { encryptionContext })).length).toBe(40)
    }
  })
})

describe("Raw keys", () => {
  test("CSE-6.3: an AES key is nonce, ciphertext and tag, with the content cipher as additional data", async () => {
    for (const length of [16, 24, 32] as const) {
      for (const [policy, cipher] of [
        [{}, "115"],
        [V2, "AES/GCM/NoPadding"],
      ] as const) {
        const wrappingKey = counting(length)
        const key = s3ecAesKey({ wrappingKey })
        const object = await write(plaintext, { key, ...policy })
        const { wrappedKey } = await stored(object)
        expect(wrappedKey.length).toBe(60)
        const decipher = createDecipheriv(`aes-${(length * 8) as 128}-gcm`, wrappingKey, wrappedKey.subarray(0, 12))
        decipher.setAAD(Buffer.from(cipher)).setAuthTag(wrappedKey.subarray(-16))
        const dataKey = Buffer.concat([decipher.update(wrappedKey.subarray(12, -16)), decipher.final()])
        expect(dataKey.length).toBe(32)
        expect((await read(object, { ...ALL, key })).length).toBe(40)
      }
    }
  })

  test("CSE-6.4: an RSA key is OAEP of length, data key and content cipher", async () => {
    for (const [policy, cipher] of [
      [{}, "115"],
      [V2, "AES/GCM/NoPadding"],
    ] as const) {
      const { wrappedKey } = await stored(await write(plaintext, { key: rsaKey(), ...policy }))
      const padding = constants.RSA_PKCS1_OAEP_PADDING
      const block = privateDecrypt({ key: pair.privateKey, padding, oaepHash: "sha1" }, wrappedKey)
      expect([block[0], block.length, block.subarray(33).toString()]).toEqual([32, 33 + cipher.length, cipher])
    }
  })

  test("CSE-6.3, CSE-6.4: a key wrapped for one content cipher does not open for the other", async () => {
    for (const make of [aesKey, rsaKey]) {
      const v3 = await write(plaintext, { key: make() })
      const v2 = await write(plaintext, { key: make(), ...V2 })
      const metadata = changed(v2.metadata, { "x-amz-key-v2": v3.metadata["x-amz-3"] })
      expect(await codeOf(() => read({ ...v2, metadata }, { ...ALL, key: make() }))).toBe("UnwrapFailed")
    }
  })

  test("CSE-6.8: a context with a raw key is a TypeError on writing, and ContextMismatch on reading", async () => {
    for (const make of [aesKey, rsaKey]) {
      const call = { encryptionContext: { dept: "x" } }
      await expect(write(plaintext, { key: make() }, call)).rejects.toThrow(TypeError)
      const object = await write(plaintext, { key: make() })
      expect(await codeOf(() => read(object, { key: make() }, call))).toBe("ContextMismatch")
    }
  })

  test("CSE-6.8: an expected context is ContextMismatch under the legacy kms, which cannot bind it", async () => {
    const wrap = { algorithm: "kms", encrypt: kmsEncrypt() } as const
    const object = await writeReferenceObject({ suite: "gcm", plaintext, wrap, description: { dept: "x" } })
    const call = { encryptionContext: { dept: "x" } }
    expect(await codeOf(() => read(object, { ...ALL, key: kmsKey() }, call))).toBe("ContextMismatch")
    expect((await read(object, { ...ALL, key: kmsKey() })).length).toBe(40)
  })

  test("CSE-6.7: of several raw keys the one of the stored description is asked first, then the others", async () => {
    const asked: string[] = []
    const named = (name: string, wrappingKey: Uint8Array): S3ecKey => {
      const key = s3ecAesKey({ wrappingKey, materialDescription: { name } })
      return { ...key, unwrap: (request) => [asked.push(name), key.unwrap(request)][1] as never }
    }
    const [old, current, other] = [
      named("old", counting(32, 9)),
      named("current", counting(32, 8)),
      named("other", counting(32, 7)),
    ]
    const object = await write(plaintext, { key: old })
    const options = { key: current, additionalKeys: [other, old] }
    expect((await read(object, options)).length).toBe(40)
    expect(asked).toEqual(["old"])
    const metadata = changed(object.metadata, { "x-amz-m": '{"name":"current"}' })
    expect(await codeOf(() => read({ ...object, metadata }, options))).toBe("UnwrapFailed")
  })

  test("CSE-6.7: keys of several kinds read what each of them wrote", async () => {
    const options = { key: kmsKey(), additionalKeys: [rsaKey(), aesKey()] }
    for (const key of [kmsKey(), rsaKey(), aesKey()]) {
      expect((await read(await write(plaintext, { key }), options)).length).toBe(40)
    }
  })

  test("CSE-6.7: no key for this kind of wrapping is NoMatchingKey", async () => {
    const all = [kmsKey(), rsaKey(), aesKey()]
    for (const writer of all) {
      const object = await write(plaintext, { key: writer })
      for (const key of all.filter((each) => each !== writer)) {
        expect(await codeOf(() => read(object, { key }))).toBe("NoMatchingKey")
      }
    }
  })

  test("half an RSA pair does its half, and says so for the other", async () => {
    const [writer, reader] = [s3ecRsaKey({ publicKey: pair.publicKey }), s3ecRsaKey({ privateKey: pair.privateKey })]
    const object = await write(plaintext, { key: writer })
    expect((await read(object, { key: reader })).length).toBe(40)
    await expect(write(plaintext, { key: reader })).rejects.toThrow(TypeError)
    await expect(read(object, { key: writer })).rejects.toThrow(TypeError)
  })

  test("a closed AES key throws Closed, and its copy is overwritten", async () => {
    const key = s3ecAesKey({ wrappingKey: counting(32) })
    const object = await write(plaintext, { key })
    key.close()
    expect(await codeOf(() => write(plaintext, { key }))).toBe("Closed")
    expect(await codeOf(() => read(object, { key }))).toBe("Closed")
  })
})

describe("Wrapped keys that do not open", () => {
  const legacy = { AESWrap: WRAPPING_KEY, AES: WRAPPING_KEY } as const
  const cases = {
    "AES/GCM": async () => [
      aesKey(),
      await writeReferenceObject({ suite: "committing", plaintext, wrap: { algorithm: "AES/GCM", key: WRAPPING_KEY } }),
    ],
    AESWrap: async () => [
      aesKey(),
      await writeReferenceObject({ suite: "gcm", plaintext, wrap: { algorithm: "AESWrap", key: legacy.AESWrap } }),
    ],
    "RSA-OAEP-SHA1": async () => [
      rsaKey(),
      await writeReferenceObject({
        suite: "committing",
        plaintext,
        wrap: { algorithm: "RSA-OAEP-SHA1", key: pair.publicKey },
      }),
    ],
    "RSA/ECB/OAEPWithSHA-256AndMGF1Padding": async () => [
      rsaKey(),
      await writeReferenceObject({
        suite: "gcm",
        plaintext,
        wrap: { algorithm: "RSA/ECB/OAEPWithSHA-256AndMGF1Padding", key: pair.publicKey },
      }),
    ],
  } as const

  test.each(Object.entries(cases))("CSE-7.4: %s gives one error, whatever is wrong", async (_algorithm, make) => {
    const [key, object] = (await make()) as [S3ecKey, Awaited<ReturnType<typeof writeReferenceObject>>]
    const name = "x-amz-3" in object.metadata ? "x-amz-3" : "x-amz-key-v2"
    const wrapped = bytes(object.metadata[name]!)
    const messages = new Set<string>()
    const otherKey = key.name.includes("AES")
      ? aesKey({}, counting(32, 100))
      : s3ecRsaKey({ privateKey: otherPair.privateKey })
    const variants = [
      ...[0, 5, wrapped.length >> 1, wrapped.length - 1].map((at) => [flipped(wrapped, at), key] as const),
      [wrapped.subarray(0, -1), key] as const,
      [Buffer.concat([wrapped, Buffer.alloc(8)]), key] as const,
      [Buffer.alloc(1, 1), key] as const,
      [wrapped, otherKey] as const,
    ]
    for (const [changedKey, reader] of variants) {
      const metadata = changed(object.metadata, { [name]: Buffer.from(changedKey).toString("base64") })
      const error = await errorOf(() => read({ ...object, metadata }, { ...ALL, key: reader }))
      messages.add(`${(error as { code?: string }).code} ${error.message}`)
    }
    expect([...messages]).toEqual([expect.stringMatching(/^UnwrapFailed /)])
  })

  test("CSE-6.5, CSE-7.4: the mixed OAEP refuses every broken block alike", async () => {
    const key = rsaKey()
    const request = {
      contentCipher: "AES/GCM/NoPadding",
      wrapAlgorithm: "RSA/ECB/OAEPWithSHA-256AndMGF1Padding",
      description: {},
    } as const
    const unwrap = (wrappedKey: Uint8Array) => key.unwrap({ ...request, wrappedKey })
    const dataKey = Buffer.from(counting(32, 3))
    expect(Buffer.from((await unwrap(mixedOaep(pair.publicKey, dataKey)))!).equals(dataKey)).toBe(true)
    const spoilers: ((block: Buffer) => void)[] = [
      (block) => block.fill(1, 0, 1),
      (block) => block.writeUInt8(block[33]! ^ 1, 33),
      (block) => block.writeUInt8(block[64]! ^ 0x80, 64),
      (block) => block.writeUInt8(2, 65),
      (block) => block.writeUInt8(0x80, 100),
      (block) => block.fill(0, 65),
      (block) => block.writeUInt8(3, block.length - 33),
    ]
    for (const spoil of spoilers) {
      const wrappedKey = mixedOaep(pair.publicKey, dataKey, spoil)
      expect(await codeOf(() => unwrap(wrappedKey))).toBe("UnwrapFailed")
    }
    for (const length of [0, 16, 31, 33]) {
      expect(await codeOf(() => unwrap(mixedOaep(pair.publicKey, counting(length))))).toBe("UnwrapFailed")
    }
  })
})
