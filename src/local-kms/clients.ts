import { createRequire } from "node:module"
import type { KMSClient, KMSClientConfig } from "@aws-sdk/client-kms"
import type { KmsClient } from "../core/index.ts"
import type { Dispatch } from "./dispatcher.ts"
import type { KmsFault } from "./faults.ts"
import { answerJson } from "./json-protocol.ts"
import type { CallerSession, Principal } from "./principal.ts"
import type { AwsService } from "./services.ts"

export interface Caller {
  readonly principal: Principal
  readonly region: string
  readonly session?: CallerSession
  /** The AWS service that acts for the principal. */
  readonly service?: AwsService
  /** The resource on whose behalf it does. */
  readonly sourceArn?: string
}

const SOURCE_ADDRESS = "127.0.0.1"
const USER_AGENT = "kms-envelope"

/**
 * A `KMSClient` of the AWS SDK whose requests are answered in this process. Everything else is the SDK's own:
 * serialisation, retries, error classes.
 */
export function sdkClient(dispatch: Dispatch, caller: Caller, config: Partial<KMSClientConfig>): KMSClient {
  const sdk = loadSdk()
  return new sdk.KMSClient({
    // Stated, so that neither the environment nor ~/.aws/config has a say in it.
    maxAttempts: 3,
    retryMode: "standard",
    useDualstackEndpoint: false,
    useFipsEndpoint: false,
    ...config,
    region: caller.region,
    endpoint: `https://kms.${caller.region}.amazonaws.com`,
    credentials: { accessKeyId: "EMBEDDEDKMS", secretAccessKey: "not-used" },
    // Nothing leaves the process: there is nobody to sign for.
    signer: { sign: async (request) => request },
    requestHandler: requestHandler(dispatch, caller),
  })
}

function loadSdk(): typeof import("@aws-sdk/client-kms") {
  try {
    // The SDK's main module is CommonJS: import and require give one and the same copy of its classes.
    return createRequire(import.meta.url)("@aws-sdk/client-kms")
  } catch (cause) {
    throw new Error("client() needs the package @aws-sdk/client-kms: npm install @aws-sdk/client-kms", { cause })
  }
}

interface HttpRequest {
  readonly headers: Readonly<Record<string, string>>
  readonly body?: unknown
}

function requestHandler(dispatch: Dispatch, caller: Caller) {
  return {
    async handle(request: HttpRequest, options: { readonly abortSignal?: unknown } = {}) {
      const signal = options.abortSignal as AbortSignal | undefined
      const { headers } = request
      const answer = answerJson(dispatch, {
        ...caller,
        target: headers["x-amz-target"] ?? "",
        body: bodyBytes(request.body),
        userAgent: headers["x-amz-user-agent"] ?? headers["user-agent"] ?? USER_AGENT,
        sourceIpAddress: SOURCE_ADDRESS,
      })
      return { response: await abortable(answer, signal) }
    },
    destroy() {},
    metadata: { handlerProtocol: "http/1.1" },
    updateHttpClientConfig() {},
    httpHandlerConfigs: () => ({}),
  }
}

/** Settles with the answer, or with an `AbortError` as the SDK's own handlers throw it, whichever comes first. */
async function abortable<T>(answer: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return answer
  let onAbort = (): void => {}
  const aborted = new Promise<never>((_resolve, reject) => {
    onAbort = () => reject(abortError(signal))
    if (signal.aborted) onAbort()
    else signal.addEventListener("abort", onAbort, { once: true })
  })
  // The request is on its way; when nobody waits for its answer any more, a failure of it is nobody's either.
  answer.catch(() => {})
  try {
    return await Promise.race([aborted, answer])
  } finally {
    signal.removeEventListener("abort", onAbort)
  }
}

function abortError(signal: AbortSignal): Error {
  const { reason } = signal
  const error = new Error("Request aborted", reason instanceof Error ? { cause: reason } : undefined)
  error.name = "AbortError"
  return error
}

const bodyBytes = (body: unknown): Uint8Array =>
  body instanceof Uint8Array ? body : typeof body === "string" ? new TextEncoder().encode(body) : new Uint8Array(0)

/** What `directClient` answers with: the SDK's outputs without the SDK. */
export interface DirectClient extends KmsClient {
  // biome-ignore lint/suspicious/noExplicitAny: as in KmsClient: any command of the SDK, and that command's output.
  send(command: any, options?: { readonly abortSignal?: AbortSignal }): Promise<any>
}

/**
 * Sends commands straight to the dispatcher. Takes the AWS SDK's commands, or anything with an `input` whose class is
 * named like one (`DecryptCommand`).
 */
export const directClient = (dispatch: Dispatch, caller: Caller): DirectClient => ({
  takesPlainCommands: true,
  async send(command, options = {}) {
    const signal = options.abortSignal
    if (signal?.aborted) throw abortError(signal)
    const reply = await abortable(
      dispatch({
        ...caller,
        operation: operationName(command),
        input: command.input ?? {},
        userAgent: USER_AGENT,
        sourceIpAddress: SOURCE_ADDRESS,
      }),
      signal,
    )
    if ("fault" in reply) throw serviceError(reply.fault, reply.requestId)
    return { ...reply.output, $metadata: responseMetadata(200, reply.requestId) }
  },
})

function operationName(command: {
  readonly constructor: { readonly name: string }
  readonly schema?: unknown
}): string {
  const { name } = command.constructor
  if (name.endsWith("Command")) return name.slice(0, -"Command".length)
  // A minifier renames classes; the SDK's schema keeps the operation's name.
  const schemaName = Array.isArray(command.schema) ? command.schema[2] : undefined
  if (typeof schemaName === "string") return schemaName
  throw new TypeError(`send() takes a command of the AWS SDK, not ${name}`)
}

const responseMetadata = (httpStatusCode: number, requestId: string) => ({
  httpStatusCode,
  requestId,
  attempts: 1,
  totalRetryDelay: 0,
})

/** An error with the fields of the SDK's service exceptions. */
function serviceError(fault: KmsFault, requestId: string): Error {
  // Without a text from the service the SDK says so.
  const error = new Error(fault.message === "" ? "UnknownError" : fault.message, { cause: fault.cause })
  return Object.assign(error, {
    name: fault.name,
    $fault: fault.statusCode < 500 ? "client" : "server",
    $metadata: responseMetadata(fault.statusCode, requestId),
  })
}
