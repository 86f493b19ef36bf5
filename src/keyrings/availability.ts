/** AWS error names that say "not now" rather than "not you". KMS asks to retry each of them. */
const BUSY = [
  "DependencyTimeoutException",
  "InternalFailure",
  "InternalServerException",
  "KMSInternalException",
  "KeyUnavailableException",
  "RequestTimeout",
  "RequestTimeoutException",
  "ServiceUnavailable",
  "ServiceUnavailableException",
  "Throttling",
  "ThrottlingException",
  "TimeoutError",
  "TooManyRequestsException",
]

/** Codes of Node's sockets and resolver, and of its fetch. */
const NETWORK =
  /^(ECONN(REFUSED|RESET|ABORTED)|ENOTFOUND|EAI_AGAIN|ETIMEDOUT|EPIPE|EHOSTUNREACH|ENETUNREACH|ENETDOWN|UND_ERR_\w*(TIMEOUT|SOCKET))$/

const MAX_DEPTH = 8

/**
 * Whether an error says that a service cannot be reached or is busy: throttling, 5xx, timeouts, failed connections.
 * Looks through causes. A refusal (access denied, key disabled, key not found) is no outage.
 */
export function isUnavailable(error: unknown, depth = 0): boolean {
  if (typeof error !== "object" || error === null || depth > MAX_DEPTH) return false
  const { name, code, cause, errors, $metadata } = error as {
    name?: unknown
    code?: unknown
    cause?: unknown
    errors?: unknown
    $metadata?: { httpStatusCode?: unknown }
  }
  if (BUSY.includes(String(name)) || NETWORK.test(String(code))) return true
  const status = $metadata?.httpStatusCode
  if (typeof status === "number" && status >= 500) return true
  if (Array.isArray(errors)) return errors.length > 0 && errors.every((inner) => isUnavailable(inner, depth + 1))
  return cause !== undefined && isUnavailable(cause, depth + 1)
}
