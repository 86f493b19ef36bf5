import { isDeepStrictEqual } from "node:util"
import { allocate } from "../../core/index.ts"
import { wipe } from "../../crypto/index.ts"
import { endAccessKey, noteCreatedKey } from "../access-keys.ts"
import { getAlias, putAlias } from "../alias-records.ts"
import { serviceEvent } from "../audit.ts"
import { policyRequest } from "../authorization.ts"
import { keyMaterialId } from "../ciphertext.ts"
import { compareAccessKey, createAccessKey } from "../credentials.ts"
import { type IamChange, iamEvent } from "../iam-events.ts"
import { aliasArn, keyArn, newKeyId, type Scope } from "../identifiers.ts"
import { keySpecs } from "../key-specs.ts"
import { type Key, type KeyRecords, keyRecords, type RegionalKey } from "../keys.ts"
import { generateMaterial, sealMaterial } from "../materials.ts"
import {
  canPutKeyPolicyAgain,
  describeProblem,
  LOCKOUT_MESSAGE,
  namedPrincipals,
  type Policy,
  readPolicy,
} from "../policy/index.ts"
import { parsePrincipal } from "../principal.ts"
import { noteChanged, noteCreated } from "../principals/changes.ts"
import { buildPrincipal, policyText, type RoleOptions, type UserOptions } from "../principals/manage.ts"
import {
  getPrincipal,
  knownCaller,
  listPrincipals,
  type PrincipalRecord,
  type PrincipalType,
  savePrincipal,
} from "../principals/records.ts"
import type { StoreTransaction } from "../store/store.ts"
import { appendEvent, type Trail } from "../trail/append.ts"
import type { Vault } from "../vault.ts"
import type { Seed, SeedAccessKey, SeedKey } from "./read.ts"

/** What a start-up file changed: ARNs of keys and aliases, ids of access keys. */
export interface SeedResult {
  readonly created: readonly string[]
  readonly updated: readonly string[]
  /** How many of the file's keys, aliases and access keys were there already as it says. */
  readonly unchanged: number
}

export interface SeedTarget extends Trail {
  readonly vault: Vault
  readonly accountId: string
  readonly region: string
  readonly partition: string
  readonly now: number
}

interface Run extends SeedTarget {
  readonly tx: StoreTransaction
  readonly keys: KeyRecords
  note(id: string, change: "created" | "updated" | "unchanged"): void
}

/**
 * HTTP-5.2: makes what is missing, sets what differs, in one transaction. Applied twice it changes nothing the second time.
 *
 * @throws TypeError (HTTP-5.3) for a key that is there with other material, another spec, or on its way to be deleted
 */
export function applySeed(tx: StoreTransaction, seed: Seed, target: SeedTarget): SeedResult {
  const changes = { created: [] as string[], updated: [] as string[], unchanged: [] as string[] }
  const run: Run = { ...target, tx, keys: keyRecords(tx), note: (id, change) => changes[change].push(id) }
  for (const type of ["group", "user", "role"] as const)
    for (const [i, principal] of (seed[`${type}s`] ?? []).entries())
      seedPrincipal(run, type, principal, `${type}s[${i}]`)
  for (const [i, key] of (seed.keys ?? []).entries()) seedKey(run, key, `keys[${i}]`)
  for (const key of seed.accessKeys ?? []) seedAccessKey(run, key)
  return { ...changes, unchanged: changes.unchanged.length }
}

function seedKey(run: Run, wanted: SeedKey, path: string): void {
  const { partition, accountId, region } = run
  const scope: Scope = { partition, accountId: wanted.accountId ?? accountId, region: wanted.region ?? region }
  const before = findKey(run, scope, wanted)
  const policy = wanted.policy && { policy: checkedPolicy(run, scope, wanted, path) }
  const change: Partial<RegionalKey> = { ...stated(wanted), ...policy }
  const key = before ?? createKey(run, scope, wanted, change)
  if (before !== undefined) updateKey(run, before, wanted, change, path)
  for (const alias of wanted.aliases ?? []) seedAlias(run, key, alias)
}

function findKey({ tx, keys }: Run, scope: Scope, { keyId, aliases = [] }: SeedKey): Key | undefined {
  const id = keyId ?? getAlias(tx, scope, aliases[0]!)?.targetKeyId
  return id === undefined ? undefined : keys.load(scope, id)
}

function createKey(run: Run, scope: Scope, wanted: SeedKey, change: Partial<RegionalKey>): Key {
  const { keyId = newKeyId(false), keySpec = "SYMMETRIC_DEFAULT" } = wanted
  const owner = { scope, keyId, keySpec }
  const material =
    wanted.material === undefined
      ? generateMaterial(run.vault, owner, run.now)
      : withBytes(wanted.material, (bytes) => ({
          ...sealMaterial(run.vault, owner, bytes),
          createdAt: run.now,
          state: "CURRENT" as const,
        }))
  const regional: RegionalKey = { createdAt: run.now, description: "", state: "Enabled", tags: [], ...change }
  const key = run.keys.insert(scope, keyId, regional, {
    keySpec,
    keyUsage: keySpecs[keySpec].usage,
    origin: "AWS_KMS",
    materials: [material],
    ...(keyId.startsWith("mrk-") ? { regions: [scope.region] } : {}),
  })
  record(run, "CreateKey", key)
  run.note(key.arn, "created")
  return key
}

/** What the file says of a key that may change. */
const stated = ({ description, enabled, tags }: SeedKey): Partial<RegionalKey> => ({
  ...(description === undefined ? {} : { description }),
  ...(enabled === undefined ? {} : { state: enabled ? "Enabled" : "Disabled" }),
  ...(tags === undefined ? {} : { tags: Object.entries(tags).map(([TagKey, TagValue]) => ({ TagKey, TagValue })) }),
})

function updateKey(run: Run, key: Key, wanted: SeedKey, change: Partial<RegionalKey>, path: string): void {
  if (wanted.keySpec !== undefined && wanted.keySpec !== key.keySpec)
    throw new TypeError(`${path}: ${key.arn} is there already, with spec ${key.keySpec}`)
  if (wanted.material !== undefined && !hasMaterial(key, wanted.material))
    throw new TypeError(`${path}: ${key.arn} is there already, with other key material`)
  if (key.deletionAt !== undefined || key.state === "PendingReplicaDeletion")
    throw new TypeError(`${path}: ${key.arn} is there already, and waits to be deleted`)
  const differs = Object.entries(change).some(([name, value]) => !isDeepStrictEqual(key[name as keyof Key], value))
  if (differs) {
    run.keys.saveRegional(key, change)
    record(run, "UpdateKey", key)
  }
  run.note(key.arn, differs ? "updated" : "unchanged")
}

function seedPrincipal(run: Run, type: PrincipalType, wanted: UserOptions & RoleOptions, path: string): void {
  const { tx, accountId, partition, now } = run
  const made = at(path, () => buildPrincipal(tx, type, wanted, { accountId, partition, clock: () => now }))
  const before = getPrincipal(tx, { type, accountId: made.arn.split(":")[4]!, name: wanted.name })
  if (before !== undefined && before.arn !== made.arn) throw new TypeError(`${path}: there is ${before.arn} already`)
  const after: PrincipalRecord = before === undefined ? made : { ...before, ...statedOf(wanted, made) }
  if (!isDeepStrictEqual(before, after)) savePrincipal(tx, after)
  notePrincipal(run, before, after)
  run.note(made.arn, before === undefined ? "created" : isDeepStrictEqual(before, after) ? "unchanged" : "updated")
}

/** AUD-1.8: as the operations of IAM that make what differs. */
function notePrincipal(run: Run, before: PrincipalRecord | undefined, after: PrincipalRecord): void {
  const note = (change: IamChange): void => appendEvent(run.tx, iamEvent(run.now, change), run)
  if (before === undefined) noteCreated(after, note)
  else noteChanged(before, after, note)
}

/** What the file says of a principal that may change. */
const statedOf = (wanted: UserOptions & RoleOptions, made: PrincipalRecord): Partial<PrincipalRecord> =>
  Object.fromEntries(
    (["policies", "tags", "groups", "trustPolicy"] as const)
      .filter((name) => wanted[name] !== undefined)
      .map((name) => [name, made[name]]),
  )

/** Says where in the file something is that only its use shows to be wrong. */
function at<T>(path: string, work: () => T): T {
  try {
    return work()
  } catch (error) {
    if (error instanceof TypeError || error instanceof RangeError) throw new TypeError(`${path}: ${error.message}`)
    throw error
  }
}

/** HTTP-5.5 @throws TypeError for what is no key policy, and for one that nobody could change again */
function checkedPolicy(run: Run, scope: Scope, { policy, bypassPolicyLockoutSafetyCheck }: SeedKey, path: string) {
  const text = policyText(policy!)
  const parsed = readPolicy(text, "key")
  if (!parsed.ok) throw new TypeError(`${path}.policy: ${parsed.problems.map(describeProblem).join("; ")}`)
  if (bypassPolicyLockoutSafetyCheck !== true && !somebodyMayPut(run, scope, parsed.policy))
    throw new TypeError(`${path}.policy: ${LOCKOUT_MESSAGE} (bypassPolicyLockoutSafetyCheck: true keeps it so)`)
  return text
}

/** No caller puts a seeded policy: the account's root, whom the policy names, or who is registered must be able to. */
function somebodyMayPut({ tx, partition, now, region }: Run, scope: Scope, policy: Policy): boolean {
  const root = `arn:${partition}:iam::${scope.accountId}:root`
  const registered = [...listPrincipals(tx)].filter(({ type }) => type !== "group").map(({ arn }) => arn)
  const named = namedPrincipals(policy).filter((arn) => /:(?:user|role|assumed-role)\//.test(arn))
  return [root, ...named, ...registered].some((arn) => {
    const known = knownCaller(tx, parsePrincipal(arn))
    const asker = { known, region, now, secureTransport: true }
    const request = policyRequest(tx, asker, {
      action: "kms:PutKeyPolicy",
      resource: keyArn(scope, "*"),
      resourceAccountId: scope.accountId,
      parameters: {},
    })
    return canPutKeyPolicyAgain(policy, request, known.identityPolicies)
  })
}

const hasMaterial = ({ keyId, materials }: Key, base64: string): boolean =>
  withBytes(base64, (bytes) => {
    const wanted = keyMaterialId(keyId, bytes)
    return materials.some(({ id }) => id === wanted)
  })

function withBytes<T>(base64: string, use: (bytes: Uint8Array) => T): T {
  const bytes = allocate(Buffer.byteLength(base64, "base64"))
  Buffer.from(bytes.buffer).write(base64, "base64")
  try {
    return use(bytes)
  } finally {
    wipe(bytes)
  }
}

function seedAlias(run: Run, key: Key, name: string): void {
  const { tx, now } = run
  const before = getAlias(tx, key.scope, name)
  const arn = aliasArn(key.scope, name)
  if (before?.targetKeyId === key.keyId) {
    run.note(arn, "unchanged")
    return
  }
  putAlias(tx, key.scope, name, { targetKeyId: key.keyId, createdAt: before?.createdAt ?? now, updatedAt: now })
  record(run, before === undefined ? "CreateAlias" : "UpdateAlias", key, { aliasName: name })
  run.note(arn, before === undefined ? "created" : "updated")
}

function seedAccessKey(run: Run, wanted: SeedAccessKey): void {
  const { tx, vault, now } = run
  const { accessKeyId } = wanted
  const before = compareAccessKey(tx, vault, wanted)
  if (before === "different") endAccessKey(tx, accessKeyId, run, now)
  if (before !== "same") noteCreatedKey(tx, createAccessKey(tx, vault, wanted, now), run, now)
  run.note(accessKeyId, before === "absent" ? "created" : before === "same" ? "unchanged" : "updated")
}

/** HTTP-5.4: a start-up file leaves the events of a service, since no caller did it. */
function record(run: Run, eventName: string, key: Key, details: Record<string, unknown> = {}): void {
  const event = serviceEvent(eventName, run.now, key.scope, key.arn, { keyId: key.arn, reason: "seed", ...details })
  appendEvent(run.tx, event, run)
}
