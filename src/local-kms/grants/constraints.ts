import type { EncryptionContext } from "../../core/index.ts"

/** What a grant asks of the encryption context: exactly these pairs, or at least these. */
export interface ContextConstraint {
  readonly type: "EncryptionContextEquals" | "EncryptionContextSubset"
  readonly context: EncryptionContext
}

/** GRT-4.2: names of pairs have no case, values have. */
const pairs = (context: EncryptionContext): ReadonlySet<string> =>
  new Set(Object.entries(context).map(([name, value]) => JSON.stringify([name.toLowerCase(), value])))

const includes = (all: ReadonlySet<string>, some: ReadonlySet<string>): boolean => {
  for (const pair of some) if (!all.has(pair)) return false
  return true
}

const sizeOf = (context: EncryptionContext): number => Object.keys(context).length

/** GRT-4.2. Pairs are counted as they are: two whose names differ in case only do not pass for one. */
export function meetsConstraint({ type, context }: ContextConstraint, asked: EncryptionContext): boolean {
  const wanted = pairs(context)
  const present = pairs(asked)
  if (!includes(present, wanted)) return false
  return type === "EncryptionContextSubset" || (includes(wanted, present) && sizeOf(asked) === sizeOf(context))
}

/** GRT-4.5: whether every context that the child allows, the parent allows. */
export function isAsStrict(child: ContextConstraint | undefined, parent: ContextConstraint): boolean {
  if (child === undefined) return false
  const isEquals = child.type === "EncryptionContextEquals"
  return isEquals || parent.type === "EncryptionContextSubset" ? meetsConstraint(parent, child.context) : false
}
