import {
  CreateKeyCommand,
  DecryptCommand,
  DescribeKeyCommand,
  DisabledException,
  DisableKeyCommand,
  EncryptCommand,
  GenerateDataKeyCommand,
  InvalidCiphertextException,
  KMSClient,
  KMSServiceException,
  NotFoundException,
} from "@aws-sdk/client-kms"
import { afterAll, afterEach, beforeAll, describe, expect, onTestFinished, test } from "vitest"
import { type MockKms, type MockKmsOptions, mockKms } from "../../src/testing/index.ts"

const REGION = "us-east-1"
const plaintext = new TextEncoder().encode("4111 1111 1111 1111")

function mocked(options?: MockKmsOptions): MockKms {
  const kms = mockKms(options)
  onTestFinished(() => kms.restore())
  return kms
}

const failure = (promise: Promise<unknown>): Promise<Error> =>
  promise.then(
    () => expect.fail("the call should have failed"),
    (error) => error,
  )

/** An application: it makes its own client and knows nothing of the mock. */
const application = {
  client: () => new KMSClient({ region: REGION }),
  async seal(text: Uint8Array, EncryptionContext: Record<string, string>): Promise<Uint8Array> {
    const command = new EncryptCommand({ KeyId: "alias/app", Plaintext: text, EncryptionContext })
    return (await this.client().send(command)).CiphertextBlob!
  },
  async open(CiphertextBlob: Uint8Array, EncryptionContext: Record<string, string>): Promise<Uint8Array> {
    return (await this.client().send(new DecryptCommand({ CiphertextBlob, EncryptionContext }))).Plaintext!
  },
}

describe("in an application's tests, set up once", () => {
  let kms: MockKms
  let keyArn: string
  beforeAll(async () => {
    kms = mockKms()
    keyArn = await kms.createKey("alias/app")
  })
  afterEach(() => kms.reset())
  afterAll(() => kms.restore())

  test("the real code runs: what it seals it opens, under the same context only", async () => {
    const sealed = await application.seal(plaintext, { tenant: "42" })
    expect(await application.open(sealed, { tenant: "42" })).toEqual(plaintext)
    expect(await failure(application.open(sealed, { tenant: "43" }))).toBeInstanceOf(InvalidCiphertextException)
  })

  test("its calls can be asserted, by name and through the mock", async () => {
    const sealed = await application.seal(plaintext, { tenant: "42" })
    await application.open(sealed, { tenant: "42" })
    expect(kms.calls().map(({ operation }) => operation)).toEqual(["Encrypt", "Decrypt"])
    expect(kms.calls("Encrypt")).toEqual([
      {
        operation: "Encrypt",
        input: { KeyId: "alias/app", Plaintext: plaintext, EncryptionContext: { tenant: "42" } },
      },
    ])
    expect(kms.mock.commandCalls(DecryptCommand)).toHaveLength(1)
    expect(kms.mock.commandCalls(DecryptCommand)[0]!.args[0].input.EncryptionContext).toEqual({ tenant: "42" })
    expect(kms.mock.commandCalls(EncryptCommand, { KeyId: "alias/app" })).toHaveLength(1)
  })

  test("reset forgets calls and failures, and keeps keys", async () => {
    kms.failNext(5, "throttling")
    kms.reset()
    expect(kms.calls()).toEqual([])
    const { KeyMetadata } = await application.client().send(new DescribeKeyCommand({ KeyId: "alias/app" }))
    expect(KeyMetadata!.Arn).toBe(keyArn)
  })

  test("the trail of the KMS behind it can be read", async () => {
    await application.seal(plaintext, { tenant: "42" })
    expect((await kms.kms.events({ last: 1 }))[0]).toMatchObject({
      eventName: "Encrypt",
      requestParameters: { encryptionContext: { tenant: "42" } },
      resources: [{ ARN: keyArn }],
    })
  })

  test("one call may be overridden on the mock, until the next reset", async () => {
    kms.mock.on(DecryptCommand).rejects(new Error("mine"))
    const sealed = await application.seal(plaintext, {})
    expect((await failure(application.open(sealed, {}))).message).toBe("mine")
    kms.reset()
    expect(await application.open(sealed, {})).toEqual(plaintext)
  })
})

test("errors are instances of the SDK's classes", async () => {
  const kms = mocked()
  const KeyId = await kms.createKey()
  const client = application.client()
  expect(await failure(client.send(new DescribeKeyCommand({ KeyId: "nothing" })))).toBeInstanceOf(NotFoundException)
  await client.send(new DisableKeyCommand({ KeyId }))
  const error = await failure(client.send(new GenerateDataKeyCommand({ KeyId, KeySpec: "AES_256" })))
  expect(error).toBeInstanceOf(DisabledException)
  expect(error).toBeInstanceOf(KMSServiceException)
  expect(error).toMatchObject({ message: `${KeyId} is disabled.`, $metadata: { httpStatusCode: 400 } })
})

describe("injected failures", () => {
  async function setUp(options?: MockKmsOptions) {
    const kms = mocked(options)
    const KeyId = await kms.createKey("alias/app")
    const client = application.client()
    return {
      kms,
      KeyId,
      describe: (sendOptions?: { abortSignal: AbortSignal }) =>
        client.send(new DescribeKeyCommand({ KeyId }), sendOptions),
      generate: () => client.send(new GenerateDataKeyCommand({ KeyId, KeySpec: "AES_256" })),
    }
  }

  test("throttling has the shape it has on AWS, for the next n calls", async () => {
    const { kms, describe } = await setUp()
    kms.failNext(2, "throttling")
    for (let i = 0; i < 2; i++) {
      const error = await failure(describe())
      expect(error).toBeInstanceOf(KMSServiceException)
      expect(error).toMatchObject({
        name: "ThrottlingException",
        message: "You have exceeded the rate at which you may call KMS. Reduce the frequency of your calls.",
        $fault: "client",
        $metadata: { httpStatusCode: 400, requestId: expect.stringMatching(/^[0-9a-f-]{36}$/) },
      })
    }
    await describe()
    expect(kms.calls()).toHaveLength(3)
  })

  test("access denied names caller, action and key", async () => {
    const principal = "arn:aws:iam::111122223333:role/App"
    const { kms, generate, KeyId } = await setUp({ principal })
    const Statement = { Effect: "Allow", Action: "kms:*", Resource: "*" }
    await kms.kms.principals.createRole({ name: "App", policies: { use: { Version: "2012-10-17", Statement } } })
    kms.failNext(1, "accessDenied")
    expect(await failure(generate())).toMatchObject({
      name: "AccessDeniedException",
      message: `User: ${principal} is not authorized to perform: kms:GenerateDataKey on resource: ${KeyId} because no identity-based policy allows the kms:GenerateDataKey action`,
    })
    await generate()
  })

  test("a timeout fails after its time, and an abort ends it at once", async () => {
    const { kms, describe } = await setUp()
    kms.failNext(1, "timeout")
    expect(await failure(describe())).toMatchObject({ name: "TimeoutError", code: "ETIMEDOUT" })
    kms.failNext(1, "timeout", { timeoutMilliseconds: 3_600_000 })
    const controller = new AbortController()
    const running = failure(describe({ abortSignal: controller.signal }))
    setTimeout(() => controller.abort(), 20)
    expect(await running).toMatchObject({ name: "AbortError" })
    kms.failNext(1, "timeout", { timeoutMilliseconds: 3_600_000 })
    expect(await failure(describe({ abortSignal: AbortSignal.abort() }))).toMatchObject({ name: "AbortError" })
    await describe()
  })

  test("an error of your own comes through as it is", async () => {
    const { kms, describe } = await setUp()
    const mine = new RangeError("mine")
    kms.failNext(1, mine)
    expect(await failure(describe())).toBe(mine)
  })

  test("may concern one operation only, and wait in line", async () => {
    const { kms, describe, generate } = await setUp()
    kms.failNext(1, "throttling", { operation: "GenerateDataKey" })
    kms.failNext(1, new Error("second"))
    expect((await failure(describe())).message).toBe("second")
    expect((await failure(generate())).name).toBe("ThrottlingException")
    await describe()
    await generate()
  })

  test.each([0, -1, 1.5, Number.NaN])("count %d is the caller's mistake", async (count) => {
    const { kms } = await setUp()
    expect(() => kms.failNext(count, "throttling")).toThrow(RangeError)
  })
})

test("a client's Region decides which keys it sees", async () => {
  const kms = mocked()
  const KeyId = await kms.createKey("alias/app", { region: "ap-northeast-2", multiRegion: true })
  expect(KeyId).toMatch(/^arn:aws:kms:ap-northeast-2:111122223333:key\/mrk-/)
  await new KMSClient({ region: "ap-northeast-2" }).send(new DescribeKeyCommand({ KeyId: "alias/app" }))
  const abroad = failure(new KMSClient({ region: "eu-west-1" }).send(new DescribeKeyCommand({ KeyId: "alias/app" })))
  expect(await abroad).toBeInstanceOf(NotFoundException)
})

test("one given client is mocked, others are left alone", async () => {
  const client = new KMSClient({ region: REGION })
  const kms = mocked({ client })
  const other = new KMSClient({ region: REGION })
  expect(other.send).toBe(KMSClient.prototype.send)
  const { KeyMetadata } = await client.send(new CreateKeyCommand({}))
  expect(KeyMetadata!.KeyId).toBeDefined()
  expect(kms.calls("CreateKey")).toHaveLength(1)
})

test("an aborted call ends with AbortError through the mock as well", async () => {
  mocked()
  const send = application.client().send(new CreateKeyCommand({}), { abortSignal: AbortSignal.abort() })
  expect(await failure(send)).toMatchObject({ name: "AbortError" })
})

test("restore gives the client its own send back", async () => {
  const before = KMSClient.prototype.send
  const kms = mockKms()
  expect(KMSClient.prototype.send).not.toBe(before)
  await kms.restore()
  expect(KMSClient.prototype.send).toBe(before)
  await expect(kms.kms.events()).rejects.toMatchObject({ code: "Closed" })
})

test("commands that the embedded KMS does not know fail by name", async () => {
  mocked()
  const { SignCommand } = await import("@aws-sdk/client-kms")
  const sign = new SignCommand({ KeyId: "x", Message: plaintext, SigningAlgorithm: "RSASSA_PSS_SHA_256" })
  expect(await failure(application.client().send(sign))).toMatchObject({ name: "UnsupportedOperationException" })
})
