import { existsSync, readFileSync } from "node:fs"
import { describe, expect, test } from "vitest"
import type { KmsClient } from "../../../src/core/index.ts"
import { deriveObjectKeys, openObjectKey, sealBody } from "../../../src/crypto/index.ts"
import { type S3ecKey, s3ecAesKey, s3ecKmsDiscoveryKey, s3ecRsaKey } from "../../../src/s3/s3ec/index.ts"
import { errorOf } from "../../support/errors.ts"
import { ALL, envelopeOf, read, refusesPkcs1 } from "./support.ts"

interface Fixture {
  readonly name: string
  readonly writer: string
  readonly metadata: Record<string, string>
  readonly instruction_file?: string
  readonly body_b64: string
  readonly plaintext: string
  readonly kms_encryption_context?: Record<string, string>
  readonly kms_plaintext_data_key_hex?: string
  readonly wrapping_key_hex?: string
  readonly wrapping_key_pem?: string
}

interface Fixtures {
  readonly v3_known_answers: Record<string, string>[]
  readonly objects: Fixture[]
}

const file = new URL("../../../../shared/vectors/s3ec-fixtures.json", import.meta.url)
const isThere = existsSync(file)
const fixtures: Fixtures = isThere ? JSON.parse(readFileSync(file, "utf8")) : { v3_known_answers: [], objects: [] }
const hex = (value: string) => new Uint8Array(Buffer.from(value, "hex"))

/** Answers with the fixture's data key, for its encryption context alone. */
function stubKms({ kms_encryption_context, kms_plaintext_data_key_hex }: Fixture): KmsClient {
  return {
    takesPlainCommands: true,
    async send({ input }) {
      expect(input.EncryptionContext).toEqual(kms_encryption_context)
      return { Plaintext: hex(kms_plaintext_data_key_hex!) }
    },
  }
}

function keyOf(fixture: Fixture): S3ecKey {
  if (fixture.wrapping_key_pem !== undefined) return s3ecRsaKey({ privateKey: fixture.wrapping_key_pem })
  if (fixture.wrapping_key_hex !== undefined) return s3ecAesKey({ wrappingKey: hex(fixture.wrapping_key_hex) })
  return s3ecKmsDiscoveryKey({ client: stubKms(fixture) })
}

const suite = isThere ? describe : describe.skip
suite(`Objects of the official clients${isThere ? "" : " (skipped: no ../shared/vectors)"}`, () => {
  test.each(fixtures.objects.map((fixture) => [fixture.name, fixture.writer, fixture] as const))(
    "%s of %s opens",
    async (name, _writer, fixture) => {
      const { metadata, instruction_file: instructionFile } = fixture
      const body = new Uint8Array(Buffer.from(fixture.body_b64, "base64"))
      const object = { metadata, body, ...(instructionFile !== undefined && { instructionFile }) }
      const { dept } = fixture.kms_encryption_context ?? {}
      const call = dept === undefined ? {} : { encryptionContext: { dept } }
      const opening = () => read(object, { ...ALL, key: keyOf(fixture) }, call)
      if (name === "rb-v1-rsa" && refusesPkcs1) {
        expect((await errorOf(opening)).message).toContain("CVE-2023-46809")
        return
      }
      expect(Buffer.from(await opening()).toString()).toBe(fixture.plaintext)
      const { claimedLength } = await envelopeOf(object)
      if (metadata["x-amz-unencrypted-content-length"]) expect(claimedLength).toBe(fixture.plaintext.length)
    },
  )

  test.each(fixtures.v3_known_answers.map((answer) => [answer.message_id, answer] as const))(
    "CSE-2.1, CSE-2.2, CSE-2.3: the known answer of message id %s comes out",
    (_id, answer) => {
      const [dataKey, messageId] = [hex(answer.data_key!), hex(answer.message_id!)]
      const keys = deriveObjectKeys(dataKey, messageId)
      expect(Buffer.from(keys.encryptionKey).toString("hex")).toBe(answer.encryption_key)
      expect(Buffer.from(keys.commitment).toString("hex")).toBe(answer.commitment_key)
      expect(openObjectKey(dataKey, messageId, keys.commitment)).toEqual(keys.encryptionKey)
      const cipher = sealBody(keys.encryptionKey, hex(answer.iv!), hex(answer.aad!))
      const body = Buffer.concat([cipher.update(hex(answer.plaintext!)), cipher.finish()])
      expect(body.toString("hex")).toBe(answer.ciphertext_and_tag)
    },
  )
})
