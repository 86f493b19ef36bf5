import {
  constants,
  createCipheriv,
  createHash,
  hkdfSync,
  type KeyObject,
  publicEncrypt,
  randomBytes,
} from "node:crypto"

/**
 * A second writer of S3 Encryption Client objects, short and plain, from the format's description alone: it shares no code
 * with src/ and writes what src/ only reads.
 */
export interface ReferenceObject {
  readonly suite: "cbc" | "gcm" | "committing"
  /** Default: V3 for the committing suite, else V2. */
  readonly format?: "V1" | "V2" | "V3"
  readonly plaintext: Uint8Array
  readonly wrap: ReferenceWrap
  /** Default: random. */
  readonly dataKey?: Buffer
  /** IV or message id. Default: random. */
  readonly iv?: Buffer
  /** Context or material description. Default: `{}`. */
  readonly description?: Record<string, string>
}

export type ReferenceWrap =
  | { readonly algorithm: "AES/GCM" | "AESWrap" | "AES"; readonly key: Uint8Array }
  | {
      readonly algorithm: "RSA-OAEP-SHA1" | "RSA/ECB/OAEPWithSHA-256AndMGF1Padding" | "RSA"
      readonly key: KeyObject
    }
  | { readonly algorithm: "kms" | "kms+context"; readonly encrypt: ReferenceKmsEncrypt }

export type ReferenceKmsEncrypt = (dataKey: Buffer, context: Record<string, string>) => Promise<Uint8Array>

export interface WrittenReference {
  readonly metadata: Record<string, string>
  readonly body: Buffer
  readonly dataKey: Buffer
}

const ciphers = { cbc: "AES/CBC/PKCS5Padding", gcm: "AES/GCM/NoPadding", committing: "115" }
const v3Wraps: Record<string, string> = { "AES/GCM": "02", "kms+context": "12", "RSA-OAEP-SHA1": "22" }

export async function writeReferenceObject(object: ReferenceObject): Promise<WrittenReference> {
  const { suite, wrap, plaintext } = object
  const format = object.format ?? (suite === "committing" ? "V3" : "V2")
  const dataKey = object.dataKey ?? randomBytes(32)
  const iv = object.iv ?? randomBytes({ cbc: 16, gcm: 12, committing: 28 }[suite])
  const description = { ...object.description }
  if (wrap.algorithm === "kms+context") description["aws:x-amz-cek-alg"] ??= ciphers[suite]
  const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString("base64")
  const wrapped = base64(await wrapKey(wrap, dataKey, ciphers[suite], description))
  const matdesc = JSON.stringify(description)
  if (format === "V3") {
    const derive = (name: string, length: number) => {
      const info = Buffer.concat([Buffer.from([0, 0x73]), Buffer.from(name)])
      return Buffer.from(hkdfSync("sha512", dataKey, iv, info, length))
    }
    return {
      dataKey,
      body: gcm(derive("DERIVEKEY", 32), Buffer.alloc(12, 1), Buffer.from([0, 0x73]), plaintext),
      metadata: {
        "x-amz-c": "115",
        "x-amz-3": wrapped,
        "x-amz-w": v3Wraps[wrap.algorithm]!,
        [wrap.algorithm === "kms+context" ? "x-amz-t" : "x-amz-m"]: matdesc,
        "x-amz-d": base64(derive("COMMITKEY", 28)),
        "x-amz-i": base64(iv),
      },
    }
  }
  const common = { "x-amz-iv": base64(iv), "x-amz-matdesc": matdesc }
  const body = suite === "gcm" ? gcm(dataKey, iv, Buffer.alloc(0), plaintext) : cbc(dataKey, iv, plaintext)
  if (format === "V1") return { dataKey, body, metadata: { ...common, "x-amz-key": wrapped } }
  const tagLength = suite === "gcm" ? { "x-amz-tag-len": "128" } : {}
  const algorithms = { "x-amz-wrap-alg": wrap.algorithm, "x-amz-cek-alg": ciphers[suite] }
  return { dataKey, body, metadata: { ...common, ...algorithms, ...tagLength, "x-amz-key-v2": wrapped } }
}

async function wrapKey(
  wrap: ReferenceWrap,
  dataKey: Buffer,
  cek: string,
  description: Record<string, string>,
): Promise<Uint8Array> {
  switch (wrap.algorithm) {
    case "kms":
    case "kms+context":
      return wrap.encrypt(dataKey, description)
    case "AES/GCM": {
      const nonce = randomBytes(12)
      return Buffer.concat([nonce, gcm(wrap.key, nonce, Buffer.from(cek), dataKey)])
    }
    case "AESWrap":
      return whole(createCipheriv(`id-aes${wrap.key.length * 8}-wrap`, wrap.key, Buffer.alloc(8, 0xa6)), dataKey)
    case "AES":
      return whole(createCipheriv(`aes-${wrap.key.length * 8}-ecb`, wrap.key, null), dataKey)
    case "RSA":
      return publicEncrypt({ key: wrap.key, padding: constants.RSA_PKCS1_PADDING }, dataKey)
    case "RSA-OAEP-SHA1": {
      const plaintext = Buffer.concat([Buffer.from([dataKey.length]), dataKey, Buffer.from(cek)])
      return publicEncrypt({ key: wrap.key, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: "sha1" }, plaintext)
    }
    case "RSA/ECB/OAEPWithSHA-256AndMGF1Padding":
      return mixedOaep(wrap.key, dataKey)
  }
}

/** RFC 8017, section 7.1.1, with SHA-256 for the label and MGF1-SHA1. @param spoil changes the block before it is masked */
export function mixedOaep(key: KeyObject, message: Uint8Array, spoil: (block: Buffer) => void = () => {}): Buffer {
  const length = key.asymmetricKeyDetails!.modulusLength! / 8
  const block = Buffer.alloc(length)
  const [seed, data] = [block.subarray(1, 33), block.subarray(33)]
  randomBytes(32).copy(seed)
  createHash("sha256").digest().copy(data)
  data[data.length - message.length - 1] = 1
  data.set(message, data.length - message.length)
  spoil(block)
  mask(data, seed)
  mask(seed, data)
  return publicEncrypt({ key, padding: constants.RSA_NO_PADDING }, block)
}

function mask(target: Buffer, seed: Buffer): void {
  const blocks: Buffer[] = []
  for (let i = 0; i * 20 < target.length; i++) {
    const counter = Buffer.alloc(4)
    counter.writeUInt32BE(i)
    blocks.push(createHash("sha1").update(seed).update(counter).digest())
  }
  const all = Buffer.concat(blocks)
  for (let i = 0; i < target.length; i++) target[i]! ^= all[i]!
}

const whole = (cipher: ReturnType<typeof createCipheriv>, plaintext: Uint8Array): Buffer =>
  Buffer.concat([cipher.update(plaintext), cipher.final()])

const cbc = (key: Uint8Array, iv: Uint8Array, plaintext: Uint8Array): Buffer =>
  whole(createCipheriv("aes-256-cbc", key, iv), plaintext)

function gcm(key: Uint8Array, iv: Uint8Array, aad: Uint8Array, plaintext: Uint8Array): Buffer {
  const cipher = createCipheriv(`aes-${(key.length * 8) as 128 | 192 | 256}-gcm`, key, iv)
  if (aad.length > 0) cipher.setAAD(aad)
  return Buffer.concat([cipher.update(plaintext), cipher.final(), cipher.getAuthTag()])
}
