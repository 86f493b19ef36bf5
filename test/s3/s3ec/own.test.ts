import { existsSync, readFileSync, writeFileSync } from "node:fs"
import { describe, expect, it } from "vitest"
import { openedStream, planS3ec, s3ecAesKey, s3ecKmsKey, s3ecRsaKey } from "../../../src/s3/s3ec/index.ts"
import { codeOf } from "../../support/errors.ts"
import { pattern } from "../../support/keys.ts"
import { generateOwnObjects, type OwnObject, type OwnObjects } from "./generate.ts"
import { ALL, collect, envelopeOf, read, streamOf } from "./support.ts"

const file = new URL("own.json", import.meta.url)
if (process.env.UPDATE_VECTORS !== undefined || !existsSync(file)) {
  writeFileSync(file, `${JSON.stringify(await generateOwnObjects(), null, 2)}\n`)
}
const own = JSON.parse(readFileSync(file, "utf8")) as OwnObjects
const bytes = (text: string) => new Uint8Array(Buffer.from(text, "base64"))

const keyOf = ({ key, kmsDataKey }: OwnObject) =>
  ({
    aes: () => s3ecAesKey({ wrappingKey: bytes(own.keys.aes) }),
    rsa: () => s3ecRsaKey({ privateKey: bytes(own.keys.rsa) }),
    kms: () =>
      s3ecKmsKey({
        client: {
          takesPlainCommands: true,
          send: async ({ input }) => ({
            KeyId: input.KeyId,
            Plaintext: Uint8Array.from(Buffer.from(kmsDataKey!, "hex")),
          }),
        },
        keyId: "arn:aws:kms:us-east-1:111122223333:key/00000000-0000-0000-0000-000000000000",
      }),
  })[key]()

const stored = ({ metadata, instructionFile, body }: OwnObject) => ({
  metadata,
  body: bytes(body),
  ...(instructionFile !== undefined && { instructionFile }),
})

describe("The project's own objects of the S3 Encryption Client's formats", () => {
  const good = own.objects.filter(({ error }) => error === undefined)
  const bad = own.objects.filter(({ error }) => error !== undefined)

  it("are those that the generator makes today, up to what is random in them", async () => {
    const shape = ({ objects }: OwnObjects) =>
      objects.map(({ metadata, instructionFile, body, kmsDataKey, ...rest }) => ({
        ...rest,
        names: Object.keys(metadata),
        file: instructionFile && Object.keys(JSON.parse(instructionFile)),
        length: bytes(body).length,
      }))
    expect(shape(await generateOwnObjects())).toEqual(shape(own))
    expect([good.length, bad.length]).toEqual([12 + 16, 9])
  })

  it.each(good)("$writer: $name opens, whole and as a stream", async (object) => {
    const { encryptionContext, plaintextLength } = object
    const options = { ...ALL, key: keyOf(object) }
    const expected = pattern(plaintextLength)
    const whole = await read(stored(object), options, { encryptionContext })
    expect(Buffer.from(whole).equals(expected)).toBe(true)
    const envelope = await envelopeOf(stored(object))
    expect(envelope.format).toBe(object.format)
    const source = streamOf(bytes(object.body), 7)
    const stream = await openedStream(planS3ec({ ...ALL, key: keyOf(object) }), envelope, source, { encryptionContext })
    expect((await collect(stream)).equals(expected)).toBe(true)
  })

  it.each(bad)("$name is $error", async (object) => {
    const { encryptionContext } = object
    expect(await codeOf(() => read(stored(object), { ...ALL, key: keyOf(object) }, { encryptionContext }))).toBe(
      object.error,
    )
  })
})
