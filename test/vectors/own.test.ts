import { existsSync, readFileSync, writeFileSync } from "node:fs"
import { describe, expect, it } from "vitest"
import { type DecryptOptions, inspect } from "../../src/index.ts"
import { rawAesKeyring, rawRsaKeyring } from "../../src/keyrings/index.ts"
import { readReference } from "../reference/read.ts"
import { codeOf } from "../support/errors.ts"
import { headerOf, reencodedHeader } from "../support/header.ts"
import { pattern } from "../support/keys.ts"
import { readers } from "../support/readers.ts"
import { generateOwnVectors, type OwnVector, type OwnVectors } from "./generate.ts"

const file = new URL("own.json", import.meta.url)
if (process.env.UPDATE_VECTORS !== undefined || !existsSync(file)) {
  writeFileSync(file, `${JSON.stringify(await generateOwnVectors(), null, 2)}\n`)
}
const own = JSON.parse(readFileSync(file, "utf8")) as OwnVectors
const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, "base64"))

const { aes, rsa } = own.keys
const keyrings = {
  aes: () => rawAesKeyring({ keyNamespace: aes.namespace, keyName: aes.name, wrappingKey: bytes(aes.key) }),
  rsa: () =>
    rawRsaKeyring({
      keyNamespace: rsa.namespace,
      keyName: rsa.name,
      privateKey: bytes(rsa.privateKey),
      padding: "oaep-sha256",
    }),
}
const optionsFor = (vector: OwnVector, key: "aes" | "rsa"): DecryptOptions => ({
  keyring: keyrings[key](),
  commitmentPolicy: "RequireEncryptAllowDecrypt",
  encryptionContext: vector.encryptionContext,
  requiredContextKeys: vector.requiredContextKeys,
})

describe("The project's own vectors", () => {
  const good = own.vectors.filter(({ error }) => error === undefined)
  const bad = own.vectors.filter(({ error }) => error !== undefined)

  it("are those that the generator makes today, up to what is random in them", async () => {
    const shape = ({ vectors }: OwnVectors) =>
      vectors.map(({ message, ...rest }) => ({ ...rest, about: shapeOf(bytes(message)) }))
    expect(shape(await generateOwnVectors())).toEqual(shape(own))
  })

  it.each(good)("$writer: $name decrypts every way and re-encodes", async (vector) => {
    const message = bytes(vector.message)
    const header = headerOf(message)
    expect(Buffer.from(reencodedHeader(header)).equals(message.subarray(0, header.length))).toBe(true)
    for (const key of vector.keys) {
      for (const reader of readers) {
        const plaintext = await reader.read(message, optionsFor(vector, key))
        expect(Buffer.from(plaintext).equals(pattern(vector.plaintextLength)), `${key}, ${reader.name}`).toBe(true)
      }
    }
    const unstored = vector.requiredContextKeys.map((key) => [key, vector.encryptionContext[key]!] as const)
    const keys = [{ ...aes, key: bytes(aes.key) }]
    expect(readReference(message, keys, unstored).plaintext.equals(pattern(vector.plaintextLength))).toBe(true)
  })

  // MSG-3.4 among others: a signed message without public key, an unsigned one with it
  it.each(bad)("$name is refused with $error", async (vector) => {
    const message = bytes(vector.message)
    const code = await codeOf(() => readers[0]!.read(message, optionsFor(vector, "aes")))
    expect(code).toBe(vector.error)
    const about = /signature/.test(vector.name)
    for (const reader of readers.slice(1).filter(({ checksSignature }) => checksSignature || !about)) {
      await codeOf(() => reader.read(message, optionsFor(vector, "aes")))
    }
    expect(() => readReference(message, [{ ...aes, key: bytes(aes.key) }])).toThrow()
  })
})

/** What does not depend on random bytes; signatures and what an attacker changed do. */
function shapeOf(message: Uint8Array): unknown {
  try {
    const { suiteId, contentType, frameLength, wrappedKeys, encryptionContext } = inspect(message)
    return { suiteId, contentType, frameLength, keys: wrappedKeys.length, context: Object.keys(encryptionContext) }
  } catch (error) {
    return (error as { code: string }).code
  }
}
