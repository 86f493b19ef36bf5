import { EnvelopeError } from "../../core/index.ts"
import { copyContext } from "../../format/index.ts"
import type { StringMap } from "./text.ts"

/** A frozen copy. @throws TypeError for anything but a record of well-formed strings */
export function checkDescription(description: StringMap | undefined): StringMap {
  try {
    return copyContext(description)
  } catch {
    throw new TypeError("materialDescription must be an object of strings")
  }
}

/** CSE-7.4: one text, whatever was wrong with the wrapped key. */
export const unwrapFailed = (name: string): EnvelopeError =>
  new EnvelopeError(
    "UnwrapFailed",
    `the ${name} could not unwrap the data key: another key wrapped it, or it was changed`,
  )
