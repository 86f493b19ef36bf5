import type { EncryptionContext } from "../../core/index.ts"
import { randomBytes } from "../../crypto/index.ts"
import type { Call } from "../call.ts"
import { dryRunSucceeded, invalidPrincipal, limitExceeded, validation } from "../faults.ts"
import { contextConstraint } from "../grants/constraints.ts"
import { fitsKey, grantOperations } from "../grants/operations.ts"
import { countGrants, type Grant, type GrantConstraints, grantsNamed, putGrant } from "../grants/records.ts"
import { issueToken } from "../grants/tokens.ts"
import type { Key } from "../keys.ts"
import { findPrincipal, isKnownPrincipal } from "../principals/records.ts"
import * as shape from "../shapes.ts"
import { keyOperation } from "./operation.ts"

const MAX_PAIRS = 8
const MAX_VALUE_CHARACTERS = 384
/** GRT-1.2 */
const ID_BYTES = 32

export const principalMember = { type: "string", min: 1, max: 256, pattern: /^[\w+=,.@:/-]+$/ } as const
export const servicePrincipalMember = {
  type: "string",
  min: 1,
  max: 128,
  pattern: /^[a-z0-9-]+(\.[a-z0-9-]+)+$/,
} as const

const input = {
  KeyId: shape.requiredKeyId,
  GranteePrincipal: principalMember,
  GranteeServicePrincipal: servicePrincipalMember,
  RetiringPrincipal: principalMember,
  RetiringServicePrincipal: servicePrincipalMember,
  Operations: { type: "list", of: { type: "string", values: grantOperations }, required: true },
  Constraints: {
    type: "structure",
    members: {
      EncryptionContextSubset: { type: "map" },
      EncryptionContextEquals: { type: "map" },
      SourceArn: { type: "string", min: 1, max: 2048, pattern: /^arn:[^:]+:[^:]+:[^:]*:[^:]*:.+$/ },
    },
  },
  GrantTokens: shape.grantTokens,
  Name: { type: "string", min: 1, max: 256, pattern: /^[a-zA-Z0-9:/_-]+$/ },
  DryRun: shape.dryRun,
} as const

type Input = shape.InputOf<typeof input>

/** GRT-2.7 */
export const CreateGrant = keyOperation({
  input,
  readOnly: false,
  rule: "cryptography",
  handle(request, call, key) {
    checkPrincipals(request, call)
    checkOperations(request.Operations, key)
    checkConstraints(request.Constraints ?? {}, key)
    const asked = requestedGrant(request, call)
    // GRT-2.5
    const same = request.Name === undefined ? undefined : findSame(call, key, asked)
    // GRT-2.6
    if (same === undefined && countGrants(call.tx, key) >= call.quotas.grantsPerKey)
      throw limitExceeded(`${key.arn} has reached its quota of ${call.quotas.grantsPerKey} grants.`)
    if (request.DryRun) throw dryRunSucceeded()
    const grant = same ?? { ...asked, grantId: Buffer.from(randomBytes(ID_BYTES)).toString("hex") }
    if (same === undefined) putGrant(call.tx, key, grant)
    // GRT-6.3
    call.notes.response = { grantId: grant.grantId, keyId: key.arn }
    return { GrantId: grant.grantId, GrantToken: issueToken(call.vault, key, grant) }
  },
})

// --- internal ---

/** GRT-2.1 */
function checkPrincipals(request: Input, call: Call): void {
  const { GranteePrincipal, GranteeServicePrincipal, RetiringPrincipal, RetiringServicePrincipal } = request
  if ((GranteePrincipal === undefined) === (GranteeServicePrincipal === undefined))
    throw validation("Specify either GranteePrincipal or GranteeServicePrincipal, but not both.")
  if (RetiringPrincipal !== undefined && RetiringServicePrincipal !== undefined)
    throw validation("Specify either RetiringPrincipal or RetiringServicePrincipal, but not both.")
  if (GranteeServicePrincipal !== undefined && request.Constraints?.SourceArn === undefined)
    throw validation("A grant to a service principal must have a SourceArn constraint.")
  if (GranteeServicePrincipal !== undefined && (RetiringPrincipal ?? RetiringServicePrincipal) === undefined)
    throw validation("A grant to a service principal must have a retiring principal.")
  for (const principal of [GranteePrincipal, RetiringPrincipal])
    if (principal !== undefined && !isPrincipal(principal, call)) throw invalidPrincipal(principal)
}

const PRINCIPAL =
  /^arn:([^:]+):(?:iam::\d{12}:(?:root|user\/.+|role\/.+)|sts::\d{12}:(?:assumed-role\/[^/]+\/[^/]+|federated-user\/.+))$/

/** An account's root, a user, a role, a role's session or a federated user; where only registered ones count, one of them. */
function isPrincipal(arn: string, { scope, registeredOnly, tx }: Call): boolean {
  const [, partition] = PRINCIPAL.exec(arn) ?? []
  return partition === scope.partition && (!registeredOnly || isKnownPrincipal(tx, arn))
}

/** GRT-2.2 */
function checkOperations(operations: Input["Operations"], key: Key): void {
  if (operations.length === 0) throw validation("A grant must have at least one operation.")
  const unfit = operations.filter((operation) => !fitsKey(operation, key.keyUsage))
  if (unfit.length > 0)
    throw validation(`${key.arn} key usage is ${key.keyUsage} which is not valid for ${unfit.join(", ")} in a grant.`)
}

/** GRT-2.3, GRT-2.4 */
function checkConstraints({ EncryptionContextEquals, EncryptionContextSubset }: GrantConstraints, key: Key): void {
  if (EncryptionContextEquals !== undefined && EncryptionContextSubset !== undefined)
    throw validation("Specify either EncryptionContextEquals or EncryptionContextSubset, but not both.")
  const context = EncryptionContextEquals ?? EncryptionContextSubset
  if (context === undefined) return
  // It would pass for a constraint in policies (kms:GrantConstraintType) and constrain nothing.
  if (EncryptionContextSubset !== undefined && Object.keys(context).length === 0)
    throw validation("EncryptionContextSubset must have at least one encryption context pair.")
  if (key.keyUsage !== "ENCRYPT_DECRYPT")
    throw validation(`${key.arn} key usage is ${key.keyUsage}, which has no encryption context to constrain.`)
  if (Object.keys(context).length > MAX_PAIRS)
    throw validation(`A grant constraint can have at most ${MAX_PAIRS} encryption context pairs.`)
  if (Object.values(context).some((value) => value.length > MAX_VALUE_CHARACTERS))
    throw validation(
      `An encryption context value of a grant constraint can have at most ${MAX_VALUE_CHARACTERS} characters.`,
    )
}

function requestedGrant(request: Input, call: Call): Omit<Grant, "grantId"> {
  const { now, grantPropagationMs } = call
  const { Constraints = {} } = request
  return {
    name: request.Name,
    createdAt: now,
    ...(grantPropagationMs > 0 && { effectiveAt: now + grantPropagationMs }),
    granteePrincipal: request.GranteePrincipal,
    granteeId: uniqueId(call, request.GranteePrincipal),
    granteeServicePrincipal: request.GranteeServicePrincipal,
    retiringPrincipal: request.RetiringPrincipal,
    retiringId: uniqueId(call, request.RetiringPrincipal),
    retiringServicePrincipal: request.RetiringServicePrincipal,
    issuingAccountId: call.principal.accountId,
    operations: [...new Set(request.Operations)],
    ...(Object.keys(Constraints).length > 0 && { constraints: Constraints }),
  }
}

/** GRT-4.6 */
const uniqueId = ({ tx }: Call, arn: string | undefined): string | undefined =>
  arn === undefined ? undefined : findPrincipal(tx, arn)?.id

/** GRT-2.5: the grant that an identical request has made already. */
function findSame(call: Call, key: Key, asked: Omit<Grant, "grantId">): Grant | undefined {
  const wanted = identity(asked)
  for (const grant of grantsNamed(call.tx, key, asked.name!)) if (identity(grant) === wanted) return grant
  return undefined
}

/** What makes two requests identical; order does not count where it means nothing. */
function identity(grant: Omit<Grant, "grantId">): string {
  const { constraints = {} } = grant
  const constraint = contextConstraint(constraints)
  return JSON.stringify([
    grant.granteePrincipal ?? grant.granteeServicePrincipal,
    grant.granteeId,
    grant.retiringPrincipal ?? grant.retiringServicePrincipal,
    grant.retiringId,
    grant.issuingAccountId,
    [...grant.operations].sort(),
    constraint && [constraint.type, sortedPairs(constraint.context)],
    constraints.SourceArn,
  ])
}

const sortedPairs = (context: EncryptionContext): [string, string][] =>
  Object.entries(context).sort(([a], [b]) => (a < b ? -1 : 1))
