import { createHash } from "node:crypto"
import { CreateAliasCommand, CreateKeyCommand } from "@aws-sdk/client-kms"
import { CreateMultipartUploadCommand, GetObjectCommand, HeadObjectCommand } from "@aws-sdk/client-s3"
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest"
import { inspect, rawAesKeyring } from "../../src/index.ts"
import { type EncryptedS3ClientOptions, type EncryptionChoice, envelopeOf } from "../../src/s3/index.ts"
import { codeOf, errorOf } from "../support/errors.ts"
import { pattern } from "../support/keys.ts"
import { Bucket, createS3World, get, put, read, type S3World } from "./s3-world.ts"

const ACCOUNT = "arn:aws:iam::111122223333:root"
const customerKey = new Uint8Array(32).fill(9)
const local = rawAesKeyring({ keyNamespace: "n", keyName: "k", wrappingKey: new Uint8Array(32).fill(1) })

let world: S3World
let otherArn: string
beforeAll(async () => {
  world = await createS3World()
  otherArn = (await world.admin.send(new CreateKeyCommand({}))).KeyMetadata!.Arn!
  await world.admin.send(new CreateAliasCommand({ AliasName: "alias/objects", TargetKeyId: otherArn }))
})
afterAll(() => world[Symbol.asyncDispose]())
beforeEach(() => {
  world.server.forget()
  world.calls.sent.length = 0
})

const full = (options: Partial<EncryptedS3ClientOptions> = {}) =>
  world.client({
    kms: world.calls,
    service: world.kms.service("s3"),
    onBehalfOf: ACCOUNT,
    bucketKey: { maxAgeSeconds: 60 },
    allowUnencrypted: true,
    readFormats: "mixed",
    ...options,
  })

const inspected = async (key: string) => inspect(new Uint8Array(await world.server.stored(Bucket, key).content.bytes()))

const choices: Record<string, EncryptionChoice> = {
  off: { off: true },
  awsOwnedKey: { awsOwnedKey: true },
  awsManagedKey: { awsManagedKey: true },
  kmsKeyId: { kmsKeyId: "alias/objects" },
  customerKey: { customerKey },
  keyring: { keyring: local },
}
const pairs = Object.keys(choices).flatMap((a, i) =>
  Object.keys(choices)
    .slice(i + 1)
    .map((b): [string, string] => [a, b]),
)

describe("the choices of the console (OBJ-6.1)", () => {
  test.each(Object.keys(choices))("%s alone writes and reads", async (name) => {
    const encryption = choices[name]!
    await put(full(), name, pattern(40_000), {}, { encryption })
    const { bytes } = await get(full(), name, {}, { encryption })
    expect(Buffer.compare(bytes, pattern(40_000))).toBe(0)
    expect(await read(full(), name, "bytes=30000-30009", { encryption })).toEqual(pattern(40_000).slice(30_000, 30_010))
  })

  test.each(pairs)("%s with %s is an error before any call", async (a, b) => {
    const encryption = { ...choices[a], ...choices[b] }
    await expect(put(full(), "pair", "x", {}, { encryption })).rejects.toThrow(TypeError)
    await expect(put(full(), "pair", "x", {}, { encryption })).rejects.toThrow(`${a} and ${b}`)
    const create = new CreateMultipartUploadCommand({ Bucket, Key: "pair" })
    await expect(full().send(create, { encryption })).rejects.toThrow(TypeError)
    await expect(get(full(), "keyring", {}, { encryption })).rejects.toThrow(TypeError)
    expect(() => full({ defaultEncryption: [{ bucket: Bucket, encryption }] })).toThrow(TypeError)
    expect([world.server.log.filter(({ operation }) => operation !== "GetObject"), world.calls.sent]).toEqual([[], []])
  })

  test.each(["off", "customerKey"])("bucketKey with %s is an error", async (name) => {
    const encryption = { ...choices[name], bucketKey: true }
    await expect(put(full(), "pair", "x", {}, { encryption })).rejects.toThrow("no bucket key")
    expect(world.server.log).toEqual([])
  })

  test.each([
    [{ kmsKeyId: "" }],
    [{ kmsKeyId: 7 }],
    [{ customerKey: new Uint8Array(16) }],
    [{ customerKey: "k".repeat(32) }],
    [{ keyring: {} }],
    [{ off: false }],
    [{ awsOwnedKey: "yes" }],
    [{ sse: "aws:kms" }],
    [{ bucketKey: "yes" }],
    ["off"],
  ])("%j is no choice", async (encryption) => {
    await expect(put(full(), "x", "x", {}, { encryption: encryption as never })).rejects.toThrow(TypeError)
    expect(world.server.log).toEqual([])
  })
})

describe("off", () => {
  test("needs allowUnencrypted, by name", async () => {
    const encryption = { off: true } as const
    await expect(put(world.client(), "open", "x", {}, { encryption })).rejects.toThrow("allowUnencrypted")
    const rules = [{ bucket: Bucket, encryption }]
    expect(() => world.client({ defaultEncryption: rules })).toThrow("allowUnencrypted")
    // Of what is not encrypted, S3 may check the caller's digest.
    const ContentMD5 = createHash("md5").update("open").digest("base64")
    await put(full(), "open", "open", { ContentMD5 }, { encryption })
    expect(Buffer.from(await world.server.stored(Bucket, "open").content.bytes()).toString()).toBe("open")
    expect(await codeOf(() => get(world.client(), "open"))).toBe("NotEncrypted")
  })
})

describe("keys of the service S3 (OBJ-6.3)", () => {
  test("an AWS owned key is used without a trace in the account", async () => {
    await put(full(), "owned", "x", {}, { encryption: { awsOwnedKey: true } })
    const [entry] = (await inspected("owned")).wrappedKeys
    expect(entry!.keyArn).toContain(":999999999999:key/")
    expect(world.calls.sent).toEqual([])
  })

  test("alias/aws/s3 is the account's own, used on behalf of the caller", async () => {
    await put(full(), "managed", "x", {}, { encryption: { awsManagedKey: true } })
    const [entry] = (await inspected("managed")).wrappedKeys
    expect(entry!.keyArn).toContain(":111122223333:key/")
    const events = await world.kms.events({ eventName: "GenerateDataKey" })
    expect(events.some((event) => JSON.stringify(event).includes("s3.amazonaws.com"))).toBe(true)
  })

  test("against another KMS the configuration throws and names the alternative", async () => {
    for (const encryption of [{ awsOwnedKey: true }, { awsManagedKey: true }] as const) {
      const rules = [{ bucket: Bucket, encryption }]
      expect(() => world.client({ kms: world.calls, defaultEncryption: rules })).toThrow(/embedded KMS.*kmsKeyId/)
      await expect(put(world.client(), "x", "x", {}, { encryption })).rejects.toThrow("ServerSideEncryption")
    }
    const rules = [{ bucket: Bucket, encryption: { awsManagedKey: true } }] as const
    expect(() => world.client({ service: world.kms.service("s3"), defaultEncryption: rules })).toThrow("onBehalfOf")
    expect(() => world.client({ service: world.kms.service("ebs"), defaultEncryption: rules })).toThrow(TypeError)
    expect(world.server.log).toEqual([])
  })
})

describe("a customer managed key", () => {
  test("by ARN, and by alias for reading too", async () => {
    for (const kmsKeyId of [otherArn, "alias/objects"]) {
      const client = world.client({
        kms: world.calls,
        defaultEncryption: [{ bucket: Bucket, encryption: { kmsKeyId } }],
      })
      await put(client, "cmk", "x")
      expect((await inspected("cmk")).wrappedKeys[0]!.keyArn).toBe(otherArn)
      expect((await get(client, "cmk")).bytes).toHaveLength(1)
      expect(await codeOf(() => get(world.client(), "cmk"))).toBe("NoMatchingKey")
    }
  })

  test("that is not symmetric fails with AWS's name before anything is written", async () => {
    const specs = [
      { KeySpec: "RSA_2048", KeyUsage: "ENCRYPT_DECRYPT" },
      { KeySpec: "HMAC_256", KeyUsage: "GENERATE_VERIFY_MAC" },
    ] as const
    let refused = 0
    for (const spec of specs) {
      const made = await world.admin.send(new CreateKeyCommand(spec)).catch(() => undefined)
      if (made === undefined) continue
      const encryption = { kmsKeyId: made.KeyMetadata!.Arn! }
      const error = await errorOf(() => put(full(), "x", pattern(50_000), {}, { encryption }))
      expect(error.name).toMatch(/^InvalidKeyUsage/)
      const create = new CreateMultipartUploadCommand({ Bucket, Key: "x" })
      expect((await errorOf(() => full().send(create, { encryption }))).name).toMatch(/^InvalidKeyUsage/)
      refused++
    }
    expect(refused).toBeGreaterThan(0)
    expect(world.server.log).toEqual([])
  })

  test("needs the option kms", async () => {
    await expect(put(world.client(), "x", "x", {}, { encryption: { kmsKeyId: otherArn } })).rejects.toThrow(
      "option kms",
    )
  })
})

describe("a customer-provided key (OBJ-6.4)", () => {
  test("is needed on every GET and HEAD, and no other opens the object", async () => {
    const client = world.client()
    const encryption = { customerKey: Uint8Array.from(customerKey) }
    await put(client, "own", pattern(5000), {}, { encryption })
    expect(encryption.customerKey).toEqual(customerKey)
    const head = (options = {}) => client.send(new HeadObjectCommand({ Bucket, Key: "own" }), options)
    expect(await codeOf(() => get(client, "own"))).toBe("NoMatchingKey")
    expect(await codeOf(() => read(client, "own", "bytes=0-1"))).toBe("NoMatchingKey")
    expect(await codeOf(head)).toBe("NoMatchingKey")
    const wrong = { encryption: { customerKey: new Uint8Array(32) } }
    expect(await codeOf(() => get(client, "own", {}, wrong))).toBe("UnwrapFailed")
    expect(await codeOf(() => head(wrong))).toBe("UnwrapFailed")
    expect((await get(client, "own", {}, { encryption })).bytes).toEqual(pattern(5000))
    const told = await head({ encryption })
    expect([told.ContentLength, envelopeOf(told)?.keys]).toEqual([5000, ["customer-key"]])
    expect(world.calls.sent).toEqual([])
  })

  test("is never a default, and is not cached", async () => {
    const rules = [{ bucket: Bucket, encryption: { customerKey } }]
    expect(() => world.client({ defaultEncryption: rules })).toThrow("never stored")
    const client = world.client({ readCache: { maxAgeSeconds: 60 } })
    await put(client, "own", pattern(5000), {}, { encryption: { customerKey } })
    await read(client, "own", "bytes=0-1", { encryption: { customerKey } })
    expect(await codeOf(() => read(client, "own", "bytes=0-1"))).toBe("NoMatchingKey")
  })
})

describe("default encryption by bucket and prefix (OBJ-6.2)", () => {
  const rules = () => [
    { bucket: Bucket, encryption: { kmsKeyId: otherArn } },
    { bucket: Bucket, prefix: "local/", encryption: { keyring: local } },
    { bucket: Bucket, prefix: "local/open/", encryption: { off: true } as const },
  ]

  test("the longest prefix decides, the call overrides, other buckets have the client's keyring", async () => {
    const client = full({ defaultEncryption: rules() })
    const providerOf = async (key: string, options = {}, input = {}) => {
      await put(client, key, "x", input, options)
      return (await inspected(key)).wrappedKeys[0]
    }
    expect((await providerOf("a"))!.keyArn).toBe(otherArn)
    expect((await providerOf("local/a"))!.providerId).toBe("n")
    expect((await providerOf("local/a", { encryption: { kmsKeyId: world.keyArn } }))!.keyArn).toBe(world.keyArn)
    await put(client, "local/open/a", "open")
    expect(Buffer.from(await world.server.stored(Bucket, "local/open/a").content.bytes()).toString()).toBe("open")
    await put(client, "a", "x", { Bucket: "other" })
    expect(world.server.stored("other", "a").metadata["envelope-key"]).toContain(world.keyArn)
    for (const key of ["a", "local/a", "local/open/a"]) expect((await get(client, key)).bytes.length).toBeGreaterThan(0)
  })

  test("rules that contradict one another are refused", () => {
    const twice = [...rules(), { bucket: Bucket, encryption: { keyring: local } }]
    expect(() => full({ defaultEncryption: twice })).toThrow("two rules")
    expect(() => full({ defaultEncryption: [{ bucket: "", encryption: {} }] })).toThrow(TypeError)
    expect(() => full({ defaultEncryption: {} as never })).toThrow(TypeError)
  })

  test("nothing to encrypt with is an error", async () => {
    const { EncryptedS3Client } = await import("../../src/s3/index.ts")
    const bare = new EncryptedS3Client({ client: world.server.client() })
    await expect(put(bare, "x", "x")).rejects.toThrow("nothing says how to encrypt")
    await put(world.client(), "x", "x")
    await expect(get(bare, "x")).rejects.toThrow("nothing says how to decrypt")
  })
})

describe("bucket keys (OBJ-7.1)", () => {
  test("200 puts and 200 gets cost one call each, and each object keeps its own data key and context", async () => {
    const writer = world.client({ bucketKey: { maxAgeSeconds: 300 } })
    for (let i = 0; i < 200; i++) await put(writer, `bk/${i}`, `${i}`)
    const reader = world.client({ bucketKey: { maxAgeSeconds: 300 } })
    for (let i = 0; i < 200; i++) expect(Buffer.from((await get(reader, `bk/${i}`)).bytes).toString()).toBe(`${i}`)
    expect(world.kmsOperations()).toEqual(["GenerateDataKey", "Decrypt"])
    for (const { input } of world.calls.sent)
      expect(input.EncryptionContext).toEqual({ "aws:s3:arn": "arn:aws:s3:::reports" })
    expect(world.server.stored(Bucket, "bk/1").metadata["envelope-key"]).toBe(`bucket-key:${world.keyArn}`)
    world.server.move(Bucket, "bk/1", "bk/2")
    expect(await codeOf(() => get(reader, "bk/2"))).toBe("ContextMismatch")
  })

  test("a client without the option reads them, one Decrypt for each read", async () => {
    await put(world.client({ bucketKey: { maxAgeSeconds: 300 } }), "bk/x", "x")
    world.calls.sent.length = 0
    const plain = world.client()
    await get(plain, "bk/x")
    await get(plain, "bk/x")
    expect(world.kmsOperations()).toEqual(["Decrypt", "Decrypt"])
  })

  test("tenants have their own, and the choice bucketKey: false has none", async () => {
    const client = world.client({ bucketKey: { maxAgeSeconds: 300, contextKeys: ["tenant"] } })
    for (const tenant of ["a", "a", "b"]) await put(client, "t", "x", {}, { encryptionContext: { tenant } })
    expect(world.calls.sent.map(({ input }) => input.EncryptionContext.tenant)).toEqual(["a", "b"])
    await put(client, "t", "x", {}, { encryption: { bucketKey: false } })
    expect(world.calls.sent.at(-1)!.input.EncryptionContext).toEqual({ "aws:s3:arn": "arn:aws:s3:::reports/t" })
    await expect(
      put(world.client({ kms: world.calls }), "t", "x", {}, { encryption: { kmsKeyId: otherArn, bucketKey: true } }),
    ).rejects.toThrow("option bucketKey")
  })

  test("go with large objects, copies and uploads, with objectContext none too", async () => {
    const client = world.client({ bucketKey: { maxAgeSeconds: 300 }, objectContext: "none" })
    await put(client, "bk/large", pattern(50_000))
    const output = await client.send(new GetObjectCommand({ Bucket, Key: "bk/large" }))
    expect(await output.Body!.transformToByteArray()).toHaveLength(50_000)
    expect(world.kmsOperations()).toEqual(["GenerateDataKey", "Decrypt"])
  })
})
