export interface AuditProblem {
  /**
   * - `removed`: events are missing
   * - `edited`: an event is not what the KMS wrote
   * - `moved`: an event stands in the place of another
   * - `unlinked`: an event follows another than it did when it was written, as when two copies of a store are mixed
   * - `added`: an event stands behind the end of the trail
   * - `head`: the trail's end was changed, or events were cut off and others written since
   * - `digest`: a signed digest is missing, changed, or tells of other events
   * - `index`: the search index was wrong, so that searches may have missed events; it has been made anew
   */
  readonly kind: "removed" | "edited" | "moved" | "unlinked" | "added" | "head" | "digest" | "index"
  /** The numbers of the events, from 1. */
  readonly first: number
  readonly last: number
  readonly text: string
}

const MAX_PROBLEMS = 1000

export interface Problems {
  readonly list: readonly AuditProblem[]
  readonly count: number
  add(kind: AuditProblem["kind"], first: number, last: number, text: string): void
}

export function problemList(): Problems {
  const list: AuditProblem[] = []
  let count = 0
  return {
    list,
    get count() {
      return count
    },
    add(kind, first, last, text) {
      count++
      if (list.length < MAX_PROBLEMS) list.push({ kind, first, last, text })
    },
  }
}
