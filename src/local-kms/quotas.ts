/** How much of everything there may be; AWS's defaults unless said otherwise. Past one: `LimitExceededException`. */
export interface Quotas {
  /** Customer managed keys in an account and Region. Default 100,000. */
  readonly keys: number
  /** Default 50. */
  readonly aliasesPerKey: number
  /** Default 50,000. */
  readonly grantsPerKey: number
  /** Of a key policy, in bytes. Default 32,768. */
  readonly policyBytes: number
}

const defaults: Quotas = { keys: 100_000, aliasesPerKey: 50, grantsPerKey: 50_000, policyBytes: 32_768 }

/** @throws RangeError for a quota that is no whole number, TypeError for one that does not exist */
export function readQuotas(given: Partial<Quotas> = {}): Quotas {
  for (const [name, value] of Object.entries(given)) {
    if (!Object.hasOwn(defaults, name)) throw new TypeError(`there is no quota '${name}'`)
    if (!Number.isSafeInteger(value) || value < 0) throw new RangeError(`the quota ${name} must be a whole number`)
  }
  return { ...defaults, ...given }
}
