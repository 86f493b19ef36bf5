import { generateKeyPairSync, randomBytes } from "node:crypto"
import { Readable } from "node:stream"
import { buffer } from "node:stream/consumers"
import { beforeAll, describe, expect, test } from "vitest"
import type { Keyring, KmsClient, WrapResult } from "../../src/core/index.ts"
import { deriveMessageKeys, findSuite } from "../../src/crypto/index.ts"
import {
  cachingKeyring,
  decrypt,
  decryptStream,
  encrypt,
  encryptStream,
  inspect,
  kmsKeyring,
  multiKeyring,
  openMessage,
  rawAesKeyring,
  rawRsaKeyring,
  reencrypt,
} from "../../src/index.ts"
import { awsError, createWorld, type KmsWorld, recorder } from "../keyrings/kms-world.ts"
import { errorOf } from "../support/errors.ts"
import { listen, settled } from "./listen.ts"
import { findSecrets, type Secret } from "./scan.ts"

const plaintext = new Uint8Array(randomBytes(48))
const wrappingKey = new Uint8Array(randomBytes(32))
const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 })
const rsaKey = rsa.privateKey.export({ type: "pkcs8", format: "der" }).subarray(-64)

let world: KmsWorld
beforeAll(async () => {
  world = await createWorld()
})

/** Runs `work` with a subscriber on every channel that scans each payload as it is published. */
async function scanned(work: (secrets: Secret[]) => Promise<unknown>): Promise<{ payloads: number; found: string[] }> {
  const secrets: Secret[] = [
    { name: "plaintext", bytes: plaintext },
    { name: "wrapping key", bytes: wrappingKey },
    { name: "RSA key", bytes: rsaKey },
  ]
  const found: string[] = []
  const payloads: object[] = []
  using _ears = listen((payload) => {
    payloads.push(payload)
    found.push(...findSecrets(payload, secrets))
  })
  await work(secrets)
  await settled()
  // Again at the end, when every field is there and every secret is known.
  for (const payload of payloads) found.push(...findSecrets(payload, secrets))
  return { payloads: payloads.length, found }
}

/** The keyring, with each data key that passes through it added to the secrets before it is overwritten. */
function watched(keyring: Keyring, secrets: Secret[]): Keyring {
  const note = (dataKey: Uint8Array | undefined) => {
    if (dataKey !== undefined) secrets.push({ name: "data key", bytes: new Uint8Array(dataKey) })
  }
  return {
    name: keyring.name,
    async wrap(request): Promise<WrapResult> {
      const result = await keyring.wrap(request)
      note(result.dataKey)
      return result
    },
    async unwrap(request) {
      const dataKey = await keyring.unwrap(request)
      note(dataKey)
      return dataKey
    },
  }
}

/** The key that seals the frames of a message, from the data key seen last. */
function addDerivedKey(message: Uint8Array, secrets: Secret[]): void {
  const { suiteId, messageId } = inspect(message)
  const dataKey = secrets.findLast(({ name }) => name === "data key")!.bytes
  const { encryptionKey } = deriveMessageKeys(findSuite(suiteId)!, dataKey, messageId)
  secrets.push({ name: "message key", bytes: encryptionKey })
}

const rawAes = () => rawAesKeyring({ keyNamespace: "tests", keyName: "scan", wrappingKey })
const rawRsa = () => rawRsaKeyring({ keyNamespace: "tests", keyName: "scan", ...rsa, padding: "oaep-sha256" })
const kms = (client: KmsClient = world.home) => kmsKeyring({ client, generatorKeyId: world.keyArn })
const encryptionContext = { tenant: "42" }

const keyrings: readonly [string, () => Keyring][] = [
  ["KMS", kms],
  ["raw AES", rawAes],
  ["raw RSA", rawRsa],
  ["multi", () => multiKeyring({ generator: kms(), children: [rawAes(), rawRsa()] })],
]

describe("no payload holds a key or plaintext", () => {
  test.each(keyrings)("with a %s keyring, whole, streamed and read at random", async (_name, make) => {
    const { payloads, found } = await scanned(async (secrets) => {
      const keyring = watched(make(), secrets)
      for (const signed of [false, true]) {
        const message = await encrypt(plaintext, { keyring, encryptionContext, signed, frameLength: 20 })
        addDerivedKey(message, secrets)
        await decrypt(message, { keyring, encryptionContext })
        await using handle = await openMessage(message, { keyring, signed: "skip-signature" })
        await handle.read(3, 30)
      }
      const message = await buffer(Readable.from([plaintext]).pipe(encryptStream({ keyring })))
      addDerivedKey(message, secrets)
      await buffer(Readable.from([message]).pipe(decryptStream({ keyring })))
      await buffer(Readable.from([message]).pipe(reencrypt({ from: { keyring }, to: { keyring: rawAes() } })))
    })
    expect(found).toEqual([])
    expect(payloads).toBeGreaterThan(20)
  })

  test("with a cache on both sides", async () => {
    const { payloads, found } = await scanned(async (secrets) => {
      const keyring = cachingKeyring(watched(kms(), secrets), { maxAgeSeconds: 60, maxMessages: 2, decrypt: true })
      for (let i = 0; i < 4; i++) {
        const message = await encrypt(plaintext, { keyring, signed: true })
        await decrypt(message, { keyring })
        await decrypt(message, { keyring })
      }
      keyring.close()
    })
    expect(found).toEqual([])
    expect(payloads).toBeGreaterThan(60)
  })

  const keep = (response: { Plaintext?: Uint8Array } | undefined, secrets: Secret[]) => {
    if (response?.Plaintext) secrets.push({ name: "data key", bytes: new Uint8Array(response.Plaintext) })
  }
  const failures: readonly [string, (secrets: Secret[]) => Promise<unknown>][] = [
    [
      "a changed message",
      async (secrets) => {
        const keyring = watched(rawAes(), secrets)
        const message = await encrypt(plaintext, { keyring })
        addDerivedKey(message, secrets)
        message[message.length - 20]! ^= 1
        await decrypt(message, { keyring })
      },
    ],
    [
      "another encryption context",
      async (secrets) => {
        const keyring = watched(kms(), secrets)
        const message = await encrypt(plaintext, { keyring, encryptionContext, requiredContextKeys: ["tenant"] })
        await decrypt(message, { keyring, encryptionContext: { tenant: "43" }, requiredContextKeys: ["tenant"] })
      },
    ],
    [
      "a KMS that refuses",
      () => {
        const client = recorder(world.home, { before: () => Promise.reject(awsError("AccessDeniedException")) })
        return encrypt(plaintext, { keyring: kms(client) })
      },
    ],
    [
      "a KMS whose answer names another key",
      async (secrets) => {
        const after = (response: { KeyId: string; Plaintext?: Uint8Array }, { operation }: { operation: string }) => {
          keep(response, secrets)
          if (operation === "Decrypt") response.KeyId = world.otherArn
        }
        const keyring = kms(recorder(world.home, { after }))
        return decrypt(await encrypt(plaintext, { keyring }), { keyring })
      },
    ],
    [
      "a KMS whose data key is too short",
      (secrets) => {
        const after = (response: { Plaintext: Uint8Array }) => {
          keep(response, secrets)
          response.Plaintext = response.Plaintext.subarray(0, 31)
          keep(response, secrets)
        }
        return encrypt(plaintext, { keyring: kms(recorder(world.home, { after })) })
      },
    ],
    [
      "several keyrings that all fail",
      async (secrets) => {
        const message = await encrypt(plaintext, {
          keyring: multiKeyring({ generator: rawAes(), children: [rawRsa()] }),
        })
        const other = { keyNamespace: "tests", keyName: "scan" }
        const otherKey = new Uint8Array(randomBytes(32))
        secrets.push({ name: "other wrapping key", bytes: otherKey })
        const pair = generateKeyPairSync("rsa", { modulusLength: 2048 })
        const children = [
          rawAesKeyring({ ...other, wrappingKey: otherKey }),
          rawRsaKeyring({ ...other, ...pair, padding: "oaep-sha256" }),
        ]
        return decrypt(message, { keyring: multiKeyring({ children }) })
      },
    ],
    [
      "a stream that is cut",
      async (secrets) => {
        const keyring = watched(rawAes(), secrets)
        const message = await encrypt(plaintext, { keyring, frameLength: 16 })
        addDerivedKey(message, secrets)
        return buffer(Readable.from([message.subarray(0, -5)]).pipe(decryptStream({ keyring })))
      },
    ],
  ]
  test.each(failures)("with %s", async (_name, work) => {
    let thrown: unknown
    let secrets: readonly Secret[] = []
    const { payloads, found } = await scanned(async (known) => {
      secrets = known
      thrown = await errorOf(() => work(known))
    })
    expect(found).toEqual([])
    expect(payloads).toBeGreaterThan(3)
    expect(findSecrets(thrown, secrets)).toEqual([])
  })
})

describe("the scan itself", () => {
  const secret: Secret = { name: "key", bytes: Uint8Array.from({ length: 32 }, (_, i) => (i * 37 + 5) & 0xff) }
  const bytes = Buffer.from(secret.bytes)
  const around = Buffer.concat([Buffer.alloc(3), bytes, Buffer.alloc(3)])

  test.each<[string, unknown, string]>([
    ["bytes", { a: { b: bytes } }, "payload.a.b: key as bytes"],
    ["bytes inside more bytes", [around], "payload.0: key as bytes"],
    ["a view of another kind", new DataView(around.buffer, around.byteOffset, around.length), "payload: key as bytes"],
    ["numbers", { list: [...bytes] }, "payload.list: key as bytes"],
    ["hexadecimal in capitals", `key ${bytes.toString("hex").toUpperCase()}`, "payload: key as hex"],
    ["base64", { text: bytes.toString("base64") }, "payload.text: key as base64"],
    ["base64 for URLs", bytes.toString("base64url"), "payload: key as base64url"],
    ["a map", new Map([["k", bytes]]), "payload[0].1: key as bytes"],
    [
      "the cause of a cause",
      new Error("a", { cause: new Error("b", { cause: { bytes } }) }),
      "payload.cause.cause.bytes: key as bytes",
    ],
    ["an error's text", new Error(`key: ${bytes.toString("latin1")}`), "payload.message: key as latin1"],
    ["an aggregate", new AggregateError([{ bytes }]), "payload.errors.0.bytes: key as bytes"],
    ["a hidden property", Object.defineProperty({}, "h", { value: bytes }), "payload.h: key as bytes"],
    ["a symbol", { [Symbol("s")]: bytes }, "payload.Symbol(s): key as bytes"],
  ])("finds a key as %s", (_name, value, where) => {
    expect(findSecrets(value, [secret])).toContain(where)
  })

  test("finds nothing where nothing is, and survives cycles", () => {
    const cycle: Record<string, unknown> = { text: "harmless", bytes: Buffer.alloc(64) }
    cycle.self = cycle
    expect(findSecrets(cycle, [secret])).toEqual([])
  })
})
