import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { deriveObjectKeys, sealBody } from "../../../src/crypto/index.ts"
import { objectSealer, openObject, plaintextLengthOf, planS3ec } from "../../../src/s3/s3ec/index.ts"
import { MAX_PLAINTEXT_LENGTH } from "../../../src/s3/s3ec/plan.ts"
import { checkPlaintextLength, sealedObjectLength } from "../../../src/s3/s3ec/seal.ts"
import { codeOf, errorOf } from "../../support/errors.ts"
import { counting, pattern } from "../../support/keys.ts"
import { writeReferenceObject } from "./reference.ts"
import {
  ALL,
  aesKey,
  changed,
  envelopeOf,
  flipped,
  keys,
  kmsEncrypt,
  kmsKey,
  pair,
  read,
  refusesPkcs1,
  rsaKey,
  WRAPPING_KEY,
  write,
} from "./support.ts"

const V2 = { commitmentPolicy: "ForbidEncryptAllowDecrypt" } as const
const aes = { algorithm: "AES/GCM", key: WRAPPING_KEY } as const
const lengths = [0, 1, 15, 16, 17, 1000, 100_000]

describe("Bodies", () => {
  test.each(keys)(
    "CSE-2.1: objects of all sizes under a %s key, in both formats, with and without instruction file",
    async (_kind, make) => {
      for (const length of lengths) {
        for (const policy of [{}, V2]) {
          for (const instructionFile of [false, true]) {
            const options = { key: make(), instructionFile, ...policy }
            const object = await write(pattern(length), options)
            expect(object.body.length).toBe(sealedObjectLength(length))
            expect(plaintextLengthOf(await envelopeOf(object), object.body.length)).toBe(length)
            const opened = await read(object, { ...options, ...ALL })
            expect(Buffer.from(opened).equals(pattern(length))).toBe(true)
          }
        }
      }
    },
  )

  test("what is sealed here, the reference seals to the same bytes", async () => {
    for (const policy of [{}, V2]) {
      const plaintext = pattern(333)
      let dataKey: Buffer | undefined
      const inner = aesKey()
      const key = {
        ...inner,
        wrap: (request: Parameters<typeof inner.wrap>[0]) => {
          dataKey = Buffer.from(counting(32, 50))
          return inner.wrap({ ...request, dataKey: new Uint8Array(dataKey) })
        },
      }
      const object = await write(plaintext, { key, ...policy })
      const iv = Buffer.from(object.metadata["x-amz-i"] ?? object.metadata["x-amz-iv"]!, "base64")
      const suite = "x-amz-i" in object.metadata ? "committing" : "gcm"
      const reference = await writeReferenceObject({ suite, plaintext, wrap: aes, dataKey: dataKey!, iv })
      expect(reference.body.equals(object.body)).toBe(true)
      expect(reference.metadata["x-amz-d"]).toBe(object.metadata["x-amz-d"])
    }
  })

  test("CSE-2.1: however the stream is cut, the bytes are the same", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.uint8Array({ maxLength: 3000 }),
        fc.array(fc.nat(3000), { maxLength: 6 }),
        async (plaintext, cuts) => {
          const sealer = await objectSealer(planS3ec({ key: aesKey() }))
          const at = [0, ...cuts.map((cut) => Math.min(cut, plaintext.length)).sort((a, b) => a - b), plaintext.length]
          const pieces = at.slice(1).map((end, i) => sealer.update(plaintext.subarray(at[i], end)))
          const body = Buffer.concat([...pieces, sealer.finish()])
          const opened = await read({ metadata: sealer.metadata, body }, { key: aesKey() })
          expect(Buffer.from(opened).equals(plaintext)).toBe(true)
        },
      ),
      { numRuns: 60 },
    )
  })

  test("CSE-2.2: a body under an IV of zeros, as early versions of other clients had it, is refused", async () => {
    const written = await writeReferenceObject({ suite: "committing", plaintext: pattern(30), wrap: aes })
    const messageId = Buffer.from(written.metadata["x-amz-i"]!, "base64")
    const { encryptionKey } = deriveObjectKeys(written.dataKey, messageId)
    for (const [iv, code] of [
      [new Uint8Array(12), "TamperedMessage"],
      [new Uint8Array(12).fill(1), undefined],
    ] as const) {
      const cipher = sealBody(encryptionKey, iv, Uint8Array.of(0, 0x73))
      const body = Buffer.concat([cipher.update(pattern(30)), cipher.finish()])
      const opening = read({ ...written, body }, { key: aesKey() })
      expect(
        await opening.then(
          () => undefined,
          (error) => error.code,
        ),
      ).toBe(code)
    }
  })

  test("a sealer that finished, or was closed, seals nothing more", async () => {
    const plan = planS3ec({ key: aesKey() })
    const finished = await objectSealer(plan)
    finished.finish()
    expect(await codeOf(() => finished.update(pattern(1)))).toBe("Closed")
    expect(await codeOf(() => finished.finish())).toBe("Closed")
    const closed = await objectSealer(plan)
    closed.close()
    expect(await codeOf(() => closed.update(pattern(1)))).toBe("Closed")
    expect(await codeOf(() => closed.finish())).toBe("Closed")
  })

  test("CSE-2.6: the plaintext ends at 2^36 - 32 bytes", async () => {
    expect(MAX_PLAINTEXT_LENGTH).toBe(68_719_476_704)
    expect(() => checkPlaintextLength(MAX_PLAINTEXT_LENGTH)).not.toThrow()
    expect(await codeOf(() => checkPlaintextLength(MAX_PLAINTEXT_LENGTH + 1))).toBe("LimitExceeded")
    const sealer = await objectSealer(planS3ec({ key: aesKey() }))
    const pretended = new Proxy(pattern(1), {
      get: (target, name) => (name === "length" ? MAX_PLAINTEXT_LENGTH + 1 : Reflect.get(target, name)),
    })
    expect(await codeOf(() => sealer.update(pretended))).toBe("LimitExceeded")
  })
})

describe("Tampered objects", () => {
  const plaintext = pattern(200)
  const readers = { ...ALL, key: aesKey() }

  test.each([
    ["V3", {}],
    ["V2", V2],
  ] as const)("CSE-7.3: any bit flipped in a %s body is TamperedMessage with one text", async (_format, policy) => {
    const object = await write(plaintext, { key: aesKey(), ...policy })
    const messages = new Set<string>()
    for (let at = 0; at < object.body.length; at++) {
      const error = await errorOf(() => read({ ...object, body: flipped(object.body, at) }, readers))
      messages.add(`${(error as { code?: string }).code} ${error.message}`)
    }
    expect([...messages]).toEqual([expect.stringMatching(/^TamperedMessage /)])
  })

  test("a body that is cut, or longer, is refused; one below its tag as TruncatedMessage", async () => {
    for (const policy of [{}, V2]) {
      const object = await write(plaintext, { key: aesKey(), ...policy })
      for (const length of [16, 17, 100, 215]) {
        expect(await codeOf(() => read({ ...object, body: object.body.subarray(0, length) }, readers))).toBe(
          "TamperedMessage",
        )
      }
      for (const length of [0, 1, 15]) {
        expect(await codeOf(() => read({ ...object, body: object.body.subarray(0, length) }, readers))).toBe(
          "TruncatedMessage",
        )
      }
      const longer = Buffer.concat([object.body, Buffer.alloc(1)])
      expect(await codeOf(() => read({ ...object, body: longer }, readers))).toBe("TamperedMessage")
    }
  })

  test("CSE-2.4, CSE-7.3: every bit of commitment, message id and IV counts, with the text of a wrong tag", async () => {
    const v3 = await write(plaintext, { key: aesKey() })
    const v2 = await write(plaintext, { key: aesKey(), ...V2 })
    const tag = await errorOf(() => read({ ...v3, body: flipped(v3.body, -1) }, readers))
    for (const [object, name] of [
      [v3, "x-amz-d"],
      [v3, "x-amz-i"],
      [v2, "x-amz-iv"],
    ] as const) {
      const value = Buffer.from(object.metadata[name]!, "base64")
      for (let bit = 0; bit < value.length * 8; bit += 3) {
        const other = Buffer.from(value)
        other[bit >> 3]! ^= 1 << (bit & 7)
        const metadata = changed(object.metadata, { [name]: other.toString("base64") })
        const error = await errorOf(() => read({ ...object, metadata }, readers))
        expect([(error as { code?: string }).code, error.message]).toEqual(["TamperedMessage", tag.message])
      }
    }
  })

  test("bodies and envelopes of two objects do not mix", async () => {
    for (const policy of [{}, V2]) {
      const [a, b] = [
        await write(plaintext, { key: aesKey(), ...policy }),
        await write(plaintext, { key: aesKey(), ...policy }),
      ]
      expect(await codeOf(() => read({ ...a, body: b.body }, readers))).toBe("TamperedMessage")
      for (const name of ["x-amz-3", "x-amz-key-v2", "x-amz-i", "x-amz-iv", "x-amz-d"]) {
        if (a.metadata[name] === undefined) continue
        const metadata = changed(a.metadata, { [name]: b.metadata[name] })
        expect(await codeOf(() => read({ ...a, metadata }, readers))).toBe("TamperedMessage")
      }
    }
  })

  test("CSE-7.3: a wrong CBC padding has the same error, and no other text", async () => {
    const cbc = await writeReferenceObject({ suite: "cbc", plaintext, wrap: aes })
    const v3 = await write(plaintext, { key: aesKey() })
    const tag = await errorOf(() => read({ ...v3, body: flipped(v3.body, 3) }, readers))
    for (const body of [
      flipped(cbc.body, -1),
      flipped(cbc.body, -17),
      cbc.body.subarray(0, -1),
      cbc.body.subarray(0, 16),
    ]) {
      const error = await errorOf(() => read({ ...cbc, body }, readers))
      expect([(error as { code?: string }).code, error.message]).toEqual(["TamperedMessage", tag.message])
    }
    expect(await codeOf(() => read({ ...cbc, body: new Uint8Array(0) }, readers))).toBe("TruncatedMessage")
  })
})

describe("Advisories", () => {
  const plaintext = pattern(64)

  test("AWS-2025-032, CVE-2025-14760 to 14764: a body that opens under two data keys is refused by the commitment", async () => {
    const mine = await writeReferenceObject({ suite: "committing", plaintext, wrap: aes })
    const metadata = { "x-amz-c": "115", "x-amz-d": mine.metadata["x-amz-d"]!, "x-amz-i": mine.metadata["x-amz-i"]! }
    const file = { "x-amz-3": mine.metadata["x-amz-3"], "x-amz-w": "02", "x-amz-m": "{}" }
    const whole = { metadata, body: mine.body, instructionFile: JSON.stringify(file) }
    expect((await read(whole, { key: aesKey() })).length).toBe(64)
    // The attacker's data key, in a file that holds nothing else than it may: whether the body would open is not tried.
    const other = await writeReferenceObject({ suite: "committing", plaintext, wrap: aes })
    const swapped = { ...whole, instructionFile: JSON.stringify({ ...file, "x-amz-3": other.metadata["x-amz-3"] }) }
    expect(await codeOf(() => read(swapped, { key: aesKey() }))).toBe("TamperedMessage")
    // With a commitment of the attacker's own, which only whoever writes the object can give.
    for (const name of ["x-amz-d", "x-amz-i"]) {
      const instructionFile = JSON.stringify({ ...file, [name]: other.metadata[name] })
      expect(await codeOf(() => read({ ...whole, instructionFile }, { key: aesKey() }))).toBe("MalformedMessage")
    }
  })

  test("commitment-policy bypass: a V2 object with x-amz-c and x-amz-w is refused under every policy", async () => {
    const wrap = { algorithm: "kms+context", encrypt: kmsEncrypt() } as const
    const object = await writeReferenceObject({ suite: "gcm", plaintext, wrap })
    const injections = [
      { "x-amz-c": "115" },
      { "x-amz-c": "115", "x-amz-w": "12" },
      { "x-amz-c": "115", "x-amz-w": "12", "x-amz-t": object.metadata["x-amz-matdesc"] },
    ]
    for (const injected of injections) {
      for (const commitmentPolicy of ["RequireEncryptRequireDecrypt", "RequireEncryptAllowDecrypt"] as const) {
        const metadata = changed(object.metadata, injected)
        const options = { key: kmsKey(), commitmentPolicy }
        expect(await codeOf(() => read({ ...object, metadata }, options))).toBe("MalformedMessage")
      }
    }
  })

  test("keys of V2 injected through an instruction file beside c, d and i are refused", async () => {
    const v2 = await writeReferenceObject({ suite: "gcm", plaintext, wrap: aes })
    const { metadata } = await write(plaintext, { key: aesKey(), instructionFile: true })
    const object = { metadata, body: v2.body, instructionFile: JSON.stringify(v2.metadata) }
    expect(await codeOf(() => read(object, { ...ALL, key: aesKey() }))).toBe("MalformedMessage")
  })

  test("CSE-7.5, Bleichenbacher: a V1 downgrade of an RSA object gives one error, whether its padding is valid or not", async () => {
    const wrap = { algorithm: "RSA", key: pair.publicKey } as const
    const valid = await writeReferenceObject({ suite: "cbc", format: "V1", plaintext, wrap })
    const wrapped = Buffer.from(valid.metadata["x-amz-key"]!, "base64")
    const withKey = (key: Uint8Array) => ({
      ...valid,
      metadata: changed(valid.metadata, { "x-amz-key": Buffer.from(key).toString("base64") }),
    })
    const textOf = async (object: typeof valid, options: object) => {
      const error = await errorOf(() => read(object, { ...ALL, key: rsaKey(), ...options }))
      return `${(error as { code?: string }).code} ${error.message}`
    }
    const broken = [withKey(Buffer.alloc(256, 1)), withKey(flipped(wrapped, 100)), withKey(Buffer.alloc(64, 1))]
    for (const options of [{ legacyWrapping: false }, { unauthenticatedCbc: false }, { commitmentPolicy: undefined }]) {
      const texts = new Set(await Promise.all([valid, ...broken].map((object) => textOf(object, options))))
      expect(texts.size).toBe(1)
    }
    // Where it is allowed: the error of a wrong key is that of the body, when it is not a padding that fits by chance.
    if (refusesPkcs1) {
      expect(new Set(await Promise.all([valid, ...broken].map((object) => textOf(object, {})))).size).toBe(1)
    } else {
      const wrongBody = await textOf({ ...valid, body: Buffer.from(flipped(valid.body, -1)) }, {})
      for (const object of broken.slice(0, 2)) {
        const result = await read(object, { ...ALL, key: rsaKey() }).catch((error) => `${error.code} ${error.message}`)
        if (typeof result === "string") expect(result).toBe(wrongBody)
        else expect(Buffer.from(result).equals(plaintext)).toBe(false)
      }
    }
  })

  test("CVE-2020-8912: an object's content cipher cannot be switched, as it is bound to the wrapped key", async () => {
    const gcm = await writeReferenceObject({ suite: "gcm", plaintext, wrap: aes })
    const iv = Buffer.alloc(16, 5).toString("base64")
    const asCbc = { "x-amz-cek-alg": "AES/CBC/PKCS5Padding", "x-amz-tag-len": undefined, "x-amz-iv": iv }
    expect(
      await codeOf(() => read({ ...gcm, metadata: changed(gcm.metadata, asCbc) }, { ...ALL, key: aesKey() })),
    ).toBe("UnwrapFailed")
    const rsa = await writeReferenceObject({
      suite: "gcm",
      plaintext,
      wrap: { algorithm: "RSA-OAEP-SHA1", key: pair.publicKey },
    })
    expect(
      await codeOf(() => read({ ...rsa, metadata: changed(rsa.metadata, asCbc) }, { ...ALL, key: rsaKey() })),
    ).toBe("UnwrapFailed")
    const wrap = { algorithm: "kms+context", encrypt: kmsEncrypt() } as const
    const kms = await writeReferenceObject({ suite: "gcm", plaintext, wrap })
    expect(
      await codeOf(() => read({ ...kms, metadata: changed(kms.metadata, asCbc) }, { ...ALL, key: kmsKey() })),
    ).toBe("ContextMismatch")
  })

  test("kms+context changed to kms does not get around the caller's context", async () => {
    const wrap = { algorithm: "kms+context", encrypt: kmsEncrypt() } as const
    const object = await writeReferenceObject({ suite: "gcm", plaintext, wrap, description: { dept: "x" } })
    const metadata = changed(object.metadata, { "x-amz-wrap-alg": "kms" })
    const call = { encryptionContext: { dept: "y" } }
    expect(await codeOf(() => read({ ...object, metadata }, { ...ALL, key: kmsKey() }, call))).toBe("ContextMismatch")
  })

  test("CVE-2020-8911: AES-CBC, which has a padding to probe, is never read without being asked for", async () => {
    const cbc = await writeReferenceObject({ suite: "cbc", plaintext, wrap: aes })
    for (const body of [cbc.body, flipped(cbc.body, -1)]) {
      expect(await codeOf(() => read({ ...cbc, body }, { ...ALL, unauthenticatedCbc: false, key: aesKey() }))).toBe(
        "UnsupportedFormat",
      )
    }
  })
})

describe("Bytes handed over", () => {
  test("the caller's plaintext and body stay as they are", async () => {
    const plaintext = pattern(500)
    const object = await write(plaintext, { key: aesKey() })
    expect(Buffer.from(plaintext).equals(pattern(500))).toBe(true)
    const body = new Uint8Array(object.body)
    await openObject(planS3ec({ key: aesKey() }), await envelopeOf(object), body)
    expect(Buffer.from(body).equals(object.body)).toBe(true)
  })
})
