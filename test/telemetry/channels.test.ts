import { Readable } from "node:stream"
import { buffer } from "node:stream/consumers"
import { beforeAll, describe, expect, test } from "vitest"
import {
  cachingKeyring,
  decrypt,
  decryptStream,
  decryptTransform,
  encrypt,
  encryptStream,
  encryptTransform,
  type Keyring,
  kmsKeyring,
  openMessage,
  reencrypt,
} from "../../src/index.ts"
import { createWorld, type KmsWorld } from "../keyrings/kms-world.ts"
import { errorOf } from "../support/errors.ts"
import { aesKeyring, pattern } from "../support/keys.ts"
import { cacheDecisions, ended, listen, settled } from "./listen.ts"

const ENCRYPT = "kms-envelope:encrypt"
const DECRYPT = "kms-envelope:decrypt"
const KMS = "kms-envelope:kms"

let world: KmsWorld
let kms: Keyring
beforeAll(async () => {
  world = await createWorld()
  kms = kmsKeyring({ client: world.home, generatorKeyId: world.keyArn, keyIds: [world.otherArn] })
})

const collect = (stream: NodeJS.ReadableStream) => buffer(stream)
const sourceOf = (bytes: Uint8Array) => Readable.from([bytes.subarray(0, 10), bytes.subarray(10)])

describe("the channels of encrypt and decrypt", () => {
  test("an encryption is published with its suite, keyring, length and number of wrapped keys", async () => {
    using ears = listen()
    await encrypt(pattern(1000), { keyring: kms })
    expect(ended(ears.heard, ENCRYPT)).toEqual([
      { operation: "encrypt", suiteId: 0x0478, plaintextLength: 1000, wrappedKeyCount: 2, keyring: kms.name },
    ])
  })

  test("a decryption is published with what the message says and the length it turned out to have", async () => {
    const message = await encrypt(pattern(1000), { keyring: kms, signed: true })
    using ears = listen()
    await decrypt(message, { keyring: kms })
    expect(ended(ears.heard, DECRYPT)).toEqual([
      { operation: "decrypt", suiteId: 0x0578, plaintextLength: 1000, wrappedKeyCount: 2, keyring: kms.name },
    ])
  })

  test("the moments come in the order of a tracing channel, with keyrings that answer at once too", async () => {
    for (const keyring of [kms, aesKeyring()]) {
      using ears = listen()
      await encrypt("x", { keyring })
      const moments = ears.heard.filter(({ channel }) => channel === ENCRYPT).map(({ moment }) => moment)
      expect(moments).toEqual(["start", "end", "asyncStart", "asyncEnd"])
    }
  })

  test("listening changes no result", async () => {
    const keyring = aesKeyring()
    using _ears = listen()
    const message = await encrypt("hello", { keyring, encryptionContext: { a: "1" } })
    const decrypted = await decrypt(message, { keyring })
    expect(decrypted.text()).toBe("hello")
    expect({ ...decrypted.encryptionContext }).toEqual({ a: "1" })
  })

  test("a failure is published with its error, and the call throws the very same", async () => {
    const message = await encrypt(pattern(100), { keyring: aesKeyring() })
    message[message.length - 1]! ^= 1
    using ears = listen()
    const error = await errorOf(() => decrypt(message, { keyring: aesKeyring() }))
    const [failed] = ears.heard.filter(({ moment }) => moment === "error")
    expect(error).toMatchObject({ code: "TamperedMessage" })
    expect(failed?.payload.error).toBe(error)
    expect(failed?.payload).toMatchObject({ operation: "decrypt", suiteId: 0x0478 })
  })

  test("openMessage is published once, and its reads are not", async () => {
    const message = await encrypt(pattern(300), { keyring: kms, frameLength: 100 })
    using ears = listen()
    await using handle = await openMessage(message, { keyring: kms })
    await handle.read(5, 10)
    expect(ended(ears.heard, DECRYPT)).toMatchObject([{ operation: "openMessage", plaintextLength: 300 }])
    expect(ended(ears.heard, KMS)).toHaveLength(1)
  })
})

describe("streams", () => {
  test("a stream is traced from its making to its end", async () => {
    using ears = listen()
    const stream = encryptStream({ keyring: kms })
    expect(ears.heard.map(({ moment }) => moment)).toEqual(["start", "end"])
    const message = await collect(sourceOf(pattern(500)).pipe(stream))
    await settled()
    expect(ended(ears.heard, ENCRYPT)).toEqual([
      { operation: "encryptStream", suiteId: 0x0478, plaintextLength: 500, wrappedKeyCount: 2, keyring: kms.name },
    ])
    await collect(sourceOf(message).pipe(decryptStream({ keyring: kms })))
    await settled()
    expect(ended(ears.heard, DECRYPT)).toEqual([
      { operation: "decryptStream", suiteId: 0x0478, plaintextLength: 500, wrappedKeyCount: 2, keyring: kms.name },
    ])
  })

  test("Web streams are traced as well", async () => {
    using ears = listen()
    const web = Readable.toWeb(sourceOf(pattern(500))) as ReadableStream<Uint8Array>
    const keyring = aesKeyring()
    const through = web.pipeThrough(encryptTransform({ keyring })).pipeThrough(decryptTransform({ keyring }))
    for await (const _chunk of through as unknown as AsyncIterable<Uint8Array>);
    await settled()
    expect(ended(ears.heard, ENCRYPT)).toMatchObject([{ operation: "encryptStream", plaintextLength: 500 }])
    expect(ended(ears.heard, DECRYPT)).toMatchObject([{ operation: "decryptStream", plaintextLength: 500 }])
  })

  test("an empty plaintext counts as length 0", async () => {
    using ears = listen()
    const message = await collect(Readable.from([]).pipe(encryptStream({ keyring: aesKeyring() })))
    await collect(Readable.from([message]).pipe(decryptStream({ keyring: aesKeyring() })))
    await settled()
    expect(ended(ears.heard, ENCRYPT)).toMatchObject([{ plaintextLength: 0 }])
    expect(ended(ears.heard, DECRYPT)).toMatchObject([{ plaintextLength: 0 }])
  })

  test("re-encryption appears on both channels", async () => {
    const message = await encrypt(pattern(500), { keyring: aesKeyring() })
    using ears = listen()
    await collect(sourceOf(message).pipe(reencrypt({ from: { keyring: aesKeyring() }, to: { keyring: kms } })))
    await settled()
    expect(ended(ears.heard, DECRYPT)).toMatchObject([{ operation: "reencrypt", plaintextLength: 500 }])
    expect(ended(ears.heard, ENCRYPT)).toMatchObject([{ operation: "reencrypt", keyring: kms.name }])
  })

  test("a stream that fails, is destroyed or aborted ends its trace with the reason", async () => {
    const message = await encrypt(pattern(500), { keyring: aesKeyring() })
    using ears = listen()
    const reasons = () => ears.heard.filter(({ moment }) => moment === "error").map(({ payload }) => payload.error)

    await errorOf(() =>
      collect(Readable.from([message.subarray(0, 400)]).pipe(decryptStream({ keyring: aesKeyring() }))),
    )
    encryptStream({ keyring: aesKeyring() }).destroy()
    const controller = new AbortController()
    const aborted = encryptStream({ keyring: aesKeyring(), signal: controller.signal })
    aborted.on("error", () => {})
    controller.abort(new Error("enough"))
    await settled()

    expect(reasons()).toMatchObject([{ code: "TruncatedMessage" }, { code: "Closed" }, { name: "AbortError" }])
  })

  test("without anybody listening nothing is traced later either", async () => {
    const stream = encryptStream({ keyring: aesKeyring() })
    using ears = listen()
    await collect(sourceOf(pattern(50)).pipe(stream))
    await settled()
    expect(ears.heard).toEqual([])
  })
})

describe("the channel of KMS calls", () => {
  test("every call is published with its operation, key and request id", async () => {
    using ears = listen()
    const message = await encrypt("x", { keyring: kms })
    await decrypt(message, { keyring: kms })
    await kmsKeyring({ client: world.home, generatorKeyId: world.keyArn }).generateWithoutPlaintext!({
      suite: { id: 0x0478, dataKeyLength: 32, derivesKey: true, commitsKey: true, signed: false },
      encryptionContext: {},
    })
    const requestId = expect.stringMatching(/^[0-9a-f-]{36}$/)
    expect(ended(ears.heard, KMS)).toEqual([
      { operation: "GenerateDataKey", keyId: world.keyArn, requestId },
      { operation: "Encrypt", keyId: world.otherArn, requestId },
      { operation: "Decrypt", keyId: world.keyArn, requestId },
      { operation: "GenerateDataKeyWithoutPlaintext", keyId: world.keyArn, requestId },
    ])
  })

  test("a refused call is published with KMS's error name and request id", async () => {
    const missing = world.keyArn.replace(/[^/]+$/, "00000000-0000-0000-0000-000000000000")
    const keyring = kmsKeyring({ client: world.home, generatorKeyId: missing })
    using ears = listen()
    await errorOf(() => encrypt("x", { keyring }))
    const [failed] = ears.heard.filter(({ channel, moment }) => channel === KMS && moment === "error")
    expect(failed?.payload).toMatchObject({ operation: "GenerateDataKey", keyId: missing })
    expect(failed?.payload.error).toMatchObject({ code: "KmsError", name: "NotFoundException" })
    expect(failed?.payload.requestId).toBeDefined()
  })
})

describe("the channel of cache decisions", () => {
  const single = () => kmsKeyring({ client: world.home, generatorKeyId: world.keyArn })

  test("misses, shared misses and hits of both sides", async () => {
    using keyring = cachingKeyring(single(), { maxAgeSeconds: 60, decrypt: true })
    using ears = listen()
    const [message] = await Promise.all([encrypt("a", { keyring }), encrypt("b", { keyring })])
    await encrypt("c", { keyring })
    await decrypt(message, { keyring })
    await decrypt(message, { keyring })
    expect(cacheDecisions(ears.heard)).toEqual([
      "encrypt miss",
      "encrypt miss shared-call",
      "encrypt hit",
      "decrypt miss",
      "decrypt hit",
    ])
    expect(ended(ears.heard, KMS)).toHaveLength(2)
  })

  test("what goes around the cache, with the reason", async () => {
    using keyring = cachingKeyring(single(), { maxAgeSeconds: 60, maxBytes: 10 })
    using ears = listen()
    await encrypt(pattern(11), { keyring })
    await collect(Readable.from([pattern(3)]).pipe(encryptStream({ keyring })))
    await encrypt("x", { keyring, suiteId: 0x0078, commitmentPolicy: "ForbidEncryptAllowDecrypt" })
    expect(cacheDecisions(ears.heard)).toEqual([
      "encrypt bypass bytes",
      "encrypt bypass unknown-length",
      "encrypt bypass no-key-derivation",
    ])
  })

  test("every reason for which a key leaves", async () => {
    let now = 0
    const options = { maxAgeSeconds: 60, maxMessages: 2, maxBytes: 100, capacity: 1, clock: () => now }
    using keyring = cachingKeyring(single(), options)
    const say = (length: number, tenant = "a") => encrypt(pattern(length), { keyring, encryptionContext: { tenant } })
    using ears = listen()
    await say(1)
    now = 60_000
    await say(60)
    await say(60)
    await say(1)
    await say(1)
    await say(1, "b")
    keyring.close()
    const evictions = cacheDecisions(ears.heard).filter((decision) => decision.includes("evict"))
    expect(evictions).toEqual([
      "encrypt evict age",
      "encrypt evict bytes",
      "encrypt evict messages",
      "encrypt evict capacity",
      "encrypt evict closed",
    ])
  })
})
