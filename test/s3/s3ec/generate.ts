import { generateKeyPairSync, type KeyObject, randomBytes } from "node:crypto"
import type { EnvelopeErrorCode, KmsClient } from "../../../src/core/index.ts"
import {
  planS3ec,
  type S3ecOptions,
  s3ecAesKey,
  s3ecKmsKey,
  s3ecRsaKey,
  sealObject,
} from "../../../src/s3/s3ec/index.ts"
import { counting, pattern } from "../../support/keys.ts"
import { type ReferenceObject, type ReferenceWrap, writeReferenceObject } from "./reference.ts"

/** One object of `own.json`. Plaintexts are `pattern(plaintextLength)` of test/support/keys.ts. */
export interface OwnObject {
  readonly name: string
  readonly writer: "kms-envelope" | "reference"
  readonly key: "kms" | "aes" | "rsa"
  readonly format: "V1" | "V2" | "V3"
  readonly metadata: Record<string, string>
  readonly instructionFile?: string
  /** base64 */
  readonly body: string
  readonly plaintextLength: number
  /** The caller's pairs. */
  readonly encryptionContext: Record<string, string>
  /** What a KMS would give for the wrapped key, under the stored context: hexadecimal. */
  readonly kmsDataKey?: string
  /** For objects to refuse. */
  readonly error?: EnvelopeErrorCode
}

export interface OwnObjects {
  readonly about: string
  /** base64: an AES key, and an RSA key (PKCS #8) of these tests alone. */
  readonly keys: { readonly aes: string; readonly rsa: string }
  readonly objects: readonly OwnObject[]
}

const AES = counting(32, 11)
const KEY_ARN = "arn:aws:kms:us-east-1:111122223333:key/00000000-0000-0000-0000-000000000000"
const CONTEXT = { dept: "x", "ключ 🔑": "å" }
const V2 = { commitmentPolicy: "ForbidEncryptAllowDecrypt" } as const
const lengths = [0, 1, 16, 100]

/** Every run makes other objects: keys, ids and wrapped keys are random. */
export async function generateOwnObjects(): Promise<OwnObjects> {
  const pair = generateKeyPairSync("rsa", { modulusLength: 2048 })
  const good = [...(await ours(pair)), ...(await references(pair.publicKey))]
  return {
    about: "Objects of this project's own: see generate.ts beside this file. UPDATE_VECTORS=1 writes them anew.",
    keys: { aes: base64(AES), rsa: base64(pair.privateKey.export({ type: "pkcs8", format: "der" })) },
    objects: [...good, ...bad(good)],
  }
}

async function ours(pair: { publicKey: KeyObject; privateKey: KeyObject }): Promise<OwnObject[]> {
  const objects: OwnObject[] = []
  const materialDescription = { generation: "1", å: "日本" }
  for (const key of ["kms", "aes", "rsa"] as const) {
    for (const policy of [{}, V2]) {
      for (const instructionFile of [false, true]) {
        const { client, dataKey } = stubKms()
        const encryptionContext = key === "kms" ? CONTEXT : {}
        const keys = {
          kms: () => s3ecKmsKey({ client, keyId: KEY_ARN }),
          aes: () => s3ecAesKey({ wrappingKey: AES, materialDescription }),
          rsa: () => s3ecRsaKey({ publicKey: pair.publicKey, materialDescription }),
        }
        const options: S3ecOptions = { key: keys[key](), instructionFile, ...policy }
        const plaintextLength = lengths[objects.length % lengths.length]!
        const sealed = await sealObject(planS3ec(options), pattern(plaintextLength), { encryptionContext })
        const format = policy === V2 ? "V2" : "V3"
        objects.push({
          name: `${format}, ${key}${instructionFile ? ", instruction file" : ""}`,
          writer: "kms-envelope",
          key,
          format,
          metadata: sealed.metadata,
          ...(sealed.instructionFile !== undefined && { instructionFile: sealed.instructionFile }),
          body: base64(sealed.body),
          plaintextLength,
          encryptionContext,
          ...(key === "kms" && { kmsDataKey: dataKey.toString("hex") }),
        })
      }
    }
  }
  return objects
}

/** A KMS that gives one data key. */
function stubKms(): { client: KmsClient; dataKey: Buffer } {
  const dataKey = randomBytes(32)
  const answer = { KeyId: KEY_ARN, Plaintext: Uint8Array.from(dataKey), CiphertextBlob: randomBytes(184) }
  return { dataKey, client: { takesPlainCommands: true, send: async () => answer } }
}

/** What the clients of all versions wrote, and this library only reads. */
async function references(publicKey: KeyObject): Promise<OwnObject[]> {
  const kms = { encrypt: async () => randomBytes(184) }
  const wraps: ReferenceWrap[] = [
    { algorithm: "kms+context", ...kms },
    { algorithm: "kms", ...kms },
    { algorithm: "AES/GCM", key: AES },
    { algorithm: "AESWrap", key: AES },
    { algorithm: "RSA-OAEP-SHA1", key: publicKey },
    { algorithm: "RSA/ECB/OAEPWithSHA-256AndMGF1Padding", key: publicKey },
  ]
  const current = ["kms+context", "AES/GCM", "RSA-OAEP-SHA1"]
  const objects: OwnObject[] = []
  const add = async (object: Omit<ReferenceObject, "plaintext">, format: "V1" | "V2" | "V3") => {
    const { algorithm } = object.wrap
    const key = algorithm.startsWith("kms") ? "kms" : algorithm.startsWith("AES") ? "aes" : "rsa"
    const encryptionContext = algorithm === "kms+context" ? { dept: "x" } : {}
    const description = algorithm === "kms" ? { kms_cmk_id: KEY_ARN, dept: "y" } : encryptionContext
    const plaintextLength = lengths[objects.length % lengths.length]!
    const written = await writeReferenceObject({ ...object, format, description, plaintext: pattern(plaintextLength) })
    objects.push({
      name: `${format}, ${object.suite}, ${algorithm}`,
      writer: "reference",
      key,
      format,
      metadata: written.metadata,
      body: base64(written.body),
      plaintextLength,
      encryptionContext,
      ...(key === "kms" && { kmsDataKey: written.dataKey.toString("hex") }),
    })
  }
  for (const wrap of wraps) {
    for (const suite of ["cbc", "gcm"] as const) await add({ suite, wrap }, "V2")
    if (current.includes(wrap.algorithm)) await add({ suite: "committing", wrap }, "V3")
  }
  await add({ suite: "cbc", wrap: { algorithm: "AES", key: AES } }, "V1")
  return objects
}

/** Changed as an attacker would. */
function bad(good: readonly OwnObject[]): OwnObject[] {
  const find = (name: string, writer: OwnObject["writer"] = "kms-envelope") =>
    good.find((object) => object.name === name && object.writer === writer)!
  const v3 = find("V3, aes")
  const v2 = find("V2, aes")
  const withBody = (object: OwnObject, body: Buffer) => ({ ...object, body: base64(body) })
  const bodyOf = (object: OwnObject) => Buffer.from(object.body, "base64")
  const turned = (object: OwnObject) => {
    const body = bodyOf(object)
    body[0]! ^= 1
    return withBody(object, body)
  }
  const split = find("V3, aes, instruction file")
  const injected = JSON.stringify({ ...JSON.parse(split.instructionFile!), "x-amz-d": split.metadata["x-amz-d"] })
  const { "x-amz-d": commitment, ...uncommitted } = v3.metadata
  return [
    { ...turned(v3), name: "V3, a bit of the body", error: "TamperedMessage" },
    { ...turned(v2), name: "V2, a bit of the body", error: "TamperedMessage" },
    { ...withBody(v3, bodyOf(v3).subarray(0, 10)), name: "V3, cut below its tag", error: "TruncatedMessage" },
    { ...v3, metadata: uncommitted, name: "V3, no commitment", error: "MalformedMessage" },
    {
      ...v3,
      metadata: { ...v3.metadata, "x-amz-d": find("V3, rsa").metadata["x-amz-d"]! },
      name: "V3, another's commitment",
      error: "TamperedMessage",
    },
    {
      ...v2,
      metadata: { ...v2.metadata, "x-amz-c": "115", "x-amz-w": "02" },
      name: "V2 as committing",
      error: "MalformedMessage",
    },
    { ...split, instructionFile: injected, name: "V3, commitment in the instruction file", error: "MalformedMessage" },
    { ...find("V3, kms"), encryptionContext: { dept: "y" }, name: "V3, another context", error: "ContextMismatch" },
    { ...v3, metadata: { ...v3.metadata, "x-amz-w": "01" }, name: "V3, unknown wrapping", error: "UnsupportedFormat" },
  ]
}

const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString("base64")
