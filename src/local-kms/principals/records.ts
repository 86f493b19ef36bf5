import { randomInt } from "node:crypto"
import { internalFault } from "../faults.ts"
import { type AttachedPolicy, type Caller, type Policy, readPolicy } from "../policy/index.ts"
import { type Principal, principalId } from "../principal.ts"
import type { StoreReader, StoreTransaction } from "../store/store.ts"

export type PrincipalType = "user" | "role" | "group"

/** An identity policy as it was given. */
interface StoredPolicy {
  readonly name: string
  readonly text: string
}

/** A user, role or group that was registered (POL-12.1). */
export interface PrincipalRecord {
  readonly type: PrincipalType
  readonly arn: string
  /** `AIDA…`, `AROA…` or `AGPA…`; another one when the name is given again. */
  readonly id: string
  readonly createdAt: number
  readonly tags: Readonly<Record<string, string>>
  readonly policies: readonly StoredPolicy[]
  /** The names of a user's groups, in its account. */
  readonly groups?: readonly string[]
  /** Who may assume a role. */
  readonly trustPolicy?: string
}

export interface PrincipalName {
  readonly accountId: string
  readonly type: PrincipalType
  /** Without the path: one account has a name once for each type, whatever its case and path. */
  readonly name: string
}

const PREFIX = "principal/"
const accountPrefix = (accountId: string, type: PrincipalType): string => `${PREFIX}${accountId}/${type}/`
const pathOf = ({ accountId, type, name }: PrincipalName): string => accountPrefix(accountId, type) + name.toLowerCase()
const idPath = (id: string): string => `principal-id/${id}`

const ARN = /^arn:(aws[a-z-]*):iam::(\d{12}):(user|role|group)\/(?:[!-~]+\/)?([\w+=,.@-]{1,128})$/

/** @returns `undefined` for the ARN of nothing that can be registered */
export function principalName(arn: string): PrincipalName | undefined {
  const [, , accountId, type, name] = ARN.exec(arn) ?? []
  return accountId === undefined || name === undefined ? undefined : { accountId, type: type as PrincipalType, name }
}

export const getPrincipal = (reader: StoreReader, name: PrincipalName): PrincipalRecord | undefined =>
  reader.get<PrincipalRecord>(pathOf(name))

export function findPrincipal(reader: StoreReader, arn: string): PrincipalRecord | undefined {
  const name = principalName(arn)
  const record = name && getPrincipal(reader, name)
  return record?.arn === arn ? record : undefined
}

export function* listPrincipals(reader: StoreReader): Generator<PrincipalRecord> {
  for (const [, record] of reader.range<PrincipalRecord>(PREFIX)) yield record
}

export function savePrincipal(tx: StoreTransaction, record: PrincipalRecord): void {
  tx.put(pathOf(principalName(record.arn)!), record)
  tx.put(idPath(record.id), { arn: record.arn })
}

export function removePrincipal(tx: StoreTransaction, record: PrincipalRecord): void {
  tx.remove(pathOf(principalName(record.arn)!))
  tx.remove(idPath(record.id))
}

const hasPrincipalId = (reader: StoreReader, id: string): boolean => reader.get(idPath(id)) !== undefined

/** Whether an ARN or a unique id is of a registered user or role, or of nobody that could be registered. */
export function isKnownPrincipal(reader: StoreReader, text: string): boolean {
  if (!text.startsWith("arn:")) return hasPrincipalId(reader, text)
  // A session is of the role whose name it bears; a root and a federated user are nobody that can be registered.
  const [, accountId, kind, name = ""] = /^arn:[^:]+:sts::(\d{12}):([^/]+)\/([^/]+)/.exec(text) ?? []
  if (accountId === undefined) return text.endsWith(":root") || findPrincipal(reader, text) !== undefined
  return kind !== "assumed-role" || getPrincipal(reader, { accountId, type: "role", name }) !== undefined
}

const ID_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
const idPrefixes = { user: "AIDA", role: "AROA", group: "AGPA" } as const

export function newPrincipalId(type: PrincipalType): string {
  let id: string = idPrefixes[type]
  for (let i = 0; i < 17; i++) id += ID_ALPHABET[randomInt(ID_ALPHABET.length)]
  return id
}

/** A caller with what the store knows of it. */
export interface KnownCaller {
  readonly principal: Principal
  readonly caller: Caller
  /** The caller's own, and those of its groups. None for a caller that is not registered, and for a root. */
  readonly identityPolicies: readonly AttachedPolicy[]
  /** What a session was limited to when its role was assumed (POL-12.5). */
  readonly sessionPolicy?: Policy
}

/** POL-12.2: one read for the caller, one more for each of a user's groups. */
export function knownCaller(reader: StoreReader, principal: Principal): KnownCaller {
  const record = recordOf(reader, principal)
  const { sessionPolicy: text } = principal
  const limit = text === undefined ? {} : { sessionPolicy: storedPolicy(text, "identity") }
  if (record === undefined) return { principal, caller: policyCaller(principal, {}), identityPolicies: [], ...limit }
  const { accountId } = principal
  const known = { ...principal, identityArn: record.arn, uniqueId: record.id }
  const identityPolicies = attachedPolicies(record)
  for (const name of record.groups ?? []) {
    const group = getPrincipal(reader, { accountId, type: "group", name })
    if (group !== undefined) identityPolicies.push(...attachedPolicies(group, `group ${name}`))
  }
  return { principal: known, caller: policyCaller(known, record.tags), identityPolicies, ...limit }
}

function recordOf(reader: StoreReader, { type, accountId, name, identityArn }: Principal): PrincipalRecord | undefined {
  if (type === "Root") return undefined
  const record = getPrincipal(reader, { accountId, type: type === "IAMUser" ? "user" : "role", name })
  if (record?.arn === identityArn) return record
  // The ARN of a session leaves out the path of its role, whose name is the account's only one.
  return type === "AssumedRole" && record?.arn.split("/").at(-1) === name && identityArn.split("/").length === 2
    ? record
    : undefined
}

const policyCaller = (principal: Principal, tags: PrincipalRecord["tags"]): Caller => {
  const { type, accountId, arn, identityArn, name } = principal
  return { type, accountId, arn, identityArn, name, userId: principalId(principal), tags }
}

const attachedPolicies = ({ policies }: PrincipalRecord, inheritedFrom?: string): AttachedPolicy[] =>
  policies.map(({ name, text }) => ({
    name,
    policy: storedPolicy(text, "identity"),
    ...(inheritedFrom === undefined ? {} : { inheritedFrom }),
  }))

/** A policy that was checked when it was stored. One that cannot be read any more refuses everything, a Deny in it lost. */
export function storedPolicy(text: string, kind: "key" | "identity"): Policy {
  const parsed = readPolicy(text, kind)
  if (!parsed.ok) throw internalFault("A stored policy cannot be read.")
  return parsed.policy
}
