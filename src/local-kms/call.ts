import type { EncryptionContext } from "../core/index.ts"
import { getAlias } from "./alias-records.ts"
import type { AuditNotes } from "./audit.ts"
import type { AuthorizationDecision, Authorize } from "./authorization.ts"
import { accessDenied, notFound } from "./faults.ts"
import { aliasArn, keyArn, parseKeyReference, type Scope } from "./identifiers.ts"
import { requireState, type StateRule } from "./key-state.ts"
import { type Key, type KeyRecords, keyRecords } from "./keys.ts"
import { makeManagedKey, makesManagedKey, mayTouchManagedKey } from "./managed-keys.ts"
import type { Principal } from "./principal.ts"
import type { Quotas } from "./quotas.ts"
import { rotateWhenDue } from "./rotation.ts"
import { type AwsService, viaService } from "./services.ts"
import type { StoreTransaction } from "./store/store.ts"
import type { Vault } from "./vault.ts"

export interface KeyUse {
  /** For instance `kms:Encrypt`. */
  readonly action: string
  readonly allowAlias: boolean
  readonly rule: StateRule
  readonly encryptionContext?: EncryptionContext | undefined
}

/** What a running request can reach: one transaction, one caller, one moment. */
export interface Call {
  readonly operation: string
  readonly principal: Principal
  /** Partition, Region and the caller's account. */
  readonly scope: Scope
  /** Milliseconds since 1970. */
  readonly now: number
  readonly tx: StoreTransaction
  readonly keys: KeyRecords
  readonly vault: Vault
  readonly notes: AuditNotes
  readonly quotas: Quotas
  /** The AWS service that acts for the principal. */
  readonly service: AwsService | undefined
  /** What the work of a `Preparation` gave; `undefined` the first time. */
  readonly prepared: unknown
  /** A key as it is now, its rotations that are due carried out. */
  loadKey(scope: Scope, keyId: string): Key | undefined
  /** @throws KmsFault `NotFoundException`, `InvalidArnException` */
  findKey(reference: string, allowAlias: boolean): Key
  /** @throws KmsFault `AccessDeniedException` */
  authorizeKey(key: Key, action: string, encryptionContext?: EncryptionContext): void
  authorizeAlias(aliasName: string, action: string): void
  /** For actions on no resource. */
  authorize(action: string): void
  /** Finds a key, asks whether the caller may, and checks the key's state, in AWS's order. */
  useKey(reference: string, use: KeyUse): Key
}

export interface CallRequest {
  readonly operation: string
  readonly principal: Principal
  readonly scope: Scope
  readonly now: number
  readonly tx: StoreTransaction
  readonly vault: Vault
  readonly authorize: Authorize
  readonly quotas: Quotas
  readonly service?: AwsService | undefined
  readonly prepared?: unknown
}

export function createCall(request: CallRequest): Call {
  const { principal, scope, tx, service } = request
  const via = service === undefined ? {} : { viaService: viaService(service, scope.region) }
  const notes: AuditNotes = { resources: [], additional: {}, response: null, before: [], after: [] }
  const keys = keyRecords(tx)

  const decide: Authorize = (question) => {
    const { key, action, resource } = question
    const decision: AuthorizationDecision =
      key === undefined || mayTouchManagedKey(key, action, principal, service)
        ? request.authorize({ ...question, ...via })
        : { allowed: false, reason: `no resource-based policy allows the ${action} action` }
    if (decision.allowed) return decision
    throw accessDenied(
      `User: ${principal.arn} is not authorized to perform: ${action} on resource: ${resource} ` +
        `because ${decision.reason}`,
    )
  }
  const noteResource = (type: AuditNotes["resources"][number]["type"], accountId: string, ARN: string): void => {
    if (!notes.resources.some((resource) => resource.ARN === ARN)) notes.resources.push({ accountId, type, ARN })
  }

  const call: Call = {
    operation: request.operation,
    principal,
    scope,
    now: request.now,
    tx,
    keys,
    vault: request.vault,
    notes,
    quotas: request.quotas,
    service,
    prepared: request.prepared,
    loadKey(owner, keyId) {
      const key = keys.load(owner, keyId)
      return key && rotateWhenDue(key, call)
    },
    findKey(text, allowAlias) {
      const reference = parseKeyReference(text, scope, allowAlias)
      const owner = { ...scope, accountId: reference.accountId }
      if (reference.kind === "key") return existing(call.loadKey(owner, reference.keyId), owner, reference.keyId)
      const alias = getAlias(tx, owner, reference.aliasName)
      if (alias === undefined) throw notFound(`Alias ${aliasArn(owner, reference.aliasName)} is not found.`)
      return existing(call.loadKey(owner, alias.targetKeyId), owner, alias.targetKeyId)
    },
    authorizeKey(key, action, encryptionContext) {
      noteResource("AWS::KMS::Key", key.scope.accountId, key.arn)
      decide({
        principal,
        action,
        resource: key.arn,
        resourceAccountId: key.scope.accountId,
        key,
        ...(encryptionContext === undefined ? {} : { encryptionContext }),
      })
    },
    authorizeAlias(aliasName, action) {
      const arn = aliasArn(scope, aliasName)
      noteResource("AWS::KMS::Alias", scope.accountId, arn)
      decide({ principal, action, resource: arn, resourceAccountId: scope.accountId })
    },
    authorize(action) {
      decide({ principal, action, resource: "*", resourceAccountId: scope.accountId })
    },
    useKey(text, { action, allowAlias, rule, encryptionContext }) {
      const key = managedKey(call, text, allowAlias, action) ?? call.findKey(text, allowAlias)
      call.authorizeKey(key, action, encryptionContext)
      requireState(key, rule)
      return key
    },
  }
  return call
}

/** @returns the new key, where this is the first write with an AWS managed key through its service */
function managedKey(call: Call, text: string, allowAlias: boolean, action: string): Key | undefined {
  const { service, scope } = call
  if (service === undefined) return undefined
  const reference = parseKeyReference(text, scope, allowAlias)
  if (reference.kind !== "alias" || reference.accountId !== scope.accountId) return undefined
  if (!makesManagedKey(service, reference.aliasName, action)) return undefined
  return getAlias(call.tx, scope, reference.aliasName) === undefined ? makeManagedKey(call, service) : undefined
}

function existing(key: Key | undefined, scope: Scope, keyId: string): Key {
  if (key === undefined) throw notFound(`Key '${keyArn(scope, keyId)}' does not exist`)
  return key
}
