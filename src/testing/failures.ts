import { KMSClient } from "@aws-sdk/client-kms"

/** Failures with the names, texts and fields that the AWS SDK gives them, or any error of your own. */
export type Failure = "throttling" | "accessDenied" | "timeout" | Error

interface FailureReply {
  readonly name: string
  readonly message: string
}

const REQUEST_TIMEOUT_MS = 3000

const replies = {
  throttling: (): FailureReply => ({
    name: "ThrottlingException",
    message: "You have exceeded the rate at which you may call KMS. Reduce the frequency of your calls.",
  }),
  accessDenied: (operation: string, resource: string, principal: string): FailureReply => ({
    name: "AccessDeniedException",
    message:
      `User: ${principal} is not authorized to perform: kms:${operation} on resource: ${resource} ` +
      `because no identity-based policy allows the kms:${operation} action`,
  }),
}

export interface FailingCall {
  readonly operation: string
  /** The key as the call named it, or `*`. */
  readonly resource: string
  /** The caller's ARN. */
  readonly principal: string
  readonly region: string
  readonly timeoutMilliseconds: number
}

/**
 * A client that answers one call with a failure from below: the AWS SDK's own code makes the error that the application
 * sees. One attempt: `send` of a real client fails after its retries, so there is nothing left to retry.
 */
export function failingClient(failure: Exclude<Failure, Error>, call: FailingCall): KMSClient {
  return new KMSClient({
    region: call.region,
    endpoint: `https://kms.${call.region}.amazonaws.com`,
    credentials: { accessKeyId: "MOCK", secretAccessKey: "not-used" },
    signer: { sign: async (request) => request },
    maxAttempts: 1,
    requestHandler: {
      handle: (_request: unknown, options: { readonly abortSignal?: unknown } = {}) =>
        failure === "timeout"
          ? timeout(call.timeoutMilliseconds, options.abortSignal as AbortSignal | undefined)
          : errorReply(replies[failure](call.operation, call.resource, call.principal)),
    },
  })
}

async function errorReply({ name, message }: FailureReply) {
  const body = new TextEncoder().encode(JSON.stringify({ __type: name, message }))
  const headers = { "content-type": "application/x-amz-json-1.1", "x-amzn-requestid": crypto.randomUUID() }
  return { response: { statusCode: 400, headers, body } }
}

/** Fails as the SDK's HTTP handler does when KMS does not answer, after a shorter time, or with the caller's abort. */
function timeout(milliseconds: number, signal: AbortSignal | undefined): Promise<never> {
  return new Promise((_resolve, reject) => {
    const onAbort = (): void => {
      clearTimeout(timer)
      reject(Object.assign(new Error("Request aborted"), { name: "AbortError", cause: signal?.reason }))
    }
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", onAbort)
      reject(
        Object.assign(new Error(`Request did not complete within ${REQUEST_TIMEOUT_MS} ms`), {
          name: "TimeoutError",
          code: "ETIMEDOUT",
        }),
      )
    }, milliseconds)
    if (signal?.aborted) onAbort()
    else signal?.addEventListener("abort", onAbort, { once: true })
  })
}
