import { EnvelopeError, type EnvelopeErrorCode } from "../../src/core/index.ts"

/** What `work` throws, at once or later. @throws when it succeeds */
export async function errorOf(work: () => unknown): Promise<Error> {
  let result: unknown
  try {
    result = await work()
  } catch (error) {
    return error as Error
  }
  throw new Error(`expected an error, got ${String(result)}`)
}

/** The code of the EnvelopeError that `work` throws. @throws for success and for any other error */
export async function codeOf(work: () => unknown): Promise<EnvelopeErrorCode> {
  const error = await errorOf(work)
  if (!(error instanceof EnvelopeError)) throw error
  return error.code
}
