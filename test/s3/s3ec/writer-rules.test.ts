import { describe, expect, test } from "vitest"
import {
  INSTRUCTION_FILE_METADATA,
  instructionFileKey,
  type S3ecOptions,
  withEnvelope,
  withoutEnvelope,
} from "../../../src/s3/s3ec/index.ts"
import { codeOf } from "../../support/errors.ts"
import { pattern } from "../../support/keys.ts"
import { aesKey, keys, kmsKey, read, rsaKey, write } from "./support.ts"

const plaintext = pattern(50)
const V2 = { commitmentPolicy: "ForbidEncryptAllowDecrypt" } as const
const isAscii = (value: string) => /^[ -~]*$/.test(value)
const V3_KEYS = ["x-amz-3", "x-amz-w"]
const V3_CONTENT = ["x-amz-c", "x-amz-d", "x-amz-i"]
const V2_ALL = ["x-amz-key-v2", "x-amz-iv", "x-amz-wrap-alg", "x-amz-cek-alg", "x-amz-tag-len", "x-amz-matdesc"]

describe("What is written", () => {
  test.each(keys)("CSE-4.1: V3 under a %s key has its own names and no other", async (kind, make) => {
    const { metadata } = await write(plaintext, { key: make() })
    const description = kind === "KMS" ? "x-amz-t" : "x-amz-m"
    expect(Object.keys(metadata).sort()).toEqual([...V3_CONTENT, ...V3_KEYS, description].sort())
    expect(metadata["x-amz-c"]).toBe("115")
    expect(metadata["x-amz-w"]).toBe({ KMS: "12", AES: "02", RSA: "22" }[kind])
    expect(Buffer.from(metadata["x-amz-d"]!, "base64").length).toBe(28)
    expect(Buffer.from(metadata["x-amz-i"]!, "base64").length).toBe(28)
  })

  test.each(keys)("CSE-4.1: V2 under a %s key always has description and tag length", async (kind, make) => {
    const { metadata } = await write(plaintext, { key: make(), ...V2 })
    expect(Object.keys(metadata).sort()).toEqual([...V2_ALL].sort())
    expect(metadata["x-amz-tag-len"]).toBe("128")
    expect(metadata["x-amz-wrap-alg"]).toBe({ KMS: "kms+context", AES: "AES/GCM", RSA: "RSA-OAEP-SHA1" }[kind])
    if (kind !== "KMS") expect(metadata["x-amz-matdesc"]).toBe("{}")
  })

  test.each(keys)("CSE-1.4, CSE-4.1: V3 under a %s key splits in two with an instruction file", async (kind, make) => {
    const { metadata, instructionFile } = await write(plaintext, { key: make(), instructionFile: true })
    expect(Object.keys(metadata).sort()).toEqual(V3_CONTENT)
    const fields = JSON.parse(instructionFile!)
    expect(Object.keys(fields).sort()).toEqual([...V3_KEYS, kind === "KMS" ? "x-amz-t" : "x-amz-m"].sort())
    expect(Object.values(fields).every((value) => typeof value === "string")).toBe(true)
  })

  test.each(keys)("CSE-1.4: V2 under a %s key is whole in the instruction file", async (_kind, make) => {
    const { metadata, instructionFile } = await write(plaintext, { key: make(), instructionFile: true, ...V2 })
    expect(metadata).toEqual({})
    const fields = JSON.parse(instructionFile!)
    expect(Object.keys(fields).sort()).toEqual([...V2_ALL].sort())
    expect(Object.values(fields).every((value) => typeof value === "string")).toBe(true)
  })

  test("CSE-1.4: an instruction file is written only when asked for, under the object's key with a suffix", async () => {
    expect(await write(plaintext, { key: aesKey() })).not.toHaveProperty("instructionFile")
    expect(instructionFileKey("a/b.txt")).toBe("a/b.txt.instruction")
    expect(instructionFileKey("a", ".partner")).toBe("a.partner")
    expect(INSTRUCTION_FILE_METADATA).toEqual({ "x-amz-crypto-instr-file": "" })
  })

  const strange = { å: "日本€ 😀", '"quoted"\\': "line\nbreak\u007f" }
  test.each([
    ["KMS context of V3", { key: kmsKey() }],
    ["KMS context of V2", { key: kmsKey(), ...V2 }],
    ["material description of V3", { key: aesKey(strange) }],
    ["material description of V2", { key: rsaKey(strange), ...V2 }],
    ["instruction file", { key: kmsKey(), instructionFile: true }],
  ] satisfies [string, S3ecOptions][])(
    "CSE-4.3: a %s beyond ASCII is written in ASCII and read again",
    async (_what, options) => {
      const call = options.key.bindsContext ? { encryptionContext: strange } : {}
      const object = await write(plaintext, options, call)
      expect(Object.values(object.metadata).every(isAscii)).toBe(true)
      expect(isAscii(object.instructionFile ?? "")).toBe(true)
      const policy = { commitmentPolicy: "RequireEncryptAllowDecrypt" } as const
      expect(Buffer.from(await read(object, { ...options, ...policy }, call)).equals(plaintext)).toBe(true)
    },
  )

  test("each object has its own data key, wrapped key, message id and IV", async () => {
    const values = { v3: new Set<string>(), v2: new Set<string>() }
    for (let i = 0; i < 20; i++) {
      const v3 = await write(plaintext, { key: aesKey() })
      for (const name of ["x-amz-3", "x-amz-d", "x-amz-i"]) values.v3.add(v3.metadata[name]!)
      const v2 = await write(plaintext, { key: aesKey(), ...V2 })
      for (const name of ["x-amz-key-v2", "x-amz-iv"]) values.v2.add(v2.metadata[name]!)
    }
    expect([values.v3.size, values.v2.size]).toEqual([60, 40])
  })
})

const envelope = await write(plaintext, { key: aesKey() })

describe("User metadata beside the envelope", () => {
  test("stays, and comes out again without the envelope", () => {
    const all = withEnvelope({ author: "me", "X-Other": "é" }, envelope)
    expect(all).toEqual({ author: "me", "X-Other": "é", ...envelope.metadata })
    expect(withoutEnvelope(all)).toEqual({ author: "me", "X-Other": "é" })
    expect(withEnvelope(undefined, envelope)).toEqual(envelope.metadata)
    expect(withoutEnvelope({ ...all, "X-AMZ-UNENCRYPTED-CONTENT-LENGTH": "5" })).toEqual({
      author: "me",
      "X-Other": "é",
    })
  })

  test.each([
    "x-amz-key",
    "X-Amz-Key-V2",
    "x-amz-iv",
    "x-amz-matdesc",
    "x-amz-c",
    "x-amz-3",
    "X-AMZ-T",
    "x-amz-unencrypted-content-length",
    "x-amz-crypto-instr-file",
    "x-amz-tag-len",
  ])("CSE-4.2: the caller's %s is a TypeError", (name) => {
    expect(() => withEnvelope({ [name]: "1" }, envelope)).toThrow(TypeError)
  })

  test("CSE-4.4: names and values of both are at most 2,048 bytes of UTF-8", async () => {
    const length = (metadata: Record<string, string>) => Buffer.byteLength(Object.entries(metadata).flat().join(""))
    const left = 2048 - length(envelope.metadata) - 1
    expect(length(withEnvelope({ a: "x".repeat(left) }, envelope))).toBe(2048)
    expect(await codeOf(() => withEnvelope({ a: "x".repeat(left + 1) }, envelope))).toBe("LimitExceeded")
    expect(await codeOf(() => withEnvelope({ a: "é".repeat(left / 2 + 1) }, envelope))).toBe("LimitExceeded")
    const split = await write(plaintext, { key: aesKey(), instructionFile: true })
    expect(withEnvelope({ a: "x".repeat(1500) }, split)).toHaveProperty("a")
  })
})
