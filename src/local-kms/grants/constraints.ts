import { createHash } from "node:crypto"
import type { EncryptionContext } from "../../core/index.ts"
import type { GrantConstraints } from "./records.ts"

/** What a grant asks of the encryption context: exactly these pairs, or at least these. */
export interface ContextConstraint {
  readonly type: "EncryptionContextEquals" | "EncryptionContextSubset"
  readonly context: EncryptionContext
}

export function contextConstraint({
  EncryptionContextEquals,
  EncryptionContextSubset,
}: GrantConstraints): ContextConstraint | undefined {
  if (EncryptionContextEquals !== undefined)
    return { type: "EncryptionContextEquals", context: EncryptionContextEquals }
  return EncryptionContextSubset && { type: "EncryptionContextSubset", context: EncryptionContextSubset }
}

/** GRT-4.2: names of pairs have no case, values have. */
const pairTexts = (context: EncryptionContext): string[] =>
  Object.entries(context).map(([name, value]) => JSON.stringify([name.toLowerCase(), value]))

const pairs = (context: EncryptionContext): ReadonlySet<string> => new Set(pairTexts(context))

const digest = (texts: readonly string[]): string =>
  createHash("sha256")
    .update([...texts].sort().join())
    .digest("hex")
    .slice(0, 32)

const UNCONSTRAINED = "-"
const equalTo = (context: EncryptionContext): string => `e${digest(pairTexts(context))}`
const withPair = (pair: string): string => `s${digest([pair])}`

/** GRT-5.6: under what a grant is looked up. Of a subset, one pair: a request that meets it has that pair. */
export function bucketOf(constraint: ContextConstraint | undefined): string {
  if (constraint === undefined) return UNCONSTRAINED
  const { type, context } = constraint
  if (type === "EncryptionContextEquals") return equalTo(context)
  const [first] = pairTexts(context).sort()
  return first === undefined ? UNCONSTRAINED : withPair(first)
}

/** Where all constraints are that a context might meet, or that a child's constraint might be as strict as. */
export const bucketsFor = (context: EncryptionContext): string[] => [
  UNCONSTRAINED,
  equalTo(context),
  ...[...pairs(context)].map(withPair),
]

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
