import { subscribe, unsubscribe } from "node:diagnostics_channel"
import { DisableKeyCommand } from "@aws-sdk/client-kms"
import { describe, expect, test, vi } from "vitest"
import { kmsDiscoveryKeyring, kmsKeyring } from "../../src/keyrings/index.ts"
import { testKeyring } from "./contract.ts"
import { AWAY, awsError, createWorld, HOME, type Recorder, recorder } from "./kms-world.ts"
import { CONTEXT, failureOf, isZero, suite, unwrapRequest, wrapRequest } from "./requests.ts"

const world = await createWorld()
const { home, away, keyArn, otherArn, awayArn, replicas, alias } = world

testKeyring("kmsKeyring", () => ({
  keyring: kmsKeyring({ client: home, generatorKeyId: keyArn }),
  stranger: kmsKeyring({ client: home, generatorKeyId: otherArn }),
}))

testKeyring("kmsKeyring with additional keys", () => ({
  keyring: kmsKeyring({ client: clientOf, generatorKeyId: keyArn, keyIds: [awayArn, replicas.away] }),
  stranger: kmsKeyring({ client: home, generatorKeyId: otherArn }),
}))

function clientOf(region: string) {
  return { [HOME]: home, [AWAY]: away }[region]
}

describe("what kmsKeyring sends", () => {
  // MSG-4.3
  test("GenerateDataKey with the suite's length and the full context, Decrypt with an explicit key", async () => {
    const forgetGrants = {
      before: (_: unknown, command: { input: object }) => Reflect.deleteProperty(command.input, "GrantTokens"),
    }
    const client = recorder(home, forgetGrants)
    const keyring = kmsKeyring({ client, generatorKeyId: keyArn, grantTokens: ["t1", "t2"] })
    const { wrappedKeys } = await keyring.wrap(wrapRequest({ suite: suite(0x0114) }))
    await keyring.unwrap(unwrapRequest(wrappedKeys, { suite: suite(0x0114) }))
    const common = { KeyId: keyArn, EncryptionContext: { ...CONTEXT }, GrantTokens: ["t1", "t2"] }
    expect(client.sent.map(({ operation, input }) => ({ operation, input }))).toEqual([
      { operation: "GenerateDataKey", input: { ...common, NumberOfBytes: 16 } },
      { operation: "Decrypt", input: { ...common, CiphertextBlob: wrappedKeys[0]!.ciphertext } },
    ])
    expect(wrappedKeys[0]).toMatchObject({ providerId: "aws-kms", providerInfo: new TextEncoder().encode(keyArn) })
  })

  test("Encrypt for additional keys, and no grant tokens when there are none", async () => {
    const client = recorder(home)
    const keyring = kmsKeyring({ client, generatorKeyId: keyArn, keyIds: [otherArn] })
    const { wrappedKeys, dataKey } = await keyring.wrap(wrapRequest())
    expect(client.sent.map(({ operation, input }) => [operation, input.KeyId])).toEqual([
      ["GenerateDataKey", keyArn],
      ["Encrypt", otherArn],
    ])
    expect(client.sent.every(({ input }) => !("GrantTokens" in input))).toBe(true)
    const second = kmsKeyring({ client, keyIds: [otherArn] })
    expect(await second.unwrap(unwrapRequest(wrappedKeys))).toEqual(dataKey)
  })

  test("a context without prototype goes out as a plain object", async () => {
    const client = recorder(home)
    const encryptionContext = Object.freeze(Object.assign(Object.create(null), { a: "1" }))
    await kmsKeyring({ client, generatorKeyId: keyArn }).wrap(wrapRequest({ encryptionContext }))
    expect(Object.getPrototypeOf(client.sent[0]!.input.EncryptionContext)).toBe(Object.prototype)
  })

  test("the caller's signal as abortSignal", async () => {
    const client = recorder(home)
    const { signal } = new AbortController()
    await kmsKeyring({ client, generatorKeyId: keyArn }).wrap(wrapRequest({ signal }))
    expect(client.sent[0]!.options).toEqual({ abortSignal: signal })
  })

  test("GenerateDataKeyWithoutPlaintext, for a single key only", async () => {
    const client = recorder(home)
    const keyring = kmsKeyring({ client, generatorKeyId: keyArn })
    const wrappedKeys = await keyring.generateWithoutPlaintext!(wrapRequest())
    expect(client.sent.map(({ operation }) => operation)).toEqual(["GenerateDataKeyWithoutPlaintext"])
    expect(await keyring.unwrap(unwrapRequest(wrappedKeys))).toHaveLength(32)
    expect(kmsKeyring({ client, generatorKeyId: keyArn, keyIds: [otherArn] }).generateWithoutPlaintext).toBeUndefined()
    expect(kmsKeyring({ client, keyIds: [otherArn] }).generateWithoutPlaintext).toBeUndefined()
  })
})

describe("an alias or a bare key id", () => {
  const keyId = keyArn.split("/")[1]!
  const aliasArn = keyArn.replace(`key/${keyId}`, alias)

  test.each([
    ["alias", alias],
    ["alias ARN", aliasArn],
    ["key id", keyId],
  ])("(%s) encrypts, but decrypting is a TypeError that names the remedy", async (_, generatorKeyId) => {
    const keyring = kmsKeyring({ client: home, generatorKeyId })
    const { dataKey, wrappedKeys } = await keyring.wrap(wrapRequest())
    expect(new TextDecoder().decode(wrappedKeys[0]!.providerInfo)).toBe(keyArn)
    const error = await failureOf(() => keyring.unwrap(unwrapRequest(wrappedKeys)))
    expect(error).toBeInstanceOf(TypeError)
    expect(error.message).toContain(keyArn)
    expect(error.message).toContain("kmsDiscoveryKeyring")
    const filter = { partition: "aws", accountIds: ["111122223333"] }
    expect(await kmsDiscoveryKeyring({ client: home, filter }).unwrap(unwrapRequest(wrappedKeys))).toEqual(dataKey)
  })

  test("beside a key ARN leaves decrypting to the ARN, and its failure as it is", async () => {
    const { dataKey, wrappedKeys } = await kmsKeyring({ client: home, generatorKeyId: keyArn }).wrap(wrapRequest())
    const keyring = kmsKeyring({ client: home, generatorKeyId: alias, keyIds: [keyArn] })
    expect(await keyring.unwrap(unwrapRequest(wrappedKeys))).toEqual(dataKey)
    const wrong = unwrapRequest(wrappedKeys, { encryptionContext: {} })
    expect((await failureOf(() => keyring.unwrap(wrong))).name).toBe("InvalidCiphertextException")
  })

  test("that cannot stand for the key of the message is not mine", async () => {
    const { wrappedKeys } = await kmsKeyring({ client: away, generatorKeyId: awayArn }).wrap(wrapRequest())
    for (const generatorKeyId of [keyId, aliasArn]) {
      const keyring = kmsKeyring({ client: home, generatorKeyId })
      expect(await keyring.unwrap(unwrapRequest(wrappedKeys))).toBeUndefined()
    }
  })
})

describe("multi-Region keys", () => {
  test("match: a message of one Region is decrypted by the replica configured, in its Region", async () => {
    const { dataKey, wrappedKeys } = await kmsKeyring({ client: home, generatorKeyId: replicas.home }).wrap(
      wrapRequest(),
    )
    const client = recorder(away)
    const reader = kmsKeyring({ client, generatorKeyId: replicas.away })
    expect(await reader.unwrap(unwrapRequest(wrappedKeys))).toEqual(dataKey)
    expect(client.sent.map(({ input }) => input.KeyId)).toEqual([replicas.away])
  })

  test("exact: another Region's replica is not mine", async () => {
    const { wrappedKeys } = await kmsKeyring({ client: home, generatorKeyId: replicas.home }).wrap(wrapRequest())
    const reader = kmsKeyring({ client: away, generatorKeyId: replicas.away, multiRegion: "exact" })
    expect(await reader.unwrap(unwrapRequest(wrappedKeys))).toBeUndefined()
  })

  test("a client per Region: each key is asked in its own, and the function once for each Region", async () => {
    const clients: Record<string, Recorder> = { [HOME]: recorder(home), [AWAY]: recorder(away) }
    const client = vi.fn((region: string) => clients[region])
    const keyring = kmsKeyring({ client, generatorKeyId: keyArn, keyIds: [awayArn, otherArn] })
    const { dataKey, wrappedKeys } = await keyring.wrap(wrapRequest())
    expect(clients[HOME]!.sent.map(({ input }) => input.KeyId)).toEqual([keyArn, otherArn])
    expect(clients[AWAY]!.sent.map(({ input }) => input.KeyId)).toEqual([awayArn])
    expect(client.mock.calls).toEqual([[HOME], [AWAY]])
    expect(await keyring.unwrap(unwrapRequest(wrappedKeys.slice(1, 2)))).toEqual(dataKey)
  })

  test("two replicas of one key in one keyring are refused, unless exact", () => {
    const options = { client: clientOf, generatorKeyId: replicas.home, keyIds: [replicas.away] }
    expect(() => kmsKeyring(options)).toThrow(/one multi-Region key/)
    expect(() => kmsKeyring({ ...options, multiRegion: "exact" })).not.toThrow()
  })
})

describe("options of kmsKeyring", () => {
  test.each([
    ["no key", {}],
    ["an empty list", { keyIds: [] }],
    ["an empty key", { generatorKeyId: "" }],
    ["a malformed ARN", { generatorKeyId: "arn:aws:kms:us-east-1:key/1" }],
    ["an ARN of another service", { generatorKeyId: "arn:aws:s3:us-east-1:111122223333:key/1" }],
    ["the same key twice", { generatorKeyId: keyArn, keyIds: [keyArn] }],
    ["keyIds that are no array", { keyIds: keyArn as never }],
    ["a client without send", { client: {} as never, generatorKeyId: keyArn }],
    ["grant tokens that are no strings", { generatorKeyId: keyArn, grantTokens: [1] as never }],
    ["another multiRegion", { generatorKeyId: keyArn, multiRegion: true as never }],
    ["a client per Region for a key without Region", { client: () => home, generatorKeyId: alias }],
    ["no client for the Region", { client: () => undefined, generatorKeyId: keyArn }],
  ])("%s is a TypeError", (_, options) => {
    expect(() => kmsKeyring({ client: home, ...options })).toThrow(TypeError)
  })

  test("without generatorKeyId it decrypts and wraps what it is given, but does not generate", async () => {
    const keyring = kmsKeyring({ client: home, keyIds: [keyArn] })
    const given = wrapRequest({ dataKey: new Uint8Array(32).fill(5) })
    const { wrappedKeys } = await keyring.wrap(given)
    expect(await keyring.unwrap(unwrapRequest(wrappedKeys))).toEqual(given.dataKey)
    const error = await failureOf(() => keyring.wrap(wrapRequest()))
    expect(error).toBeInstanceOf(TypeError)
    expect(error.message).toContain("generatorKeyId")
  })
})

describe("errors of KMS", () => {
  test("keep their AWS name and the AWS error as cause, under code KmsError", async () => {
    const theirs = awsError("AccessDeniedException", "User: arn:aws:iam::1:user/secret is not authorized")
    const client = { send: async () => Promise.reject(theirs) }
    const keyring = kmsKeyring({ client, generatorKeyId: keyArn })
    const error = await failureOf(() => keyring.wrap(wrapRequest()))
    expect(error).toMatchObject({ code: "KmsError", name: "AccessDeniedException", cause: theirs })
    expect(error.message).toBe(`KMS GenerateDataKey with ${keyArn} failed: AccessDeniedException`)
  })

  test("of a disabled key come through by name", async () => {
    const { home: client, keyArn: generatorKeyId } = await createWorld()
    const keyring = kmsKeyring({ client, generatorKeyId })
    const { wrappedKeys } = await keyring.wrap(wrapRequest())
    await client.send(new DisableKeyCommand({ KeyId: generatorKeyId }))
    expect((await failureOf(() => keyring.unwrap(unwrapRequest(wrappedKeys)))).name).toBe("DisabledException")
  })

  test("several are listed in one, each in the cause", async () => {
    const keyring = kmsKeyring({ client: home, keyIds: [keyArn, otherArn] })
    const { wrappedKeys } = await keyring.wrap(wrapRequest({ dataKey: new Uint8Array(32).fill(1) }))
    const error = await failureOf(() => keyring.unwrap(unwrapRequest(wrappedKeys, { encryptionContext: {} })))
    expect(error.code).toBe("UnwrapFailed")
    expect(error.message).toContain(`kms ${keyArn} (InvalidCiphertextException), kms ${otherArn}`)
    expect((error.cause as AggregateError).errors).toMatchObject([{ code: "KmsError" }, { code: "KmsError" }])
  })

  test("a wrapped key of KMS that names no key ARN fails", async () => {
    const keyring = kmsKeyring({ client: home, generatorKeyId: keyArn })
    for (const info of ["", "alias/x", `${keyArn}:1`, keyArn.replace("key/", "alias/"), keyArn.replace("kms", "s3")]) {
      const wrappedKey = { providerId: "aws-kms", providerInfo: new TextEncoder().encode(info), ciphertext: keyBytes }
      expect((await failureOf(() => keyring.unwrap(unwrapRequest([wrappedKey])))).code).toBe("UnwrapFailed")
    }
  })

  const keyBytes = new Uint8Array(32).fill(9)
  const answer = (more: object) => ({
    KeyId: keyArn,
    Plaintext: new Uint8Array(keyBytes),
    CiphertextBlob: keyBytes,
    ...more,
  })
  test.each([
    ["nothing", undefined],
    ["no Plaintext", answer({ Plaintext: undefined })],
    ["a short Plaintext", answer({ Plaintext: new Uint8Array(31).fill(1) })],
    ["a Plaintext of zeros", answer({ Plaintext: new Uint8Array(32) })],
    ["no KeyId", answer({ KeyId: undefined })],
    ["an alias for KeyId", answer({ KeyId: alias })],
    ["no CiphertextBlob", answer({ CiphertextBlob: new Uint8Array(0) })],
  ])("a client that answers with %s fails with KmsError", async (_, response) => {
    const keyring = kmsKeyring({ client: { send: async () => response }, generatorKeyId: keyArn })
    expect((await failureOf(() => keyring.wrap(wrapRequest()))).code).toBe("KmsError")
    // The plaintext does not outlive the failure.
    if (response?.Plaintext) expect(isZero(response.Plaintext)).toBe(true)
  })

  // MSG-4.4
  test("a Decrypt answered by another key, or with another length, is refused", async () => {
    const { wrappedKeys } = await kmsKeyring({ client: home, generatorKeyId: keyArn }).wrap(wrapRequest())
    for (const after of [
      (response: { KeyId?: string }) => Object.assign(response, { KeyId: otherArn }),
      (response: object) => Object.assign(response, { Plaintext: new Uint8Array(16).fill(1) }),
    ]) {
      const keyring = kmsKeyring({ client: recorder(home, { after }), generatorKeyId: keyArn })
      expect((await failureOf(() => keyring.unwrap(unwrapRequest(wrappedKeys)))).code).toBe("KmsError")
    }
  })
})

describe("key buffers and aborts", () => {
  test("the SDK's copy of the plaintext is overwritten on both sides", async () => {
    const client = recorder(home)
    const keyring = kmsKeyring({ client, generatorKeyId: keyArn })
    const { dataKey, wrappedKeys } = await keyring.wrap(wrapRequest())
    expect(await keyring.unwrap(unwrapRequest(wrappedKeys))).toEqual(dataKey)
    expect(isZero(dataKey)).toBe(false)
    for (const { response } of client.sent) expect(isZero(response.Plaintext)).toBe(true)
  })

  test("a stub that hands out one buffer twice is found out", async () => {
    const response = { KeyId: keyArn, Plaintext: new Uint8Array(32).fill(7), CiphertextBlob: new Uint8Array(9) }
    const keyring = kmsKeyring({ client: { send: async () => response }, generatorKeyId: keyArn })
    await keyring.wrap(wrapRequest())
    expect((await failureOf(() => keyring.wrap(wrapRequest()))).message).toContain("new Plaintext buffer for each call")
  })

  test("the generated data key is overwritten when an additional key fails, after all calls ended", async () => {
    let waiting: Uint8Array | undefined
    const client = recorder(home, {
      before: async ({ operation, input }) => {
        if (operation !== "Encrypt") return
        if (input.KeyId === otherArn) throw awsError("AccessDeniedException")
        waiting = input.Plaintext
      },
    })
    const keyring = kmsKeyring({ client, generatorKeyId: keyArn, keyIds: [otherArn, replicas.home] })
    expect((await failureOf(() => keyring.wrap(wrapRequest()))).name).toBe("AccessDeniedException")
    expect(waiting).toHaveLength(32)
    expect(isZero(waiting!)).toBe(true)
  })

  test("an abort during the call gives the signal's reason at once, and a late plaintext is overwritten", async () => {
    let answer: ((response: object) => void) | undefined
    const deaf = {
      send: () =>
        new Promise<object>((resolve) => {
          answer = resolve
        }),
    }
    const controller = new AbortController()
    const wrapping = kmsKeyring({ client: deaf, generatorKeyId: keyArn }).wrap(
      wrapRequest({ signal: controller.signal }),
    )
    await vi.waitFor(() => expect(answer).toBeDefined())
    const reason = new Error("enough")
    controller.abort(reason)
    expect(await failureOf(() => wrapping)).toBe(reason)
    const late = { KeyId: keyArn, Plaintext: new Uint8Array(32).fill(3), CiphertextBlob: new Uint8Array(9) }
    answer!(late)
    await vi.waitFor(() => expect(isZero(late.Plaintext)).toBe(true))
  })

  test("an abort while the SDK waits passes as the signal's reason, not as the SDK's AbortError", async () => {
    const controller = new AbortController()
    const client = recorder(home, {
      before: ({ options }) =>
        new Promise((_, reject) =>
          options!.abortSignal!.addEventListener("abort", () => reject(awsError("AbortError"))),
        ),
    })
    const wrapping = kmsKeyring({ client, generatorKeyId: keyArn }).wrap(wrapRequest({ signal: controller.signal }))
    setTimeout(() => controller.abort(), 5)
    expect(await failureOf(() => wrapping)).toBe(controller.signal.reason)
  })
})

describe("telemetry of KMS calls", () => {
  test("each call is traced with its key and request id, and no key in any field", async () => {
    const traces: Record<string, unknown>[] = []
    const listener = (message: unknown) => void traces.push({ ...(message as object) })
    subscribe("tracing:kms-envelope:kms:asyncEnd", listener)
    try {
      const client = recorder(home, { after: (response) => (response.$metadata.requestId = "request-1") })
      const keyring = kmsKeyring({ client, generatorKeyId: keyArn })
      const { dataKey, wrappedKeys } = await keyring.wrap(wrapRequest())
      await keyring.unwrap(unwrapRequest(wrappedKeys))
      await failureOf(() => keyring.unwrap(unwrapRequest(wrappedKeys, { encryptionContext: {} })))
      expect(traces).toMatchObject([
        { operation: "GenerateDataKey", keyId: keyArn, requestId: "request-1" },
        { operation: "Decrypt", keyId: keyArn, requestId: "request-1" },
        { operation: "Decrypt", keyId: keyArn, error: { name: "InvalidCiphertextException" } },
      ])
      expect(traces.map(({ result }) => result)).toEqual([undefined, undefined, undefined])
      expect(JSON.stringify(traces)).not.toContain(Buffer.from(dataKey).toString("base64"))
    } finally {
      unsubscribe("tracing:kms-envelope:kms:asyncEnd", listener)
    }
  })
})
