import { EnvelopeError } from "../core/index.ts"

export const malformedVolume = (what: string): EnvelopeError => new EnvelopeError("MalformedVolume", what)

export const tamperedVolume = (what: string): EnvelopeError =>
  new EnvelopeError("TamperedVolume", `${what} is not authentic: it was changed or damaged`)

/** What the disk refused, with the system's error as cause; its code, for instance ENOSPC, stands in the text. */
export function diskError(what: string, cause: unknown): EnvelopeError {
  if (cause instanceof EnvelopeError) return cause
  const code = (cause as NodeJS.ErrnoException | undefined)?.code ?? "unknown error"
  return new EnvelopeError("VolumeIo", `${what} failed: ${code}`, { cause })
}
