import { randomUUID } from "node:crypto"
import { wipe } from "../crypto/index.ts"
import { auditedParameters, requestEvent, type TlsDetails, withOwnersEvents } from "./audit.ts"
import type { Asker, RequestParameters } from "./authorization.ts"
import { type Call, createCall } from "./call.ts"
import { doWhatIsDue } from "./due.ts"
import { internalFault, KmsFault, unrecognizedClient } from "./faults.ts"
import { grantsOfTokens } from "./grants/tokens.ts"
import type { Scope } from "./identifiers.ts"
import { isTrackedUse, noteUse } from "./last-use.ts"
import { countRequest } from "./meter.ts"
import { findOperation, type Operation, type Output } from "./operations/index.ts"
import { Preparation } from "./preparation.ts"
import type { CallerSession, Principal } from "./principal.ts"
import { knownCaller } from "./principals/records.ts"
import type { Quotas } from "./quotas.ts"
import { type AwsService, SERVICE_ACCOUNT } from "./services.ts"
import type { Store, StoreTransaction } from "./store/store.ts"
import { appendEvent, type Trail } from "./trail/append.ts"
import { readInput } from "./validation.ts"
import type { Vault } from "./vault.ts"

export interface KmsRequest {
  /** For instance `Decrypt`. */
  readonly operation: string
  /** Parsed JSON, or an SDK command's input; or the fault with which reading it ended. */
  readonly input: unknown
  readonly principal: Principal
  readonly region: string
  readonly userAgent: string
  readonly sourceIpAddress: string
  /** The AWS service that acts for the principal: a door sets it by what the operator registered, never by the request. */
  readonly service?: AwsService | undefined
  /** The resource on whose behalf the service asks; known from where the service is. */
  readonly sourceArn?: string | undefined
  /** For the event: what signed the request, and how it came. */
  readonly session?: CallerSession | undefined
  readonly tlsDetails?: TlsDetails | undefined
  /** `aws:SecureTransport`: false for HTTP without TLS. Default true: what stays in the process is not overheard. */
  readonly secureTransport?: boolean
}

export type KmsReply =
  | { readonly requestId: string; readonly output: Output }
  | { readonly requestId: string; readonly fault: KmsFault }

/** Answers every request; the doors (in process, HTTP) only carry requests to it and replies back. */
export type Dispatch = (request: KmsRequest) => Promise<KmsReply>

export interface DispatcherOptions extends Trail {
  readonly store: Store
  readonly vault: Vault
  readonly partition: string
  readonly quotas: Quotas
  /** Until a new grant takes effect without a token, in milliseconds. */
  readonly grantPropagationMs: number
  /** Whether only registered users and roles may call, and be named in key policies (POL-12.3). */
  readonly registeredOnly: boolean
  /** Milliseconds since 1970. */
  readonly clock: () => number
}

/**
 * One transaction holds a request's checks, its effect, its audit event and its count, so that no request acts on an
 * outdated state and nothing acknowledged is without its event. Refused requests are recorded as well.
 */
export function createDispatcher(options: DispatcherOptions): Dispatch {
  return async (request) => {
    const requestId = randomUUID()
    let prepared: unknown
    for (;;) {
      try {
        return await options.store.transaction((tx) => answer(tx, options, request, requestId, prepared))
      } catch (error) {
        if (!(error instanceof Preparation)) throw error
        prepared = await error.work()
      }
    }
  }
}

/** What a request says, filled in once it was read. */
interface AskedFor {
  parameters: RequestParameters
  tokenGrants: ReadonlySet<string>
}

function answer(
  tx: StoreTransaction,
  options: DispatcherOptions,
  request: KmsRequest,
  requestId: string,
  prepared: unknown,
): KmsReply {
  const { region, operation, secureTransport = true } = request
  const now = options.clock()
  const scope: Scope = { partition: options.partition, region, accountId: request.principal.accountId }
  doWhatIsDue(tx, now, scope.partition, options)
  const asker: Asker = { ...request, secureTransport, known: knownCaller(tx, request.principal), now }
  const asked: AskedFor = { parameters: {}, tokenGrants: new Set() }
  const call = createCall({ ...options, operation, asker, asked, prepared, scope, now, tx })
  const outcome = run(tx, admit(request, asker, options), request.input, call, asked)
  if (isRecorded(call, outcome.fault)) record(tx, options, request, { ...outcome, call, requestId })
  return outcome.fault === undefined ? { requestId, output: outcome.output! } : { requestId, fault: outcome.fault }
}

/** Nobody but a service is of the services' account. */
function admit({ operation, service }: KmsRequest, { known }: Asker, options: DispatcherOptions): Operation | KmsFault {
  const { type, accountId, uniqueId } = known.principal
  const isNobody = accountId === SERVICE_ACCOUNT ? service === undefined : type !== "Root" && uniqueId === undefined
  const isRefused = isNobody && (options.registeredOnly || accountId === SERVICE_ACCOUNT)
  return isRefused ? unrecognizedClient() : findOperation(operation)
}

/**
 * A name that AWS does not know has no place in a trail of AWS's operations, and what services do with AWS owned keys none
 * in a customer's trail and bill.
 */
const isRecorded = ({ scope, notes }: Call, fault: KmsFault | undefined): boolean =>
  (scope.accountId !== SERVICE_ACCOUNT || notes.resources.some(({ accountId }) => accountId !== SERVICE_ACCOUNT)) &&
  fault?.name !== "UnknownOperationException"

interface Answered extends Outcome {
  readonly call: Call
  readonly requestId: string
}

function record(tx: StoreTransaction, options: DispatcherOptions, request: KmsRequest, answered: Answered): void {
  const { call, requestId, fault } = answered
  const { notes, scope, now } = call
  const event = requestEvent({ ...request, ...answered, principal: call.principal, scope, now, notes })
  const events = withOwnersEvents(event)
  for (const added of fault === undefined ? [...notes.before, ...events, ...notes.after] : events)
    appendEvent(tx, added, options)
  countRequest(tx, now, scope.accountId, request.operation, keyOf(call))
  if (fault === undefined && isTrackedUse(request.operation))
    noteUse(call, { operation: request.operation, at: now, eventId: event.eventID, requestId })
}

interface Outcome {
  readonly readOnly: boolean
  readonly parameters: Record<string, unknown> | null
  readonly output?: Output
  readonly fault?: KmsFault
}

function run(
  tx: StoreTransaction,
  operation: Operation | KmsFault,
  raw: unknown,
  call: Call,
  asked: AskedFor,
): Outcome {
  if (operation instanceof KmsFault) return { readOnly: true, parameters: null, fault: operation }
  const { readOnly } = operation
  let parameters: Outcome["parameters"] = null
  try {
    if (raw instanceof KmsFault) throw raw
    const input = readInput(operation.input, raw)
    parameters = auditedParameters(operation.input, input)
    asked.parameters = parameters
    try {
      const { vault, scope } = call
      const tokens = (input.GrantTokens as readonly string[] | undefined) ?? []
      asked.tokenGrants = grantsOfTokens(tx, vault, scope.partition, tokens)
      const output = tx.attempt(() => operation.handle(input, call))
      return { readOnly, parameters, output }
    } finally {
      wipeDecoded(operation, raw, input)
    }
  } catch (error) {
    if (error instanceof Preparation) throw error
    return { readOnly, parameters, fault: error instanceof KmsFault ? error : unexpected(error) }
  }
}

/** Overwrites the secrets that were decoded for this request; bytes handed over by a direct caller stay the caller's. */
function wipeDecoded(operation: Operation, raw: unknown, input: Readonly<Record<string, unknown>>): void {
  for (const [name, member] of Object.entries(operation.input)) {
    const value = input[name]
    const isOurs = value !== (raw as Record<string, unknown>)[name]
    if (member.sensitive && isOurs && value instanceof Uint8Array) wipe(value)
  }
}

/** The cause stays out of the reply and the trail: nobody knows what it says. */
const unexpected = (cause: unknown): KmsFault =>
  Object.assign(internalFault("The request failed inside the embedded KMS."), { cause })

const keyOf = (call: Call): string | undefined => call.notes.resources.find(({ type }) => type === "AWS::KMS::Key")?.ARN
