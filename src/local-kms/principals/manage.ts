import { type IamChange, iamName } from "../iam-events.ts"
import { describeProblem, readPolicy } from "../policy/index.ts"
import type { Store, StoreReader, StoreTransaction } from "../store/store.ts"
import { noteCreated, putPolicyChange } from "./changes.ts"
import {
  findPrincipal,
  getPrincipal,
  listPrincipals,
  newPrincipalId,
  type PrincipalRecord,
  type PrincipalType,
  principalName,
  removePrincipal,
  savePrincipal,
} from "./records.ts"
import { parseTrustPolicy } from "./trust.ts"

/** JSON text, or what becomes it. */
export type PolicyInput = string | object

export interface PrincipalOptions {
  /** Up to 64 of letters, digits and `+=,.@_-` (128 for a group); no other of its type and account has it in any case. */
  readonly name: string
  /** Default: the account of the KMS. */
  readonly accountId?: string
  /** Default `/`; begins and ends with a slash. */
  readonly path?: string
  /** Identity policies by name. */
  readonly policies?: Readonly<Record<string, PolicyInput>>
}

export interface UserOptions extends PrincipalOptions {
  /** `aws:PrincipalTag/…` */
  readonly tags?: Readonly<Record<string, string>>
  /** Names of groups in the user's account. */
  readonly groups?: readonly string[]
}

export interface RoleOptions extends PrincipalOptions {
  /** `aws:PrincipalTag/…` of its sessions. */
  readonly tags?: Readonly<Record<string, string>>
  /** Who may assume the role (STS AssumeRole). Default: whoever of its account has an identity policy for it. */
  readonly trustPolicy?: PolicyInput
}

/** A registered user, role or group. */
export interface RegisteredPrincipal {
  readonly type: PrincipalType
  readonly arn: string
  /** `AIDA…`, `AROA…` or `AGPA…` */
  readonly id: string
  readonly createdAt: Date
  readonly tags: Readonly<Record<string, string>>
  /** Its own identity policies by name, as they were given. */
  readonly policies: Readonly<Record<string, string>>
  /** Of a user: names of its groups. */
  readonly groups?: readonly string[]
  /** Of a role. */
  readonly trustPolicy?: string
}

/**
 * Users, roles and groups with identity policies. Nobody needs to be registered to call: a caller that is not has no
 * identity policies, so that it may do what key policies and grants allow it by name.
 *
 * All throw TypeError for what is malformed, and RangeError for a name that is taken or not there.
 */
export interface Principals {
  createUser(options: UserOptions): Promise<RegisteredPrincipal>
  createRole(options: RoleOptions): Promise<RegisteredPrincipal>
  createGroup(options: PrincipalOptions): Promise<RegisteredPrincipal>
  /** @param groupName of the user's account */
  addUserToGroup(userArn: string, groupName: string): Promise<void>
  removeUserFromGroup(userArn: string, groupName: string): Promise<void>
  /** Adds an identity policy, or replaces the one of that name. */
  putPolicy(arn: string, policyName: string, policy: PolicyInput): Promise<void>
  deletePolicy(arn: string, policyName: string): Promise<void>
  /** Replaces who may assume a role. */
  putTrustPolicy(roleArn: string, policy: PolicyInput): Promise<void>
  /** Replaces the tags of a user or role. */
  setTags(arn: string, tags: Readonly<Record<string, string>>): Promise<void>
  get(arn: string): Promise<RegisteredPrincipal>
  list(filter?: { readonly type?: PrincipalType; readonly accountId?: string }): Promise<RegisteredPrincipal[]>
  /** A group must have no members. Access keys of a user or role end with it. */
  delete(arn: string): Promise<void>
}

interface Home {
  readonly accountId: string
  readonly partition: string
  readonly clock: () => number
  /** Ends the access keys of whoever is deleted. */
  readonly onDelete: (tx: StoreTransaction, arn: string) => void
  /** Adds an event to the trail, in the transaction of the change. */
  readonly note: (tx: StoreTransaction, change: IamChange) => void
}

export const principals = (store: Store, home: Home): Principals => {
  type Edit = readonly [after: PrincipalRecord, change: Omit<IamChange, "arn">]
  const change = (arn: string, edit: (record: PrincipalRecord, tx: StoreTransaction) => Edit) =>
    store.transaction((tx) => {
      const [after, noted] = edit(requirePrincipal(tx, arn), tx)
      savePrincipal(tx, after)
      home.note(tx, { ...noted, arn })
    })
  const create = (type: PrincipalType, options: UserOptions & RoleOptions) =>
    store.transaction((tx) => shown(createPrincipal(tx, type, options, home)))
  return {
    createUser: (options) => create("user", options),
    createRole: (options) => create("role", options),
    createGroup: (options) => create("group", options),
    addUserToGroup: (arn, group) =>
      change(arn, (record, tx) => {
        const joined = requireGroup(tx, record, group)
        const groups = [...new Set([...record.groups!, joined])]
        return [
          { ...record, groups },
          { eventName: "AddUserToGroup", parameters: { groupName: joined } },
        ]
      }),
    removeUserFromGroup: (arn, group) =>
      change(arn, (record, tx) => {
        const left = requireGroup(tx, record, group)
        if (!record.groups!.includes(left)) throw new RangeError(`${arn} is not in the group ${group}`)
        const groups = record.groups!.filter((name) => name !== left)
        return [
          { ...record, groups },
          { eventName: "RemoveUserFromGroup", parameters: { groupName: left } },
        ]
      }),
    putPolicy: (arn, name, policy) =>
      change(arn, (record) => [
        { ...record, policies: withPolicy(record.policies, name, policy) },
        putPolicyChange(record.type, name, policyText(policy)),
      ]),
    deletePolicy: (arn, name) =>
      change(arn, (record) => {
        const policies = record.policies.filter((policy) => policy.name !== name)
        if (policies.length === record.policies.length) throw new RangeError(`${arn} has no policy ${name}`)
        const eventName = iamName("Delete", record.type, "Policy")
        return [
          { ...record, policies },
          { eventName, parameters: { policyName: name } },
        ]
      }),
    putTrustPolicy: (arn, policy) =>
      change(arn, (record) => {
        if (record.type !== "role") throw new TypeError(`${arn} is no role: only roles are assumed`)
        const trustPolicy = checkTrustPolicy(policy)
        const parameters = { policyDocument: trustPolicy }
        return [
          { ...record, trustPolicy },
          { eventName: "UpdateAssumeRolePolicy", parameters },
        ]
      }),
    setTags: (arn, tags) =>
      change(arn, (record) => {
        if (record.type === "group") throw new TypeError("a group has no tags")
        const parameters = { tags: Object.entries(tags).map(([key, value]) => ({ key, value })) }
        return [
          { ...record, tags: checkTags(tags) },
          { eventName: iamName("Tag", record.type), parameters },
        ]
      }),
    get: async (arn) => store.read((reader) => shown(requirePrincipal(reader, arn))),
    list: async ({ type, accountId } = {}) =>
      store.read((reader) =>
        [...listPrincipals(reader)]
          .filter((record) => type === undefined || record.type === type)
          .filter(({ arn }) => accountId === undefined || arn.split(":")[4] === accountId)
          .map(shown),
      ),
    delete: (arn) =>
      store.transaction((tx) => {
        const record = requirePrincipal(tx, arn)
        if (record.type === "group") requireNoMembers(tx, record)
        removePrincipal(tx, record)
        home.onDelete(tx, arn)
        home.note(tx, { eventName: iamName("Delete", record.type), arn })
      }),
  }
}

const PATH = /^\/(?:[!-~]+\/)?$/
const NAME = /^[\w+=,.@-]+$/
const POLICY_NAME = /^[\w+=,.@-]{1,128}$/
const MAX_TAGS = 50

function createPrincipal(
  tx: StoreTransaction,
  type: PrincipalType,
  options: UserOptions & RoleOptions,
  home: Home,
): PrincipalRecord {
  const { name, accountId = home.accountId } = options
  const made = buildPrincipal(tx, type, options, home)
  if (getPrincipal(tx, { accountId, type, name }) !== undefined)
    throw new RangeError(`there is a ${type} ${name} in the account ${accountId} already`)
  savePrincipal(tx, made)
  noteCreated(made, (change) => home.note(tx, change))
  return made
}

/** The record that these options stand for. @throws TypeError; RangeError for a group that there is not */
export function buildPrincipal(
  reader: StoreReader,
  type: PrincipalType,
  options: UserOptions & RoleOptions,
  home: Omit<Home, "onDelete" | "note">,
): PrincipalRecord {
  const { name, accountId = home.accountId, path = "/", tags = {}, policies = {}, groups = [], trustPolicy } = options
  if (!/^\d{12}$/.test(accountId)) throw new TypeError("accountId must be twelve digits")
  if (typeof name !== "string" || !NAME.test(name) || name.length > (type === "group" ? 128 : 64))
    throw new TypeError(`'${name}' is no name of a ${type}: letters, digits and + = , . @ _ -`)
  if (!PATH.test(path)) throw new TypeError(`'${path}' is no path: it begins and ends with a slash`)
  const record: PrincipalRecord = {
    type,
    arn: `arn:${home.partition}:iam::${accountId}:${type}${path}${name}`,
    id: newPrincipalId(type),
    createdAt: home.clock(),
    tags: checkTags(tags),
    policies: Object.entries(policies).map(([policyName, policy]) => checkPolicy(policyName, policy)),
    ...(type === "role" && { trustPolicy: checkTrustPolicy(trustPolicy ?? trustAccount(home.partition, accountId)) }),
  }
  return type === "user" ? { ...record, groups: groups.map((group) => requireGroup(reader, record, group)) } : record
}

function requirePrincipal(reader: StoreReader, arn: string): PrincipalRecord {
  if (principalName(arn) === undefined) throw new TypeError(`'${arn}' is not the ARN of a user, a role or a group`)
  const record = findPrincipal(reader, arn)
  if (record === undefined) throw new RangeError(`${arn} is not registered`)
  return record
}

/** @returns the group's name as it was created */
function requireGroup(reader: StoreReader, user: PrincipalRecord, name: string): string {
  if (user.type !== "user") throw new TypeError(`${user.arn} is no user: only users are in groups`)
  const accountId = user.arn.split(":")[4]!
  const group = NAME.test(name) ? getPrincipal(reader, { accountId, type: "group", name }) : undefined
  if (group === undefined) throw new RangeError(`there is no group ${name} in the account ${accountId}`)
  return group.arn.split("/").at(-1)!
}

function requireNoMembers(reader: StoreReader, { arn }: PrincipalRecord): void {
  const { accountId, name } = principalName(arn)!
  for (const user of listPrincipals(reader))
    if (user.arn.split(":")[4] === accountId && user.groups?.includes(name))
      throw new RangeError(`${arn} has members: ${user.arn}`)
}

function withPolicy(policies: PrincipalRecord["policies"], name: string, policy: PolicyInput) {
  const checked = checkPolicy(name, policy)
  const at = policies.findIndex((known) => known.name === name)
  return at === -1 ? [...policies, checked] : policies.with(at, checked)
}

function checkPolicy(name: string, policy: PolicyInput): PrincipalRecord["policies"][number] {
  if (!POLICY_NAME.test(name)) throw new TypeError(`'${name}' is no name of a policy`)
  const text = policyText(policy)
  const parsed = readPolicy(text, "identity")
  if (!parsed.ok) throw new TypeError(`the policy ${name}: ${parsed.problems.map(describeProblem).join("; ")}`)
  return { name, text }
}

function checkTrustPolicy(policy: PolicyInput): string {
  const text = policyText(policy)
  const parsed = parseTrustPolicy(text)
  if (!parsed.ok) throw new TypeError(`the trust policy: ${parsed.problems.map(describeProblem).join("; ")}`)
  return text
}

export const policyText = (policy: PolicyInput): string =>
  typeof policy === "string" ? policy : JSON.stringify(policy, null, 2)

const trustAccount = (partition: string, accountId: string): object => ({
  Version: "2012-10-17",
  Statement: [
    { Effect: "Allow", Principal: { AWS: `arn:${partition}:iam::${accountId}:root` }, Action: "sts:AssumeRole" },
  ],
})

function checkTags(tags: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const pairs = Object.entries(tags)
  if (pairs.length > MAX_TAGS) throw new TypeError(`a principal has at most ${MAX_TAGS} tags`)
  for (const [key, value] of pairs)
    if (key === "" || key.length > 128 || /^aws:/i.test(key) || typeof value !== "string" || value.length > 256)
      throw new TypeError(`'${key}' is no tag: its name has 1 to 128 characters, its value up to 256`)
  return Object.fromEntries(pairs)
}

const shown = ({ createdAt, policies, ...record }: PrincipalRecord): RegisteredPrincipal => ({
  ...record,
  createdAt: new Date(createdAt),
  policies: Object.fromEntries(policies.map(({ name, text }) => [name, text])),
})
