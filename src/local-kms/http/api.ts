import { randomUUID } from "node:crypto"
import type { IncomingMessage } from "node:http"
import { TLSSocket } from "node:tls"
import { wipe } from "../../crypto/index.ts"
import type { AuditEvent, TlsDetails } from "../audit.ts"
import { accessKeyAccount } from "../credentials.ts"
import type { Dispatch } from "../dispatcher.ts"
import { internalFault, KmsFault, unknownOperation } from "../faults.ts"
import { answerJson, encodeReply, type JsonReply } from "../json-protocol.ts"
import { findOperation } from "../operations/index.ts"
import { type AuthenticateOptions, authenticate, type Identity } from "./authenticate.ts"
import { ConnectionLost, readBody } from "./body.ts"
import { type Origin, refusedEvent, stsEvents } from "./door-events.ts"
import type { Metrics } from "./metrics.ts"
import { headerValue, type SignedRequest } from "./signature.ts"
import { answerSts, type MayAssumeRole, stsAction } from "./sts.ts"

export interface ApiOptions extends AuthenticateOptions {
  readonly dispatch: Dispatch
  readonly mayAssumeRole: MayAssumeRole
  readonly metrics: Metrics
  readonly accountId: string
  /** Adds to the trail; settles when it is durable. */
  readonly record: (events: readonly AuditEvent[]) => Promise<void>
  /** AUD-1.10: whether one more request that was not let in may have an event. */
  readonly mayRecordRefusal: () => boolean
  /** Names of hosts under which open mode answers; `undefined`: all. */
  readonly isTrustedHost: (host: string) => boolean
  /** Told of what went wrong in the server itself. */
  readonly onError: (error: unknown) => void
}

/** The client's doing, as far as metrics go. */
const CLIENT_GONE = 400
const MAX_USER_AGENT = 1024
const JSON_TYPE = "application/x-amz-json-1.1"
const FORM_TYPE = "application/x-www-form-urlencoded"

interface Answer {
  /** `undefined` when the client is gone. */
  readonly reply: JsonReply | undefined
  /** As metrics name it: an operation that there is, or the kind of request. */
  readonly operation: string
  readonly error?: string | undefined
}

/** A call of KMS or STS: read, authenticated, answered. @returns `undefined` when the client is gone */
export async function answerApi(message: IncomingMessage, options: ApiOptions): Promise<JsonReply | undefined> {
  const finish = options.metrics.begin()
  const requestId = randomUUID()
  const { reply, operation, error } = await answer(message, requestId, options)
  finish(operation, reply?.statusCode ?? CLIENT_GONE, error)
  return reply
}

async function answer(message: IncomingMessage, requestId: string, options: ApiOptions): Promise<Answer> {
  let body: Uint8Array | undefined
  try {
    body = await readBody(message)
    const request = signedRequest(message, body)
    const type = mediaType(headerValue(request, "content-type") ?? "")
    if (type === FORM_TYPE) return await sts(message, request, requestId, options)
    if (type === JSON_TYPE) return await kms(message, request, requestId, options)
    throw unknownOperation("")
  } catch (error) {
    return refusal(error, requestId, "other", options)
  } finally {
    wipe(body)
  }
}

const mediaType = (header: string): string => /^[^;]*/.exec(header)![0].trim().toLowerCase()

function signedRequest(message: IncomingMessage, body: Uint8Array): SignedRequest {
  const headers = new Map<string, string[]>()
  const { rawHeaders, url = "/", method = "" } = message
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]!.toLowerCase()
    const values = headers.get(name)
    if (values === undefined) headers.set(name, [rawHeaders[i + 1]!])
    else values.push(rawHeaders[i + 1]!)
  }
  const [path = "/", ...query] = url.split("?")
  return { method, path, query: query.join("?"), headers, body }
}

async function sts(
  message: IncomingMessage,
  request: SignedRequest,
  requestId: string,
  options: ApiOptions,
): Promise<Answer> {
  let identity: Identity | undefined
  const { record, ...reply } = answerSts(
    request.body,
    requestId,
    () => {
      checkHost(request, options)
      identity = authenticate(request, "sts", options)
      return identity
    },
    options,
  )
  const action = stsAction(request.body)
  const { error } = record
  if (identity !== undefined && action !== undefined)
    await options.record(stsEvents(record, identity, originOf(message, request, requestId, options)))
  if (identity === undefined && action !== undefined && error !== undefined)
    await recordRefusal(
      new KmsFault(error.code, error.message),
      { source: "sts", operation: action },
      { message, request, requestId },
      options,
    )
  return { reply, operation: `sts:${action ?? "other"}`, error: error?.code }
}

interface Received {
  readonly message: IncomingMessage
  readonly request: SignedRequest
  readonly requestId: string
}

/** AUD-1.10 */
async function recordRefusal(
  fault: KmsFault,
  asked: Parameters<typeof refusedEvent>[1],
  { message, request, requestId }: Received,
  options: ApiOptions,
): Promise<void> {
  if (!options.mayRecordRefusal()) return
  const accessKeyId = /Credential=([\w-]{3,128})\//.exec(headerValue(request, "authorization") ?? "")?.[1]
  const known = accessKeyId && options.store.read((reader) => accessKeyAccount(reader, accessKeyId))
  const claim = { accountId: known || options.accountId, accessKeyId, region: options.region }
  await options.record([refusedEvent(fault, asked, claim, originOf(message, request, requestId, options))])
}

const originOf = (
  message: IncomingMessage,
  request: SignedRequest,
  requestId: string,
  { clock }: ApiOptions,
): Origin => ({
  now: clock(),
  requestId,
  sourceIpAddress: sourceAddress(message),
  userAgent: userAgent(request),
  tlsDetails: tlsDetails(message, request),
})

const userAgent = (request: SignedRequest): string =>
  (headerValue(request, "user-agent") ?? "").slice(0, MAX_USER_AGENT)

async function kms(
  message: IncomingMessage,
  request: SignedRequest,
  requestId: string,
  options: ApiOptions,
): Promise<Answer> {
  const target = headerValue(request, "x-amz-target") ?? ""
  let operation = "other"
  let error: string | undefined
  try {
    checkHost(request, options)
    const identity = await admit(message, request, requestId, options)
    const dispatch: Dispatch = async (call) => {
      const reply = await options.dispatch(call)
      error = "fault" in reply ? reply.fault.name : undefined
      if (error !== "UnknownOperationException") operation = call.operation
      return reply
    }
    const reply = await answerJson(dispatch, {
      ...identity,
      target,
      body: request.body,
      userAgent: userAgent(request),
      sourceIpAddress: sourceAddress(message),
      tlsDetails: tlsDetails(message, request),
      secureTransport: message.socket instanceof TLSSocket,
    })
    return { reply, operation, error }
  } catch (failure) {
    return refusal(failure, requestId, operation, options)
  }
}

/** @throws KmsFault of a request that is nobody's, once its event is written */
async function admit(
  message: IncomingMessage,
  request: SignedRequest,
  requestId: string,
  options: ApiOptions,
): Promise<Identity> {
  try {
    return authenticate(request, "kms", options)
  } catch (error) {
    const operation = (headerValue(request, "x-amz-target") ?? "").replace(/^TrentService\./, "")
    const known = findOperation(operation)
    if (error instanceof KmsFault && !(known instanceof KmsFault && known.name === "UnknownOperationException"))
      await recordRefusal(error, { source: "kms", operation }, { message, request, requestId }, options)
    throw error
  }
}

/** What no handler answered: a fault of the request, or one of ours, whose text stays here. */
function refusal(error: unknown, requestId: string, operation: string, { onError }: ApiOptions): Answer {
  if (error instanceof ConnectionLost) return { reply: undefined, operation, error: "ConnectionLost" }
  if (error instanceof KmsFault) return faultAnswer(error, requestId, operation)
  onError(error)
  return faultAnswer(internalFault("The request failed inside the embedded KMS."), requestId, operation)
}

const faultAnswer = (fault: KmsFault, requestId: string, operation: string): Answer => ({
  reply: encodeReply({ requestId, fault }),
  operation,
  error: fault.name,
})

/**
 * HTTP-1.8: in open mode on a loopback address a web page that has its own name resolve to this host would speak as the
 * account's root; its requests carry that name.
 */
function checkHost(request: SignedRequest, { openAccount, isTrustedHost }: ApiOptions): void {
  const host = headerValue(request, "host") ?? ""
  if (openAccount !== undefined && !isTrustedHost(host))
    throw new KmsFault("AccessDeniedException", `This server is not known as ${host}.`)
}

const sourceAddress = ({ socket }: IncomingMessage): string => (socket.remoteAddress ?? "").replace(/^::ffff:/, "")

function tlsDetails({ socket }: IncomingMessage, request: SignedRequest): TlsDetails | undefined {
  if (!(socket instanceof TLSSocket)) return undefined
  return {
    tlsVersion: socket.getProtocol() ?? "",
    cipherSuite: socket.getCipher().standardName,
    clientProvidedHostHeader: headerValue(request, "host") ?? "",
  }
}
