import { constants, createPrivateKey, generateKeyPairSync, type KeyObject, publicEncrypt } from "node:crypto"
import { describe, expect, test } from "vitest"
import { type RawRsaPadding, rawRsaKeyring } from "../../src/keyrings/index.ts"
import { testKeyring } from "./contract.ts"
import { failureOf, unwrapRequest, wrapRequest } from "./requests.ts"

const pair = generateKeyPairSync("rsa", { modulusLength: 2048 })
const otherPair = generateKeyPairSync("rsa", { modulusLength: 2048 })
const base = { keyNamespace: "ns", keyName: "key", padding: "oaep-sha256" as RawRsaPadding }
const OAEP: RawRsaPadding[] = ["oaep-sha1", "oaep-sha256", "oaep-sha384", "oaep-sha512"]

for (const padding of OAEP) {
  const secrets = [pair.privateKey.export({ type: "pkcs8", format: "der" })]
  testKeyring(
    `rawRsaKeyring (${padding})`,
    () => ({
      keyring: rawRsaKeyring({ ...base, ...pair, padding }),
      stranger: rawRsaKeyring({ ...base, ...otherPair, padding, keyName: "other" }),
      secrets,
    }),
    { bindsContext: false },
  )
}

describe("rawRsaKeyring", () => {
  const spki = { type: "spki" } as const
  const pkcs8 = { type: "pkcs8" } as const
  const pkcs1 = { type: "pkcs1" } as const
  const forms: [string, KeyInput, KeyInput][] = [
    ["KeyObject", pair.publicKey, pair.privateKey],
    [
      "PEM text",
      pair.publicKey.export({ ...spki, format: "pem" }),
      pair.privateKey.export({ ...pkcs8, format: "pem" }),
    ],
    [
      "PKCS #1 PEM",
      pair.publicKey.export({ ...pkcs1, format: "pem" }),
      pair.privateKey.export({ ...pkcs1, format: "pem" }),
    ],
    [
      "PEM bytes",
      bytes(pair.publicKey.export({ ...spki, format: "pem" })),
      bytes(pair.privateKey.export({ ...pkcs8, format: "pem" })),
    ],
    ["DER", pair.publicKey.export({ ...spki, format: "der" }), pair.privateKey.export({ ...pkcs8, format: "der" })],
    [
      "PKCS #1 DER",
      pair.publicKey.export({ ...pkcs1, format: "der" }),
      pair.privateKey.export({ ...pkcs1, format: "der" }),
    ],
  ]
  type KeyInput = string | Uint8Array | KeyObject

  test.each(forms)("takes keys as %s", async (_, publicKey, privateKey) => {
    const { dataKey, wrappedKeys } = await rawRsaKeyring({ ...base, publicKey }).wrap(wrapRequest())
    const reader = rawRsaKeyring({ ...base, publicKey, privateKey })
    expect(await reader.unwrap(unwrapRequest(wrappedKeys))).toEqual(dataKey)
    expect(wrappedKeys).toMatchObject([{ providerId: "ns", providerInfo: bytes("key") }])
  })

  test("a key under a passphrase comes in as a KeyObject", async () => {
    const key = pair.privateKey.export({ ...pkcs8, format: "pem", cipher: "aes-256-cbc", passphrase: "secret" })
    const privateKey = createPrivateKey({ key, passphrase: "secret" })
    const { dataKey, wrappedKeys } = await rawRsaKeyring({ ...base, ...pair }).wrap(wrapRequest())
    expect(await rawRsaKeyring({ ...base, privateKey }).unwrap(unwrapRequest(wrappedKeys))).toEqual(dataKey)
    expect(() => rawRsaKeyring({ ...base, privateKey: key as string })).toThrow(TypeError)
  })

  test("the public key alone encrypts only, the private key alone decrypts only", async () => {
    const writer = rawRsaKeyring({ ...base, publicKey: pair.publicKey })
    const reader = rawRsaKeyring({ ...base, privateKey: pair.privateKey })
    const { wrappedKeys } = await writer.wrap(wrapRequest())
    expect(await failureOf(() => writer.unwrap(unwrapRequest(wrappedKeys)))).toBeInstanceOf(TypeError)
    expect(await failureOf(() => reader.wrap(wrapRequest()))).toBeInstanceOf(TypeError)
    expect(await writer.unwrap(unwrapRequest([]))).toBeUndefined()
  })

  test("another key pair or another hash under the same name is mine but broken", async () => {
    const { wrappedKeys } = await rawRsaKeyring({ ...base, ...pair }).wrap(wrapRequest())
    for (const keyring of [
      rawRsaKeyring({ ...base, ...otherPair }),
      rawRsaKeyring({ ...base, ...pair, padding: "oaep-sha1" }),
    ]) {
      expect((await failureOf(() => keyring.unwrap(unwrapRequest(wrappedKeys)))).code).toBe("UnwrapFailed")
    }
  })

  test("a wrapped key of another length than the suite's is refused", async () => {
    const ciphertext = publicEncrypt(
      { key: pair.publicKey, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: "sha256" },
      Buffer.alloc(31, 1),
    )
    const keyring = rawRsaKeyring({ ...base, ...pair })
    const { wrappedKeys } = await keyring.wrap(wrapRequest())
    const error = await failureOf(() => keyring.unwrap(unwrapRequest([{ ...wrappedKeys[0]!, ciphertext }])))
    expect(error.code).toBe("UnwrapFailed")
  })

  test("PKCS #1 v1.5 decrypts, or fails with an error that says what to do where Node.js refuses it", async () => {
    const keyring = rawRsaKeyring({ ...base, ...pair, padding: "pkcs1" })
    const { dataKey, wrappedKeys } = await keyring.wrap(wrapRequest())
    const result = await Promise.resolve()
      .then(() => keyring.unwrap(unwrapRequest(wrappedKeys)))
      .catch((error) => error)
    if (result instanceof Error) {
      expect(result).toMatchObject({ code: "UnwrapFailed", message: expect.stringContaining("CVE-2023-46809") })
    } else {
      expect(result).toEqual(dataKey)
      // Implicit rejection: random bytes instead of an error, hardly ever as many as the suite asks for.
      const wrong = { ...wrappedKeys[0]!, ciphertext: new Uint8Array(256).fill(1) }
      const outcome = await Promise.resolve()
        .then(() => keyring.unwrap(unwrapRequest([wrong])))
        .catch((error) => error)
      expect(outcome).not.toEqual(dataKey)
    }
  })

  const ec = generateKeyPairSync("ec", { namedCurve: "P-256" })
  test.each([
    ["no key", { publicKey: undefined }],
    ["a key that is no RSA key", { publicKey: ec.publicKey }],
    ["a private key for the public one", { publicKey: pair.privateKey }],
    ["a public key for the private one", { privateKey: pair.publicKey }],
    ["keys of two pairs", { privateKey: otherPair.privateKey }],
    ["text that is no key", { publicKey: "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----" }],
    ["bytes that are no key", { publicKey: new Uint8Array(300) }],
    ["an empty text", { publicKey: "" }],
    ["another padding", { padding: "oaep-md5" as never }],
    ["no padding", { padding: undefined as never }],
    ["a reserved namespace", { keyNamespace: "aws-kms" }],
  ])("%s is a TypeError", (_, options) => {
    expect(() => rawRsaKeyring({ ...base, publicKey: pair.publicKey, ...options } as never)).toThrow(TypeError)
  })

  test("a public key under 2,048 bits is a RangeError", () => {
    const { publicKey } = generateKeyPairSync("rsa", { modulusLength: 1024 })
    expect(() => rawRsaKeyring({ ...base, publicKey })).toThrow(RangeError)
  })
})

function bytes(text: string | Buffer): Uint8Array {
  return new TextEncoder().encode(text.toString())
}
