/**
 * What `promise` gives, or the signal's reason as soon as it aborts. What comes after that goes to `late`.
 */
export function orAborted<T>(
  promise: Promise<T>,
  signal: AbortSignal | undefined,
  late: (value: T) => void,
): Promise<T> {
  if (signal === undefined) return promise
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(signal.reason)
    signal.addEventListener("abort", onAbort, { once: true })
    const settle = (finish: () => void) => {
      signal.removeEventListener("abort", onAbort)
      finish()
    }
    promise.then(
      (value) => settle(() => (signal.aborted ? late(value) : resolve(value))),
      (error) => settle(() => reject(error)),
    )
    if (signal.aborted) onAbort()
  })
}

/** A controller that aborts with `signal`; call `unlink` when done, so that a long-lived signal keeps no listener. */
export function linkedController(signal: AbortSignal | undefined): {
  controller: AbortController
  unlink: () => void
} {
  const controller = new AbortController()
  if (signal === undefined) return { controller, unlink: () => {} }
  const onAbort = () => controller.abort(signal.reason)
  signal.addEventListener("abort", onAbort, { once: true })
  if (signal.aborted) onAbort()
  return { controller, unlink: () => signal.removeEventListener("abort", onAbort) }
}
