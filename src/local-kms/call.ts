import type { EncryptionContext } from "../core/index.ts"
import { getAlias } from "./alias-records.ts"
import type { AuditNotes } from "./audit.ts"
import { type Asked, type Asker, policyRequest, policySet, type RequestParameters } from "./authorization.ts"
import { accessDenied, notFound } from "./faults.ts"
import { aliasArn, keyArn, parseKeyReference, type Scope } from "./identifiers.ts"
import { requireState, type StateRule } from "./key-state.ts"
import { type Key, type KeyRecords, keyRecords } from "./keys.ts"
import { makeManagedKey, makesManagedKey, refuseManagedRotation } from "./managed-keys.ts"
import { accessDeniedMessage, type ConditionValues, defaultKeyPolicy, evaluate } from "./policy/index.ts"
import type { Principal } from "./principal.ts"
import { storedPolicy } from "./principals/records.ts"
import type { Quotas } from "./quotas.ts"
import { rotateWhenDue } from "./rotation.ts"
import type { AwsService } from "./services.ts"
import type { StoreTransaction } from "./store/store.ts"
import type { Vault } from "./vault.ts"

/** What a question about a key has beside the key and the action. */
export interface KeyQuestion {
  readonly encryptionContext?: EncryptionContext | undefined
  /** How the request named the key, for `kms:RequestAlias`. */
  readonly reference?: string | undefined
  /** Where they are not simply the request's: in lower camel case, as events show them. */
  readonly parameters?: RequestParameters | undefined
  /** The id of the grant that is to be retired. */
  readonly retired?: string | undefined
  /** Condition keys that only this operation knows. */
  readonly conditions?: ConditionValues | ((key: Key) => ConditionValues) | undefined
}

export interface KeyUse extends KeyQuestion {
  /** For instance `kms:Encrypt`. */
  readonly action: string
  readonly allowAlias: boolean
  readonly rule: StateRule
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
  /** Until a new grant takes effect without a token, in milliseconds. */
  readonly grantPropagationMs: number
  /** Whether key policies may name registered principals only. */
  readonly registeredOnly: boolean
  /** The AWS service that acts for the principal. */
  readonly service: AwsService | undefined
  /** What the work of a `Preparation` gave; `undefined` the first time. */
  readonly prepared: unknown
  /** A key as it is now, its rotations that are due carried out. */
  loadKey(scope: Scope, keyId: string): Key | undefined
  /** @throws KmsFault `NotFoundException`, `InvalidArnException` */
  findKey(reference: string, allowAlias: boolean): Key
  /** @throws KmsFault `AccessDeniedException` */
  authorizeKey(key: Key, action: string, question?: KeyQuestion): void
  authorizeAlias(aliasName: string, action: string): void
  /** For actions on no resource. @param region where it is to be done; default the request's */
  authorize(action: string, region?: string): void
  /** For actions on a key that is to be made: a matter of identity policies, on its ARN. */
  authorizeNewKey(owner: Scope, keyId: string, action: string): void
  /** Who asks, with identity policies. */
  readonly asker: Asker
  /** As events show them. */
  parameters(): RequestParameters
  /** Finds a key, asks whether the caller may, and checks the key's state, in AWS's order. */
  useKey(reference: string, use: KeyUse): Key
}

export interface CallRequest {
  readonly operation: string
  readonly asker: Asker
  /** What the request says, once it was read. */
  readonly asked: { readonly parameters: RequestParameters; readonly tokenGrants: ReadonlySet<string> }
  readonly scope: Scope
  readonly now: number
  readonly tx: StoreTransaction
  readonly vault: Vault
  readonly quotas: Quotas
  readonly grantPropagationMs: number
  readonly registeredOnly: boolean
  readonly prepared?: unknown
}

export function createCall(request: CallRequest): Call {
  const { asker, asked, scope, tx } = request
  const { service } = asker
  const { principal } = asker.known
  const notes: AuditNotes = { resources: [], additional: {}, response: null, before: [], after: [] }
  const keys = keyRecords(tx)

  const require = (
    question: Omit<Asked, "parameters"> & Pick<KeyQuestion, "parameters" | "retired">,
    owned?: Scope,
  ): void => {
    const { key, parameters = asked.parameters, retired } = question
    const policyQuestion = policyRequest(tx, asker, { ...question, parameters })
    const ofNewKey = owned && { keyPolicy: storedPolicy(defaultKeyPolicy(owned), "key") }
    const decision = evaluate(policyQuestion, {
      ...policySet(tx, asker.known.identityPolicies, key, { tokenGrants: asked.tokenGrants, retired }),
      ...ofNewKey,
      sessionPolicy: asker.known.sessionPolicy,
    })
    if (!decision.allowed) throw accessDenied(accessDeniedMessage(policyQuestion, decision))
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
    grantPropagationMs: request.grantPropagationMs,
    registeredOnly: request.registeredOnly,
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
    asker,
    parameters: () => asked.parameters,
    authorizeKey(key, action, question = {}) {
      noteResource("AWS::KMS::Key", key.scope.accountId, key.arn)
      refuseManagedRotation(key, action, principal)
      const { conditions } = question
      require({
        ...question,
        conditions: typeof conditions === "function" ? conditions(key) : conditions,
        action,
        resource: key.arn,
        resourceAccountId: key.scope.accountId,
        key,
      })
    },
    authorizeAlias(aliasName, action) {
      const arn = aliasArn(scope, aliasName)
      noteResource("AWS::KMS::Alias", scope.accountId, arn)
      require({ action, resource: arn, resourceAccountId: scope.accountId })
    },
    authorize(action, region = scope.region) {
      const conditions = { "aws:RequestedRegion": region }
      require({ action, resource: "*", resourceAccountId: scope.accountId, conditions })
    },
    authorizeNewKey(owner, keyId, action) {
      const { accountId } = owner
      const conditions = { "aws:RequestedRegion": owner.region }
      require({ action, resource: keyArn(owner, keyId), resourceAccountId: accountId, conditions }, owner)
    },
    useKey(text, { action, allowAlias, rule, ...question }) {
      const key = managedKey(call, text, allowAlias, action) ?? call.findKey(text, allowAlias)
      call.authorizeKey(key, action, { reference: text, ...question })
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
