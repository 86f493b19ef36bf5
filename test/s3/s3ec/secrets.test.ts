import { randomBytes } from "node:crypto"
import { describe, expect, test } from "vitest"
import { deriveObjectKeys } from "../../../src/crypto/index.ts"
import { type S3ecKey, s3ecAesKey, s3ecBucketKey, s3ecRsaKey } from "../../../src/s3/s3ec/index.ts"
import { errorOf } from "../../support/errors.ts"
import { listen, settled } from "../../telemetry/listen.ts"
import { findSecrets, type Secret } from "../../telemetry/scan.ts"
import { ALL, changed, flipped, kmsKey, pair, read, type StoredObject, write } from "./support.ts"

const plaintext = new Uint8Array(randomBytes(48))
const wrappingKey = new Uint8Array(randomBytes(32))
const V2 = { commitmentPolicy: "ForbidEncryptAllowDecrypt" } as const

/** The key, with each data key that passes through it, and what derives from it, added to the secrets. */
function watched(key: S3ecKey, secrets: Secret[]): S3ecKey {
  const note = (dataKey: Uint8Array | undefined) =>
    dataKey && secrets.push({ name: "data key", bytes: new Uint8Array(dataKey) })
  return {
    ...key,
    wrap: async (request) => {
      const result = await key.wrap(request)
      note(result.dataKey)
      return result
    },
    unwrap: async (request) => {
      const dataKey = await key.unwrap(request)
      note(dataKey)
      return dataKey
    },
  }
}

const keys: [string, () => S3ecKey][] = [
  ["KMS", () => kmsKey()],
  ["shared KMS", () => s3ecBucketKey(kmsKey(), { maxAgeSeconds: 60 })],
  ["AES", () => s3ecAesKey({ wrappingKey })],
  ["RSA", () => s3ecRsaKey(pair)],
]

describe("No channel, error, envelope or key object shows a secret", () => {
  test.each(keys)("under a %s key", async (_kind, make) => {
    const secrets: Secret[] = [
      { name: "plaintext", bytes: plaintext },
      { name: "wrapping key", bytes: wrappingKey },
    ]
    const seen: unknown[] = []
    using ears = listen((payload) => seen.push(payload))
    const key = watched(make(), secrets)
    for (const policy of [{}, V2]) {
      const object = await write(plaintext, { key, ...policy })
      const messageId = object.metadata["x-amz-i"]
      if (messageId !== undefined) {
        const { encryptionKey } = deriveObjectKeys(secrets.at(-1)!.bytes, Buffer.from(messageId, "base64"))
        secrets.push({ name: "encryption key", bytes: encryptionKey })
      }
      const name = "x-amz-3" in object.metadata ? "x-amz-3" : "x-amz-key-v2"
      const wrapped = flipped(Buffer.from(object.metadata[name]!, "base64"), 40)
      const broken: StoredObject[] = [
        { ...object, body: flipped(object.body, -1) },
        { ...object, body: object.body.subarray(0, 5) },
        { ...object, metadata: changed(object.metadata, { [name]: Buffer.from(wrapped).toString("base64") }) },
        { ...object, metadata: changed(object.metadata, { "x-amz-cek-alg": "AES/GCM/NoPadding", "x-amz-c": "115" }) },
      ]
      await read(object, { ...ALL, key })
      for (const each of broken) seen.push(await errorOf(() => read(each, { ...ALL, key })))
      seen.push(await errorOf(() => read(object, { ...ALL, key }, { encryptionContext: { dept: "x" } })))
      seen.push(object.metadata, make())
    }
    await settled()
    expect(ears.heard.length > 0).toBe(key.bindsContext)
    expect(secrets.length).toBeGreaterThan(5)
    expect(seen.flatMap((one) => findSecrets(one, secrets))).toEqual([])
  })
})
