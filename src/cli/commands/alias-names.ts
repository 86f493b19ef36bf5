import { usageError } from "../failures.ts"
import type { Kms } from "../kms.ts"
import { allPages } from "./requests.ts"

export interface AliasEntry {
  readonly AliasName: string
  readonly AliasArn: string
  /** Absent for the aliases AWS holds ready for keys not made yet. */
  readonly TargetKeyId?: string
  readonly CreationDate?: Date
  readonly LastUpdatedDate?: Date
}

export type NamedKey = AliasEntry & { readonly TargetKeyId: string }

/** `app` and `alias/app` mean the same where only an alias can be meant. */
export function aliasName(text: string): string {
  const name = text.startsWith("alias/") ? text : `alias/${text}`
  if (/^alias\/[\w/-]+$/.test(name)) return name
  throw usageError(`'${text}' is no alias`, "letters, digits, and - _ /")
}

/** The names that stand for a key, of one key or of all. */
export async function listAliases(kms: Kms, keyArn?: string): Promise<NamedKey[]> {
  const input = keyArn === undefined ? {} : { KeyId: keyArn }
  const aliases = await allPages<AliasEntry>(kms, "ListAliases", "Aliases", input)
  return aliases.filter((alias): alias is NamedKey => alias.TargetKeyId !== undefined)
}
