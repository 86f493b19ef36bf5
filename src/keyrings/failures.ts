import { EnvelopeError } from "../core/index.ts"

/** What one keyring threw. */
export interface Failure {
  /** The keyring's name. */
  readonly keyring: string
  readonly error: unknown
}

/**
 * The error for a whole list of failures: a single one as it is, several as an `EnvelopeError` that lists each keyring
 * with its error's name, all of them in its cause.
 */
export function combineFailures(code: "WrapFailed" | "UnwrapFailed", failures: readonly Failure[]): unknown {
  if (failures.length === 1) return failures[0]!.error
  const task = code === "WrapFailed" ? "the data key could not be wrapped" : "the data key could not be unwrapped"
  const list = failures.map(({ keyring, error }) => `${keyring} (${errorName(error)})`).join(", ")
  const causes = failures.map(({ error }) => error)
  return new EnvelopeError(code, `${task}: ${list}`, { cause: new AggregateError(causes, task) })
}

const errorName = (error: unknown): string => (error instanceof Error ? error.name : typeof error)
