import { describe, expect, test } from "vitest"
import { envelopePlace, findEnvelope, planS3ec, sealObject } from "../../../src/s3/s3ec/index.ts"
import { codeOf } from "../../support/errors.ts"
import { pattern } from "../../support/keys.ts"
import { type ReferenceObject, writeReferenceObject } from "./reference.ts"
import { ALL, aesKey, changed, envelopeOf, read, text, WRAPPING_KEY, write } from "./support.ts"

const plaintext = pattern(100)
const wrap = { algorithm: "AES/GCM", key: WRAPPING_KEY } as const
const written = async (object: Omit<ReferenceObject, "plaintext" | "wrap">) => {
  const format = object.format === "V1" ? ({ algorithm: "AES", key: WRAPPING_KEY } as const) : wrap
  return writeReferenceObject({ plaintext, wrap: format, ...object })
}
const v1 = await written({ suite: "cbc", format: "V1" })
const v2 = await written({ suite: "gcm" })
const v3 = await written({ suite: "committing" })
const options = { ...ALL, key: aesKey() }

const codeWith = (object: typeof v2, changes: Record<string, string | undefined>, instructionFile?: string) =>
  codeOf(() =>
    read(
      { ...object, metadata: changed(object.metadata, changes), ...(instructionFile && { instructionFile }) },
      options,
    ),
  )

describe("Finding the envelope", () => {
  test.each([
    ["V1", v1],
    ["V2", v2],
    ["V3", v3],
  ] as const)("CSE-1.1: format %s of the reference writer opens", async (format, object) => {
    expect((await envelopeOf(object)).format).toBe(format)
    expect(Buffer.from(await read(object, options)).equals(plaintext)).toBe(true)
  })

  test("CSE-1.2: names count in any case", async () => {
    for (const object of [v1, v2, v3]) {
      const metadata = Object.fromEntries(
        Object.entries(object.metadata).map(([name, value]) => [name.replace(/-(\w)/g, (m) => m.toUpperCase()), value]),
      )
      expect(Buffer.from(await read({ ...object, metadata }, options)).equals(plaintext)).toBe(true)
    }
  })

  test("CSE-1.2: a name given twice, in different case, is refused", async () => {
    expect(await codeWith(v2, { "X-Amz-Iv": v2.metadata["x-amz-iv"] })).toBe("MalformedMessage")
    expect(() => envelopePlace({ "x-amz-c": "115", "X-AMZ-C": "115" })).toThrow("twice")
  })

  test("CSE-1.2: a value that no metadata can hold is refused before it is looked at", async () => {
    const words = `=?utf-8?B?${"AAAA".repeat(50_000)}?=`
    expect(await codeWith(v2, { "x-amz-matdesc": words })).toBe("LimitExceeded")
    expect(await codeWith(v2, { "x-amz-matdesc": `=?utf-8?B?${"AAAA".repeat(16_000)}?=` })).toBe("MalformedMessage")
  })

  test("CSE-1.3: names alone tell where the envelope is", async () => {
    const c = { "x-amz-c": "115", "x-amz-d": "", "x-amz-i": "" }
    expect(envelopePlace(undefined)).toBe("not-in-metadata")
    expect(envelopePlace({ author: "me", "x-amz-unencrypted-content-length": "4" })).toBe("not-in-metadata")
    expect(envelopePlace(c)).toBe("v3-instruction-file")
    expect(envelopePlace({ ...c, "x-amz-w": "12" })).toBe("metadata")
    expect(envelopePlace({ "x-amz-c": "115", "x-amz-d": "" })).toBe("metadata")
    expect(envelopePlace(v2.metadata)).toBe("metadata")
  })

  test("CSE-1.3: an object without envelope and instruction file is none of the S3 Encryption Client", async () => {
    expect(await findEnvelope({ author: "me" }, () => undefined)).toBeUndefined()
    expect(await findEnvelope(undefined)).toBeUndefined()
    expect(await findEnvelope({})).toBeUndefined()
  })

  test("CSE-1.3: an envelope in metadata is not looked for elsewhere", async () => {
    const fetched = findEnvelope(v3.metadata, () => {
      throw new Error("fetched")
    })
    expect((await fetched)?.location).toBe("metadata")
  })

  test("CSE-1.3: V3 whose instruction file is missing is refused, not taken for plaintext", async () => {
    const { metadata } = await sealObject(planS3ec({ key: aesKey(), instructionFile: true }), plaintext)
    expect(await codeOf(() => findEnvelope(metadata, () => undefined))).toBe("MalformedMessage")
    expect(await codeOf(() => findEnvelope(metadata))).toBe("MalformedMessage")
  })
})

describe("Mixed and incomplete envelopes", () => {
  const needed = {
    V1: [v1, ["x-amz-key", "x-amz-iv"]],
    V2: [v2, ["x-amz-key-v2", "x-amz-iv", "x-amz-wrap-alg", "x-amz-cek-alg", "x-amz-tag-len"]],
    V3: [v3, ["x-amz-c", "x-amz-3", "x-amz-w", "x-amz-d", "x-amz-i"]],
  } as const
  const cases = Object.entries(needed).flatMap(([format, [object, names]]) =>
    names.map((name) => [format, name, object] as const),
  )
  test.each(cases)("CSE-3.1: %s without %s is refused", async (_format, name, object) => {
    expect(await codeWith(object, { [name]: undefined })).toBe("MalformedMessage")
  })

  test.each([
    ["x-amz-key beside V2", v2, { "x-amz-key": v1.metadata["x-amz-key"] }],
    ["x-amz-key beside V3", v3, { "x-amz-key": v1.metadata["x-amz-key"] }],
    ["x-amz-key-v2 beside V1", v1, { "x-amz-key-v2": v2.metadata["x-amz-key-v2"] }],
    ["x-amz-key-v2 beside V3", v3, { "x-amz-key-v2": v2.metadata["x-amz-key-v2"] }],
    ["x-amz-3 beside V1", v1, { "x-amz-3": v3.metadata["x-amz-3"] }],
    ["x-amz-3 beside V2", v2, { "x-amz-3": v3.metadata["x-amz-3"] }],
    ["x-amz-c beside V2", v2, { "x-amz-c": "115" }],
    ["x-amz-d beside V2", v2, { "x-amz-d": v3.metadata["x-amz-d"] }],
    ["x-amz-i beside V2", v2, { "x-amz-i": v3.metadata["x-amz-i"] }],
    ["x-amz-iv beside V3", v3, { "x-amz-iv": v2.metadata["x-amz-iv"] }],
    ["x-amz-matdesc beside V3", v3, { "x-amz-matdesc": "{}" }],
    ["x-amz-cek-alg beside V3", v3, { "x-amz-cek-alg": "AES/GCM/NoPadding" }],
    ["x-amz-wrap-alg in V1", v1, { "x-amz-wrap-alg": "AES/GCM" }],
    ["x-amz-cek-alg in V1", v1, { "x-amz-cek-alg": "AES/CBC/PKCS5Padding" }],
    ["x-amz-tag-len in V1", v1, { "x-amz-tag-len": "128" }],
    ["all of V3 beside all of V2", v2, v3.metadata],
  ] as const)("CSE-3.2: %s is refused", async (_what, object, changes) => {
    expect(await codeWith(object, changes)).toBe("MalformedMessage")
  })
})

describe("Fields", () => {
  const b64 = (length: number, byte = 7) => Buffer.alloc(length, byte).toString("base64")
  test.each([
    ["an IV of 16 bytes for GCM", v2, { "x-amz-iv": b64(16) }],
    ["an IV of 12 bytes for CBC", v1, { "x-amz-iv": b64(12) }],
    ["an IV of zeros", v2, { "x-amz-iv": b64(12, 0) }],
    ["a message id of zeros", v3, { "x-amz-i": b64(28, 0) }],
    ["a message id of 27 bytes", v3, { "x-amz-i": b64(27) }],
    ["a message id of 32 bytes", v3, { "x-amz-i": b64(32) }],
    ["a commitment of 27 bytes", v3, { "x-amz-d": b64(27) }],
    ["an empty commitment", v3, { "x-amz-d": "" }],
    ["an empty wrapped key", v3, { "x-amz-3": "" }],
    ["base64 without padding", v3, { "x-amz-d": v3.metadata["x-amz-d"]!.replace(/=+$/, "") }],
    ["base64 with a line break", v3, { "x-amz-d": `${v3.metadata["x-amz-d"]}\n` }],
    ["base64 with bits left over", v3, { "x-amz-d": v3.metadata["x-amz-d"]!.replace(/[A-Za-z0-9+/]==$/, "B==") }],
    ["base64url", v2, { "x-amz-iv": "__________________==" }],
  ] as const)("CSE-3.3: %s is refused", async (_what, object, changes) => {
    expect(await codeWith(object, changes)).toBe("MalformedMessage")
  })

  test.each([
    ["missing", undefined],
    ["96", "96"],
    ["128.0", "128.0"],
    ["16", "16"],
    ["empty", ""],
  ])("CSE-3.4: a tag length that is %s is refused for GCM", async (_what, value) => {
    expect(await codeWith(v2, { "x-amz-tag-len": value })).toBe("MalformedMessage")
  })

  test("CSE-3.4: for CBC the tag length may be anything", async () => {
    const cbc = await written({ suite: "cbc" })
    for (const value of [undefined, "0", "128"]) {
      const metadata = changed(cbc.metadata, { "x-amz-tag-len": value })
      expect(Buffer.from(await read({ ...cbc, metadata }, options)).equals(plaintext)).toBe(true)
    }
  })

  test.each([
    ["x-amz-c 114", v3, { "x-amz-c": "114" }],
    ["x-amz-c 0x73", v3, { "x-amz-c": "0x73" }],
    ["x-amz-w 01", v3, { "x-amz-w": "01" }],
    ["x-amz-w 11", v3, { "x-amz-w": "11" }],
    ["x-amz-w 21", v3, { "x-amz-w": "21" }],
    ["x-amz-w AES/GCM", v3, { "x-amz-w": "AES/GCM" }],
    ["x-amz-w constructor", v3, { "x-amz-w": "constructor" }],
    ["a content cipher unknown to V2", v2, { "x-amz-cek-alg": "AES/CTR/NoPadding" }],
    ["the content cipher 115 in V2", v2, { "x-amz-cek-alg": "115" }],
    ["the content cipher toString", v2, { "x-amz-cek-alg": "toString" }],
    ["a wrapping unknown to V2", v2, { "x-amz-wrap-alg": "kms+contexts" }],
    ["the wrapping AES, which is V1's", v2, { "x-amz-wrap-alg": "AES" }],
  ] as const)("CSE-2.5, CSE-3.1: %s is refused as unknown", async (_what, object, changes) => {
    expect(await codeWith(object, changes)).toBe("UnsupportedFormat")
  })

  test("CSE-3.6: no description counts as an empty one", async () => {
    for (const [object, name] of [
      [v1, "x-amz-matdesc"],
      [v2, "x-amz-matdesc"],
      [v3, "x-amz-m"],
    ] as const) {
      const metadata = changed(object.metadata, { [name]: undefined })
      expect(Buffer.from(await read({ ...object, metadata }, options)).equals(plaintext)).toBe(true)
    }
  })

  test.each([
    ["text", "x"],
    ["an array", "[]"],
    ["null", "null"],
    ["a string", '"a"'],
    ["a number in it", '{"a":1}'],
    ["null in it", '{"a":null}'],
    ["an object in it", '{"a":{}}'],
    ["text after it", "{} {}"],
    ["half a surrogate pair", '{"a":"\\ud800"}'],
    ["half a surrogate pair as a name", '{"\\udc00":"a"}'],
  ])("CSE-3.6: %s as description is refused", async (_what, value) => {
    expect(await codeWith(v2, { "x-amz-matdesc": value })).toBe("MalformedMessage")
    expect(await codeWith(v3, { "x-amz-m": value })).toBe("MalformedMessage")
  })

  test("a name like __proto__ in a description is a name like any other", async () => {
    const { description } = await envelopeOf({ ...v3, metadata: { ...v3.metadata, "x-amz-m": '{"__proto__":"x"}' } })
    expect(Object.entries(description)).toEqual([["__proto__", "x"]])
  })

  test("the claimed length is passed on, or left out when it is no number, and never believed", async () => {
    const name = "x-amz-unencrypted-content-length"
    for (const [value, expected] of [
      ["5", 5],
      ["-1", undefined],
      ["1e3", undefined],
      ["x", undefined],
    ] as const) {
      const object = { ...v2, metadata: { ...v2.metadata, [name]: value } }
      expect((await envelopeOf(object)).claimedLength).toBe(expected)
      expect((await read(object, options)).length).toBe(100)
    }
  })
})

describe("Metadata as S3 gives it back", () => {
  const description = { å: "日本€" }
  const json = JSON.stringify(description)
  const twice = Buffer.from(Buffer.from(json).toString("latin1")).toString()
  const inWords = `=?UTF-8?B?${Buffer.from(twice).toString("base64")}?=`
  const asQ = `=?utf-8?q?${[...Buffer.from(twice)].map((byte) => `=${byte.toString(16).padStart(2, "0")}`).join("")}?=`
  const halves = Buffer.from(twice)
  const word = (bytes: Uint8Array) => `=?UTF-8?B?${Buffer.from(bytes).toString("base64")}?=`

  test("the example of the format's description decodes", () => {
    expect(inWords).toBe("=?UTF-8?B?eyLDg8KlIjoiw6bCl8Klw6bCnMKsw6LCgsKsIn0=?=")
  })

  test.each([
    ["in a word of base64", inWords],
    ["in a word of Q", asQ],
    ["in several words", `${word(halves.subarray(0, 9))} \r\n ${word(halves.subarray(9))}`],
    ["in words that cut a character", `${word(halves.subarray(0, 3))}${word(halves.subarray(3))}`],
    ["without words", twice],
    ["as it was written", json.replace(/å/, "\u00c3\u00a5")],
    ["escaped", '{"\\u00e5":"\\u65e5\\u672c\\u20ac"}'],
  ])("CSE-3.5: a description %s is taken apart", async (_what, value) => {
    for (const [object, name] of [
      [v2, "x-amz-matdesc"],
      [v3, "x-amz-m"],
    ] as const) {
      const envelope = await envelopeOf({ ...object, metadata: { ...object.metadata, [name]: value } })
      expect(envelope.description).toEqual(description)
    }
  })

  test("CSE-3.5: a Q word has underscores for spaces", async () => {
    const metadata = { ...v3.metadata, "x-amz-m": "=?US-ASCII?Q?{=22a_b=22:=22c=22}?=" }
    expect((await envelopeOf({ ...v3, metadata })).description).toEqual({ "a b": "c" })
  })

  test.each([
    ["a lone byte of UTF-8", "\u00ff"],
    ["a lone byte in JSON", '{"a":"\u00c3"}'],
    ["a lone byte in a word", "=?utf-8?B?/w==?="],
    ["a word that is no base64", "=?utf-8?B?!?="],
    ["a word without end", "=?utf-8?B?e30="],
    ["text after a word", "=?utf-8?B?e30=?= x"],
    ["an unknown charset", "=?koi8-r?B?e30=?="],
    ["an unknown encoding", "=?utf-8?X?e30=?="],
    ["a broken Q word", "=?utf-8?Q?=4?="],
  ])("CSE-3.5: %s is refused", async (_what, value) => {
    expect(await codeWith(v2, { "x-amz-matdesc": value })).toBe("MalformedMessage")
  })

  test("CSE-3.5: many words take no more than linear time", async () => {
    const value = "=?utf-8?B?".repeat(6000)
    expect(await codeWith(v2, { "x-amz-matdesc": value })).toBe("MalformedMessage")
    for (const words of ["=?utf-8?B?e30=?= ", "=?utf-8?B?e30=?="]) {
      expect(await codeWith(v2, { "x-amz-matdesc": `${words.repeat(3500)}x` })).toBe("MalformedMessage")
    }
  })
})

describe("Instruction files", () => {
  const parts = async (key = aesKey()) => write(plaintext, { key, instructionFile: true })
  const v2Parts = async () =>
    write(plaintext, { key: aesKey(), instructionFile: true, commitmentPolicy: "ForbidEncryptAllowDecrypt" })
  const codeOfFile = async (change: (fields: Record<string, unknown>) => unknown, object = parts()) => {
    const { metadata, body, instructionFile } = await object
    const fields = change(JSON.parse(instructionFile!))
    const file = typeof fields === "string" ? fields : JSON.stringify(fields)
    return codeOf(() => read({ metadata, body, instructionFile: file }, options))
  }

  test("CSE-1.4: both halves together open", async () => {
    for (const object of [await parts(), await v2Parts()]) {
      expect(Buffer.from(await read(object, options)).equals(plaintext)).toBe(true)
      expect((await envelopeOf(object)).location).toBe("instruction-file")
    }
  })

  test.each([
    ["x-amz-c", "115"],
    ["x-amz-d", v3.metadata["x-amz-d"]!],
    ["x-amz-i", v3.metadata["x-amz-i"]!],
  ])("CSE-3.7: %s in the file is refused, even as it is on the object", async (name, value) => {
    const { metadata } = await parts()
    expect(await codeOfFile((fields) => ({ ...fields, [name]: metadata[name] ?? value }))).toBe("MalformedMessage")
    expect(await codeOfFile((fields) => ({ ...fields, [name]: value }), v2Parts())).toBe("MalformedMessage")
  })

  test.each([
    "x-amz-key",
    "x-amz-key-v2",
    "x-amz-iv",
    "x-amz-cek-alg",
    "x-amz-wrap-alg",
    "x-amz-matdesc",
    "x-amz-tag-len",
  ])("CSE-3.2: %s injected into the file of a V3 object is refused", async (name) => {
    const value = v2.metadata[name] ?? v1.metadata[name]!
    expect(await codeOfFile((fields) => ({ ...fields, [name]: value }))).toBe("MalformedMessage")
  })

  test.each([
    ["no JSON", () => "x-amz-3"],
    ["an array", () => []],
    ["a number in it", (fields: object) => ({ ...fields, "x-amz-w": 2 })],
    ["a foreign name", (fields: object) => ({ ...fields, author: "me" })],
    ["nothing", () => ({})],
    ["nothing but the mark", () => ({ "x-amz-crypto-instr-file": "" })],
    ["a whole V3 envelope for an object that has none", () => v3.metadata],
  ])("CSE-3.7: a file with %s is refused", async (what, change) => {
    const object = what.includes("has none")
      ? parts().then(({ body }) => ({ metadata: {}, body, instructionFile: "{}" }))
      : parts()
    expect(await codeOfFile(change as never, object)).toBe("MalformedMessage")
  })

  test("CSE-3.7: a file that is no UTF-8, or too large, is refused", async () => {
    const { metadata } = await parts()
    expect(await codeOf(() => findEnvelope(metadata, () => Uint8Array.of(0x7b, 0xff, 0x7d)))).toBe("MalformedMessage")
    expect(await codeOf(() => findEnvelope(metadata, () => new Uint8Array(65_537)))).toBe("LimitExceeded")
  })

  test("CSE-3.7: the claimed length and the mark may stand in it", async () => {
    const { metadata, body, instructionFile } = await v2Parts()
    const more = { "x-amz-unencrypted-content-length": "100", "x-amz-crypto-instr-file": "" }
    const file = JSON.stringify({ ...JSON.parse(instructionFile!), ...more })
    expect(Buffer.from(await read({ metadata, body, instructionFile: file }, options)).equals(plaintext)).toBe(true)
  })

  test("CSE-3.5: text in the file is taken as it is", async () => {
    const { metadata, instructionFile } = await parts()
    const file = JSON.stringify({ ...JSON.parse(instructionFile!), "x-amz-m": '{"a":"\u00e5"}' })
    expect((await findEnvelope(metadata, () => text(file)))!.description).toEqual({ a: "å" })
  })

  test("CSE-3.2: an object with part of an envelope does not take the rest from a file", async () => {
    const { "x-amz-iv": iv, ...rest } = v2.metadata
    const object = { metadata: { "x-amz-iv": iv! }, body: v2.body, instructionFile: JSON.stringify(rest) }
    expect(await codeOf(() => read(object, options))).toBe("MalformedMessage")
  })
})
