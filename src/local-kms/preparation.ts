/**
 * Thrown by a handler that finds, after all its checks, that it needs something slow. The transaction is undone, the work
 * done outside it, and the request handled again from the beginning with the result in `call.prepared`. So nobody waits
 * behind slow work, and nobody has it done who may not ask for it.
 */
export class Preparation extends Error {
  readonly work: () => Promise<unknown>

  constructor(work: () => Promise<unknown>) {
    super("the request needs preparation")
    this.name = "Preparation"
    this.work = work
  }
}
