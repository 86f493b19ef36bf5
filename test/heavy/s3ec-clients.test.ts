import { generateKeyPairSync } from "node:crypto"
import { CreateKeyCommand, EncryptCommand, KMSClient } from "@aws-sdk/client-kms"
import { CreateBucketCommand, GetObjectCommand, PutObjectCommand, S3Client } from "@aws-sdk/client-s3"
import { Upload } from "@aws-sdk/lib-storage"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import type { CommitmentPolicy } from "../../src/core/index.ts"
import { LocalKms } from "../../src/local-kms/index.ts"
import { EncryptedS3Client } from "../../src/s3/index.ts"
import {
  findEnvelope,
  INSTRUCTION_FILE_METADATA,
  instructionFileKey,
  objectSealer,
  openedStream,
  planS3ec,
  type S3ecKey,
  type S3ecOptions,
  s3ecAesKey,
  s3ecBucketKey,
  s3ecKmsKey,
  s3ecRsaKey,
  sealedStream,
  sealObject,
} from "../../src/s3/s3ec/index.ts"
import { writeReferenceObject } from "../s3/s3ec/reference.ts"
import { collect, rewrapEnvelope, streamOf } from "../s3/s3ec/support.ts"
import { errorOf } from "../support/errors.ts"
import { counting, pattern } from "../support/keys.ts"
import {
  hasS3ecPython,
  hasS3ecRuby,
  PEER_CREDENTIALS,
  type S3ecPeer,
  startMoto,
  startS3ecPython,
  startS3ecRuby,
} from "../support/s3ec-peers.ts"

const MIB = 1024 * 1024
const LENGTHS = [0, 1, 16, 16 * MIB - 1, 16 * MIB, 16 * MIB + 1]
const PART_SIZE = 6 * MIB
const Bucket = "interop"
const context = { dept: "x", "aws:s3:arn": "arn:aws:s3:::interop/any" }
const ALL = { commitmentPolicy: "RequireEncryptAllowDecrypt", legacyWrapping: true, unauthenticatedCbc: true } as const
const policies: Record<"V2" | "V3", CommitmentPolicy> = {
  V2: "ForbidEncryptAllowDecrypt",
  V3: "RequireEncryptRequireDecrypt",
}
const wrappingKey = counting(32, 3)
const pair = generateKeyPairSync("rsa", { modulusLength: 2048 })
const pem = pair.privateKey.export({ type: "pkcs1", format: "pem" })

interface KmsAt {
  readonly name: string
  readonly endpoint: string
  readonly client: KMSClient
  readonly keyId: string
}

let moto: Awaited<ReturnType<typeof startMoto>>
let local: LocalKms
let s3: S3Client
const kmsAt: Record<string, KmsAt> = {}

if (hasS3ecPython) {
  beforeAll(async () => {
    moto = await startMoto()
    local = LocalKms.inMemory({ region: "us-east-1" })
    const everything = {
      Version: "2012-10-17",
      Statement: [{ Effect: "Allow", Action: "kms:*", Resource: "*" }],
    }
    await local.seed({
      users: [{ name: "Peer", policies: { everything } }],
      accessKeys: [{ ...PEER_CREDENTIALS, principal: "arn:aws:iam::111122223333:user/Peer" }],
    })
    const credentials = PEER_CREDENTIALS
    s3 = new S3Client({ endpoint: moto.endpoint, region: "us-east-1", credentials, forcePathStyle: true })
    await s3.send(new CreateBucketCommand({ Bucket }))
    for (const [name, endpoint] of [
      ["moto's KMS", moto.endpoint],
      ["the embedded KMS", (await local.listen({ port: 0 })).endpoint],
    ] as const) {
      const client = new KMSClient({ endpoint, region: "us-east-1", credentials })
      const { KeyMetadata } = await client.send(new CreateKeyCommand({}))
      kmsAt[name] = { name, endpoint, client, keyId: KeyMetadata!.Arn! }
    }
  })
  afterAll(async () => {
    moto.close()
    await local.close()
  })
}

const kmsNames = ["moto's KMS", "the embedded KMS"]
let count = 0
const newKey = () => `objects/${++count} é`

/** Writes through the plain client, as one request or in parts. */
async function put(
  Key: string,
  plaintext: Uint8Array,
  options: S3ecOptions,
  call: object,
  inParts = false,
): Promise<void> {
  const plan = planS3ec(options)
  let instructionFile: string | undefined
  if (inParts) {
    const sealer = await objectSealer(plan, call)
    const Body = sealedStream(sealer, streamOf(plaintext, 100_000))
    const params = { Bucket, Key, Metadata: sealer.metadata, Body }
    await new Upload({ client: s3, partSize: PART_SIZE, queueSize: 3, params }).done()
    instructionFile = sealer.instructionFile
  } else {
    const { body: Body, metadata: Metadata, instructionFile: file } = await sealObject(plan, plaintext, call)
    instructionFile = file
    await s3.send(new PutObjectCommand({ Bucket, Key, Metadata, Body }))
  }
  if (instructionFile !== undefined) {
    const file = { Key: instructionFileKey(Key), Body: instructionFile, Metadata: INSTRUCTION_FILE_METADATA }
    await s3.send(new PutObjectCommand({ Bucket, ...file }))
  }
}

const envelopeAt = async (Key: string, Metadata: Record<string, string> | undefined) =>
  (await findEnvelope(Metadata, async () => {
    const file = await s3.send(new GetObjectCommand({ Bucket, Key: instructionFileKey(Key) }))
    return file.Body!.transformToByteArray()
  }))!

async function get(Key: string, options: S3ecOptions, call: object): Promise<Buffer> {
  const { Metadata, Body, ContentLength } = await s3.send(new GetObjectCommand({ Bucket, Key }))
  const envelope = await envelopeAt(Key, Metadata)
  const known = { ...call, objectLength: ContentLength! }
  return collect(await openedStream(planS3ec(options), envelope, Body as never, known))
}

const same = (a: Uint8Array, b: Uint8Array) => expect(Buffer.compare(a, b)).toBe(0)

const python = hasS3ecPython ? describe : describe.skip
const how = hasS3ecPython
  ? ""
  : " (skipped: run scripts/install-python.sh .cache/s3ec scripts/s3ec-requirements.txt first)"

python(`Objects between this library and the S3 Encryption Client for Python 4.0.0, over moto's S3${how}`, () => {
  let peer: S3ecPeer
  beforeAll(() => {
    peer = startS3ecPython()
  })
  afterAll(() => peer.close())
  const ask = (kms: KmsAt, key: string, format: "V2" | "V3", more: object) =>
    peer.run({
      s3: moto.endpoint,
      kms: kms.endpoint,
      keyId: kms.keyId,
      bucket: Bucket,
      key,
      policy: policies[format],
      context,
      ...more,
    })

  for (const kmsName of kmsNames) {
    for (const format of ["V3", "V2"] as const) {
      test(`${format} under ${kmsName}: written here, read there`, async () => {
        const kms = kmsAt[kmsName]!
        const key = s3ecKmsKey(kms)
        for (const length of LENGTHS) {
          for (const instructionFile of [false, true]) {
            const name = newKey()
            const options = { key, instructionFile, commitmentPolicy: policies[format] }
            await put(name, pattern(length), options, { encryptionContext: context })
            same(await ask(kms, name, format, { mode: "get" }), pattern(length))
          }
        }
      })

      test(`${format} under ${kmsName}: written there, read here`, async () => {
        const kms = kmsAt[kmsName]!
        const options = { key: s3ecKmsKey(kms), ...(format === "V2" && ALL) }
        for (const length of LENGTHS) {
          const name = newKey()
          const body = Buffer.from(pattern(length)).toString("base64")
          await ask(kms, name, format, { mode: "put", body })
          same(await get(name, options, { encryptionContext: context }), pattern(length))
        }
      })

      test(`${format} under ${kmsName}: in parts, both ways`, async () => {
        const kms = kmsAt[kmsName]!
        const key = s3ecKmsKey(kms)
        const plaintext = pattern(16 * MIB + 7)
        const here = newKey()
        await put(here, plaintext, { key, commitmentPolicy: policies[format] }, { encryptionContext: context }, true)
        same(await ask(kms, here, format, { mode: "get" }), plaintext)
        const there = newKey()
        const body = Buffer.from(plaintext).toString("base64")
        await ask(kms, there, format, { mode: "put", body, partSize: PART_SIZE })
        const options = { key, ...(format === "V2" && ALL) }
        same(await get(there, options, { encryptionContext: context }), plaintext)
      })
    }

    test(`legacy kms under ${kmsName}, GCM and CBC, of the reference writer: read by both`, async () => {
      const kms = kmsAt[kmsName]!
      const encrypt = async (Plaintext: Buffer, EncryptionContext: Record<string, string>) =>
        (await kms.client.send(new EncryptCommand({ KeyId: kms.keyId, Plaintext, EncryptionContext }))).CiphertextBlob!
      for (const suite of ["gcm", "cbc"] as const) {
        const wrap = { algorithm: "kms", encrypt } as const
        const description = { kms_cmk_id: kms.keyId }
        const plaintext = pattern(1000)
        const { metadata: Metadata, body: Body } = await writeReferenceObject({ suite, wrap, description, plaintext })
        const Key = newKey()
        await s3.send(new PutObjectCommand({ Bucket, Key, Metadata, Body }))
        same(await ask(kms, Key, "V2", { mode: "get", context: {} }), plaintext)
        same(await get(Key, { ...ALL, key: s3ecKmsKey(kms) }, {}), plaintext)
      }
    })

    test(`rewrapped by ReEncrypt of ${kmsName}: read there under the other key only`, async () => {
      const kms = kmsAt[kmsName]!
      const other = (await kms.client.send(new CreateKeyCommand({}))).KeyMetadata!.Arn!
      const Key = newKey()
      await put(Key, pattern(500), { key: s3ecKmsKey(kms) }, { encryptionContext: context })
      const { Metadata, Body } = await s3.send(new GetObjectCommand({ Bucket, Key }))
      const { metadata } = await rewrapEnvelope(await envelopeAt(Key, Metadata), { client: kms.client, keyId: other })
      const body = await Body!.transformToByteArray()
      await s3.send(new PutObjectCommand({ Bucket, Key, Metadata: metadata, Body: body }))
      same(await ask({ ...kms, keyId: other }, Key, "V3", { mode: "get" }), pattern(500))
      expect((await errorOf(() => ask(kms, Key, "V3", { mode: "get" }))).message).toMatch(/^peer: /)
    })
  }

  test("EncryptedS3Client writes for it, and reads what it wrote, in one request and in parts", async () => {
    const kms = kmsAt["the embedded KMS"]!
    for (const instructionFile of [false, true]) {
      await using client = new EncryptedS3Client({
        client: s3,
        format: "s3ec",
        s3ec: { key: s3ecKmsKey(kms), instructionFile },
        encryptionContext: context,
        partSize: PART_SIZE,
      })
      for (const length of [0, 1, 16 * MIB + 7]) {
        const [here, there] = [newKey(), newKey()]
        await client.send(new PutObjectCommand({ Bucket, Key: here, Body: pattern(length) }))
        same(await ask(kms, here, "V3", { mode: "get" }), pattern(length))
        const inParts = newKey()
        const params = { Bucket, Key: inParts, Body: Buffer.from(pattern(length)) }
        await new Upload({ client, partSize: PART_SIZE, params }).done()
        same(await ask(kms, inParts, "V3", { mode: "get" }), pattern(length))
        const body = Buffer.from(pattern(length)).toString("base64")
        await ask(kms, there, "V3", { mode: "put", body, ...(length > MIB && { partSize: PART_SIZE }) })
        for (const Key of [here, inParts, there]) {
          const { Body, ContentLength } = await client.send(new GetObjectCommand({ Bucket, Key }))
          expect(ContentLength).toBe(length)
          same(await Body!.transformToByteArray(), pattern(length))
        }
      }
    }
  })

  test("objects of one data key are read as any other", async () => {
    const kms = kmsAt["the embedded KMS"]!
    using key = s3ecBucketKey(s3ecKmsKey(kms), { maxAgeSeconds: 60 })
    for (const length of [0, 1, 1000]) {
      const Key = newKey()
      await put(Key, pattern(length), { key }, { encryptionContext: context })
      same(await ask(kms, Key, "V3", { mode: "get" }), pattern(length))
    }
  })

  test("another context, a flipped bit and the wrong policy are refused on both sides", async () => {
    const kms = kmsAt["the embedded KMS"]!
    const key = s3ecKmsKey(kms)
    const Key = newKey()
    await put(Key, pattern(100), { key }, { encryptionContext: context })
    expect((await errorOf(() => ask(kms, Key, "V3", { mode: "get", context: {} }))).message).toMatch(/^peer: /)
    expect(await errorOf(() => get(Key, { key }, {}))).toMatchObject({ code: "ContextMismatch" })
    const { Metadata, Body } = await s3.send(new GetObjectCommand({ Bucket, Key }))
    const body = await Body!.transformToByteArray()
    body[5]! ^= 1
    await s3.send(new PutObjectCommand({ Bucket, Key, Metadata, Body: body }))
    expect((await errorOf(() => ask(kms, Key, "V3", { mode: "get" }))).message).toMatch(/^peer: /)
    expect(await errorOf(() => get(Key, { key }, { encryptionContext: context }))).toMatchObject({
      code: "TamperedMessage",
    })
    const old = newKey()
    await put(old, pattern(100), { key, commitmentPolicy: policies.V2 }, { encryptionContext: context })
    expect((await errorOf(() => ask(kms, old, "V3", { mode: "get" }))).message).toMatch(/^peer: /)
    expect(await errorOf(() => get(old, { key }, { encryptionContext: context }))).toMatchObject({
      code: "CommitmentPolicy",
    })
  })
})

const canRuby = hasS3ecPython && hasS3ecRuby
const ruby = canRuby ? describe : describe.skip
const rubyHow = canRuby
  ? ""
  : " (skipped: needs moto as above, and apt-get install ruby ruby-aws-sdk-s3 ruby-aws-sdk-kms)"

ruby(`Objects between this library and the AWS SDK for Ruby, over moto's S3${rubyHow}`, () => {
  let peer: S3ecPeer
  beforeAll(() => {
    peer = startS3ecRuby()
  })
  afterAll(() => peer.close())
  const kms = () => kmsAt["moto's KMS"]!
  const keys: Record<string, () => S3ecKey> = {
    kms: () => s3ecKmsKey(kms()),
    aes: () => s3ecAesKey({ wrappingKey }),
    rsa: () => s3ecRsaKey(pair),
  }
  const ask = (kind: string, key: string, format: "V1" | "V2", more: object) =>
    peer.run({
      s3: moto.endpoint,
      kms: kms().endpoint,
      keyId: kms().keyId,
      aesKey: Buffer.from(wrappingKey).toString("base64"),
      rsaKey: pem,
      bucket: Bucket,
      context: kind === "kms" && format === "V2" ? context : {},
      kind,
      key,
      format,
      ...more,
    })
  const callFor = (kind: string) => (kind === "kms" ? { encryptionContext: context } : {})

  describe.each(["kms", "aes", "rsa"])("under a %s key", (kind) => {
    test.each([
      ["in metadata", false],
      ["in an instruction file", true],
    ])("V2 %s: written here, read there", async (_where, instructionFile) => {
      for (const length of LENGTHS) {
        const name = newKey()
        const options = { key: keys[kind]!(), instructionFile, commitmentPolicy: policies.V2 }
        await put(name, pattern(length), options, callFor(kind))
        same(await ask(kind, name, "V2", { mode: "get", instructionFile }), pattern(length))
      }
    })

    test.each([
      ["in metadata", false],
      ["in an instruction file", true],
    ])("V2 %s: written there, read here", async (_where, instructionFile) => {
      for (const length of LENGTHS) {
        const name = newKey()
        const body = Buffer.from(pattern(length)).toString("base64")
        await ask(kind, name, "V2", { mode: "put", body, instructionFile })
        same(await get(name, { ...ALL, key: keys[kind]!() }, callFor(kind)), pattern(length))
      }
    })

    test("V2 in parts: written here, read there", async () => {
      const name = newKey()
      await put(name, pattern(16 * MIB + 7), { key: keys[kind]!(), commitmentPolicy: policies.V2 }, callFor(kind), true)
      same(await ask(kind, name, "V2", { mode: "get" }), pattern(16 * MIB + 7))
    })

    test("V1, AES-CBC: written there, read here", async () => {
      for (const length of [1, 16, 1000, 16 * MIB + 1]) {
        const name = newKey()
        await ask(kind, name, "V1", { mode: "put", body: Buffer.from(pattern(length)).toString("base64") })
        const reading = get(name, { ...ALL, key: keys[kind]!() }, {})
        const result = await reading.catch((error) => error)
        if (result instanceof Error)
          expect([kind, result.message]).toEqual(["rsa", expect.stringContaining("CVE-2023-46809")])
        else same(result, pattern(length))
      }
    })
  })
})
