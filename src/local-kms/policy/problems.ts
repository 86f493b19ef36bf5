/** Why a document is no policy. */
export interface PolicyProblem {
  readonly code: "MalformedPolicyDocument" | "LimitExceeded"
  /** Where, for instance `Statement[0].Principal.AWS[1]`; empty for the document as a whole. */
  readonly path: string
  /** What the error reply says: AWS's text where it is known. */
  readonly message: string
  /** What exactly is wrong, where AWS's text does not tell. */
  readonly detail?: string
}

/** Collects what is wrong while a document is read. */
export interface Problems {
  readonly list: PolicyProblem[]
  add(path: string, message: string, detail?: string): void
}

export function collectProblems(): Problems {
  const list: PolicyProblem[] = []
  return {
    list,
    add(path, message, detail) {
      list.push({ code: "MalformedPolicyDocument", path, message, ...(detail === undefined ? {} : { detail }) })
    },
  }
}

export const describeProblem = ({ path, message, detail }: PolicyProblem): string =>
  `${path === "" ? "" : `${path}: `}${message}${detail === undefined ? "" : ` (${detail})`}`
