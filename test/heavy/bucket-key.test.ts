import { DecryptCommand } from "@aws-sdk/client-kms"
import { describe, expect, test } from "vitest"
import { inspect } from "../../src/index.ts"
import { Bucket, createS3World, put } from "../s3/s3-world.ts"
import { pattern } from "../support/keys.ts"
import { hasPython, startPython } from "../support/python.ts"

const name = "Objects with a bucket key, read by kms:Decrypt and the Python SDK's raw AES keyring"

describe.skipIf(!hasPython)(name, () => {
  test.each([0, 1, 5000, 100_000])("%i bytes (OBJ-7.4)", async (size) => {
    await using world = await createS3World()
    await put(world.client({ bucketKey: { maxAgeSeconds: 300 } }), "object", pattern(size))
    const input = new Uint8Array(await world.server.stored(Bucket, "object").content.bytes())
    const { wrappedKeys, encryptionContext, suiteId } = inspect(input)
    const [{ providerId, providerInfo }] = wrappedKeys as [(typeof wrappedKeys)[0]]
    const keyName = Buffer.from(providerInfo.subarray(0, -20)).toString()
    const [KeyId, wrapped] = keyName.split("#")
    const EncryptionContext = { "aws:s3:arn": `arn:aws:s3:::${Bucket}` }
    const CiphertextBlob = Buffer.from(wrapped!, "base64")
    const { Plaintext } = await world.admin.send(new DecryptCommand({ KeyId, CiphertextBlob, EncryptionContext }))
    const python = startPython()
    try {
      const key = Buffer.from(Plaintext!).toString("base64")
      const plaintext = await python.run({
        mode: "d",
        input,
        suiteId,
        frameLength: 0,
        encryptionContext,
        requiredContextKeys: [],
        keys: [{ type: "aes", namespace: providerId, name: keyName, key }],
        stream: false,
      })
      expect(Buffer.compare(plaintext, pattern(size))).toBe(0)
    } finally {
      python.close()
    }
  })
})

test.skipIf(hasPython)(`${name}: skipped, scripts/install-python.sh .cache/python was not run`, () => {})
