import { randomUUID } from "node:crypto"
import { wipe } from "../crypto/index.ts"
import { auditedParameters, requestEvent } from "./audit.ts"
import type { Authorize } from "./authorization.ts"
import { type Call, createCall } from "./call.ts"
import { deleteDueKeys } from "./deletions.ts"
import { internalFault, invalidGrantToken, KmsFault } from "./faults.ts"
import type { Scope } from "./identifiers.ts"
import { countRequest } from "./meter.ts"
import { findOperation, type Operation, type Output } from "./operations/index.ts"
import type { Principal } from "./principal.ts"
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
  readonly authorize: Authorize
  /** Milliseconds since 1970. */
  readonly clock: () => number
}

/**
 * One transaction holds a request's checks, its effect, its audit event and its count, so that no request acts on an
 * outdated state and nothing acknowledged is without its event. Refused requests are recorded as well.
 */
export function createDispatcher(options: DispatcherOptions): Dispatch {
  const { store, clock, partition } = options
  return async (request) => {
    const requestId = randomUUID()
    const operation = findOperation(request.operation)
    const scope: Scope = { partition, region: request.region, accountId: request.principal.accountId }
    return store.transaction((tx) => {
      const now = clock()
      deleteDueKeys(tx, now, partition, options)
      const call = createCall({
        ...options,
        operation: request.operation,
        principal: request.principal,
        scope,
        now,
        tx,
      })
      const outcome = run(tx, operation, request.input, call)
      const event = requestEvent({ ...request, ...outcome, scope, now, requestId, notes: call.notes })
      // A name that AWS does not know has no place in a trail of AWS's operations.
      if (!isUnknown(outcome.fault)) {
        appendEvent(tx, event, options)
        countRequest(tx, now, scope.accountId, request.operation, keyOf(call))
      }
      return outcome.fault === undefined ? { requestId, output: outcome.output! } : { requestId, fault: outcome.fault }
    })
  }
}

interface Outcome {
  readonly readOnly: boolean
  readonly parameters: Record<string, unknown> | null
  readonly output?: Output
  readonly fault?: KmsFault
}

function run(tx: StoreTransaction, operation: Operation | KmsFault, raw: unknown, call: Call): Outcome {
  if (operation instanceof KmsFault) return { readOnly: true, parameters: null, fault: operation }
  const { readOnly } = operation
  let parameters: Outcome["parameters"] = null
  try {
    if (raw instanceof KmsFault) throw raw
    const input = readInput(operation.input, raw)
    parameters = auditedParameters(operation.input, input)
    try {
      refuseGrantTokens(input)
      const output = tx.attempt(() => operation.handle(input, call))
      return { readOnly, parameters, output }
    } finally {
      wipeDecoded(operation, raw, input)
    }
  } catch (error) {
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

/** Without grants every token is an unknown one. */
function refuseGrantTokens(input: Readonly<Record<string, unknown>>): void {
  const { GrantTokens } = input
  if (Array.isArray(GrantTokens) && GrantTokens.length > 0) throw invalidGrantToken("The grant token is not valid.")
}

/** The cause stays out of the reply and the trail: nobody knows what it says. */
const unexpected = (cause: unknown): KmsFault =>
  Object.assign(internalFault("The request failed inside the embedded KMS."), { cause })

const isUnknown = (fault: KmsFault | undefined): boolean => fault?.name === "UnknownOperationException"

const keyOf = (call: Call): string | undefined => call.notes.resources.find(({ type }) => type === "AWS::KMS::Key")?.ARN
