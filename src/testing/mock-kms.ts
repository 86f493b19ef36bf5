import { CreateAliasCommand, CreateKeyCommand, KMSClient } from "@aws-sdk/client-kms"
import { type AwsClientStub, mockClient } from "aws-sdk-client-mock"
import { type InMemoryOptions, LocalKms } from "../local-kms/index.ts"
import { type Failure, failingClient } from "./failures.ts"

export interface MockKmsOptions extends InMemoryOptions {
  /** Mock this instance only. Default: every `KMSClient`, those made later as well. */
  readonly client?: KMSClient
  /**
   * The ARN that the application's calls come from. Default: the root of the account. A user or role may do what key
   * policies allow it (`createKey` takes one), or identity policies (`kms.principals`).
   */
  readonly principal?: string
}

export interface CreateKeyOptions {
  /** Default: the Region of the KMS. */
  readonly region?: string
  /** A multi-Region primary key. Default false. */
  readonly multiRegion?: boolean
  /** The key policy, as JSON. Default: the account's root may do everything, others what their identity policies say. */
  readonly policy?: string
}

export interface FailureOptions {
  /** Only calls of this operation fail, for instance `Decrypt`. Default: every operation. */
  readonly operation?: string
  /** How long a `timeout` takes before it fails. Default 10; an abort ends it earlier. */
  readonly timeoutMilliseconds?: number
}

/** One call that the application made. */
export interface KmsCall {
  /** For instance `GenerateDataKey`. */
  readonly operation: string
  // biome-ignore lint/suspicious/noExplicitAny: tests assert on the inputs of any operation.
  readonly input: any
}

export interface MockKms {
  /** The embedded KMS that answers: `events()`, `usage()`, and a `directClient()` whose calls are not recorded. */
  readonly kms: LocalKms
  /** The mock of aws-sdk-client-mock, for its own assertions (`commandCalls`) and overrides (`on(…).rejects`). */
  readonly mock: AwsClientStub<KMSClient>
  /**
   * Makes a key, and an alias of it if one is named, without a trace in `calls()`.
   *
   * @param alias for instance `alias/app`
   * @returns the key's ARN
   */
  createKey(alias?: string, options?: CreateKeyOptions): Promise<string>
  /** The calls made so far, oldest first. */
  calls(operation?: string): KmsCall[]
  /**
   * Lets the next `count` calls fail. A call takes the first failure in line that is meant for its operation.
   *
   * @throws RangeError for a count that is not a whole number above zero
   */
  failNext(count: number, failure: Failure, options?: FailureOptions): void
  /** Forgets calls, failures still in line, and overrides made on `mock`. Keys stay. */
  reset(): void
  /** Gives the client its own `send` back and closes the KMS. */
  restore(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

interface PlannedFailure extends FailureOptions {
  readonly failure: Failure
  remaining: number
}

type Command = Parameters<KMSClient["send"]>[0]
interface SendOptions {
  readonly abortSignal?: AbortSignal
}
type Send = (this: KMSClient, command: Command, options?: SendOptions) => Promise<unknown>

/** The SDK's own `send`, which a stub of `KMSClient` leaves alone. */
const realSend = Object.getPrototypeOf(KMSClient.prototype).send as Send

/**
 * Mocks `KMSClient` with an embedded KMS in memory behind it, so that an application's unit tests run its real code
 * without a network: keys work, contexts are checked, errors are the SDK's own classes.
 *
 * @example
 * ```ts
 * const kms = mockKms()
 * const keyArn = await kms.createKey("alias/app")
 * afterEach(() => kms.reset())
 * afterAll(() => kms.restore())
 * ```
 */
export function mockKms(options: MockKmsOptions = {}): MockKms {
  const { client: mocked, principal, ...kmsOptions } = options
  const kms = LocalKms.inMemory(kmsOptions)
  const caller = principal ?? `arn:aws:iam::${kms.accountId}:root`
  const mock = (mocked === undefined ? mockClient(KMSClient) : mockClient(mocked)) as AwsClientStub<KMSClient>
  let planned: PlannedFailure[] = []
  const clients = new Map<string, KMSClient>()

  const clientIn = (region: string): KMSClient => {
    const known = clients.get(region)
    if (known !== undefined) return known
    const client = kms.client({ principal: caller, region })
    clients.set(region, client)
    return client
  }

  const takeFailure = (operation: string): PlannedFailure | undefined => {
    const next = planned.find((plan) => plan.operation === undefined || plan.operation === operation)
    if (next === undefined) return undefined
    next.remaining--
    if (next.remaining === 0) planned = planned.filter((plan) => plan !== next)
    return next
  }

  const answer = async (command: Command, sendOptions: SendOptions | undefined, client: KMSClient) => {
    const operation = operationOf(command)
    const planned = takeFailure(operation)
    if (planned?.failure instanceof Error) throw planned.failure
    const region = await regionOf(client, kms.region)
    if (planned === undefined) return realSend.call(clientIn(region), command, sendOptions)
    const { timeoutMilliseconds = 10 } = planned
    const call = { operation, resource: resourceOf(command), principal: caller, region, timeoutMilliseconds }
    return realSend.call(failingClient(planned.failure, call), command, sendOptions)
  }

  const wire = (): void => {
    mock.onAnyCommand().callsFake((input, getClient) => {
      // The mock hands over the input alone; the command and its options are in the call it has just recorded.
      const call = mock.calls().findLast(({ args }) => args[0].input === input)!
      const [command, sendOptions] = call.args as unknown as readonly [Command, unknown]
      return answer(command, typeof sendOptions === "object" ? (sendOptions as SendOptions) : undefined, getClient())
    })
  }
  wire()

  const mockKms: MockKms = {
    kms,
    mock,
    async createKey(alias, { region = kms.region, multiRegion = false, policy } = {}) {
      const client = kms.directClient({ region })
      const { KeyMetadata } = await client.send(new CreateKeyCommand({ MultiRegion: multiRegion, Policy: policy }))
      if (alias !== undefined)
        await client.send(new CreateAliasCommand({ AliasName: alias, TargetKeyId: KeyMetadata.KeyId }))
      return KeyMetadata.Arn
    },
    calls: (operation) =>
      mock
        .calls()
        .map(({ args: [command] }) => ({ operation: operationOf(command as Command), input: command.input }))
        .filter((call) => operation === undefined || call.operation === operation),
    failNext(count, failure, failureOptions = {}) {
      if (!Number.isSafeInteger(count) || count < 1) throw new RangeError("count must be a whole number above zero")
      planned.push({ ...failureOptions, failure, remaining: count })
    },
    reset() {
      planned = []
      mock.reset()
      wire()
    },
    async restore() {
      mock.restore()
      await kms.close()
    },
    [Symbol.asyncDispose]: () => mockKms.restore(),
  }
  return mockKms
}

const operationOf = (command: Command): string => command.constructor.name.replace(/Command$/, "")

function resourceOf(command: Command): string {
  const input = command.input as Readonly<Record<string, unknown>>
  const resource = input.KeyId ?? input.DestinationKeyId ?? input.TargetKeyId
  return typeof resource === "string" ? resource : "*"
}

/** A client without a Region would fail before it sends anything; in a test it means the KMS's own. */
async function regionOf(client: KMSClient, fallback: string): Promise<string> {
  try {
    return await client.config.region()
  } catch {
    return fallback
  }
}
