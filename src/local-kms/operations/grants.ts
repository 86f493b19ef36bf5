import type { Call } from "../call.ts"
import {
  dryRunSucceeded,
  invalidArn,
  invalidGrantId,
  invalidGrantToken,
  invalidPrincipal,
  notFound,
  validation,
} from "../faults.ts"
import { contextConstraint } from "../grants/constraints.ts"
import {
  allGrants,
  type Grant,
  type GrantPlace,
  getGrant,
  granteeOf,
  grantsTo,
  ownerAt,
  removeGrant,
  retirablePrefix,
} from "../grants/records.ts"
import { readToken } from "../grants/tokens.ts"
import { keyArn } from "../identifiers.ts"
import type { Key } from "../keys.ts"
import { pageOutput, readPage } from "../paging.ts"
import { serviceHost } from "../services.ts"
import * as shape from "../shapes.ts"
import { CreateGrant, principalMember, servicePrincipalMember } from "./create-grant.ts"
import { keyOperation, type Operation, type Output, operation } from "./operation.ts"

const LIST_GRANTS_PAGE = 50
const LIST_GRANTS_MAX = 100

const grantIdMember = { type: "string", min: 1, max: 128 } as const
const grantTokenMember = { type: "string", min: 1, max: 8192, sensitive: true } as const

const pageSize = (limit = LIST_GRANTS_PAGE): number => Math.min(limit, LIST_GRANTS_MAX)

const isGrantId = (text: string): boolean => /^[0-9a-f]{64}$/.test(text)

/** @throws KmsFault `InvalidGrantIdException` */
function checkGrantId(grantId: string): void {
  if (!isGrantId(grantId)) throw invalidGrantId(`Invalid grant ID ${grantId}`)
}

/** @throws KmsFault `NotFoundException` */
function existingGrant(call: Call, key: Parameters<typeof getGrant>[1], grantId: string): Grant {
  const grant = getGrant(call.tx, key, grantId)
  if (grant === undefined) throw notFound(`Grant ID ${grantId} not found`)
  return grant
}

/** GRT-5.4 @throws KmsFault `ValidationException` */
function requireService({ service }: Call, name: string): void {
  if (service === undefined || serviceHost(service) !== name)
    throw validation("Only a service principal can ask for its own grants.")
}

const grantEntry = (arn: string, { scope }: Call, grant: Grant): Output => {
  const { grantId, createdAt, name, granteePrincipal, granteeServicePrincipal } = grant
  const { retiringPrincipal, retiringServicePrincipal } = grant
  const members = {
    KeyId: arn,
    GrantId: grantId,
    // AWS names every grant, though with nothing.
    Name: name ?? "",
    CreationDate: new Date(createdAt),
    GranteePrincipal: granteePrincipal,
    GranteeServicePrincipal: granteeServicePrincipal,
    RetiringPrincipal: retiringPrincipal,
    RetiringServicePrincipal: retiringServicePrincipal,
    IssuingAccount: `arn:${scope.partition}:iam::${grant.issuingAccountId}:root`,
    Operations: grant.operations,
    Constraints: grant.constraints,
  }
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined))
}

const ListGrants = keyOperation({
  input: {
    Limit: shape.limit,
    Marker: shape.marker,
    KeyId: shape.requiredKeyId,
    GrantId: grantIdMember,
    GranteePrincipal: principalMember,
    GranteeServicePrincipal: servicePrincipalMember,
  },
  readOnly: true,
  rule: "read",
  handle({ Limit, Marker, GrantId, GranteePrincipal, GranteeServicePrincipal }, call, key) {
    if (GranteePrincipal !== undefined && GranteeServicePrincipal !== undefined)
      throw validation("Specify either GranteePrincipal or GranteeServicePrincipal, but not both.")
    if (GranteeServicePrincipal !== undefined) requireService(call, GranteeServicePrincipal)
    if (GrantId !== undefined) checkGrantId(GrantId)
    const grantee = GranteePrincipal ?? GranteeServicePrincipal
    const page = readPage("ListGrants", "", pageSize(Limit), Marker, function* (afterId) {
      for (const grant of found(call, key, GrantId, grantee, afterId)) yield [grant.grantId, grant]
    })
    return pageOutput("Grants", { ...page, items: page.items.map((grant) => grantEntry(key.arn, call, grant)) })
  },
})

/** GRT-5.6: by the index that the question has, in the order of the grants' ids. */
function found(
  { tx }: Call,
  key: Key,
  grantId: string | undefined,
  grantee: string | undefined,
  afterId: string | undefined,
): Iterable<Grant> {
  if (grantId === undefined)
    return grantee === undefined ? allGrants(tx, key, afterId) : grantsTo(tx, key, grantee, afterId)
  const grant = getGrant(tx, key, grantId)
  if (grant === undefined || (afterId !== undefined && grantId <= afterId)) return []
  return grantee === undefined || granteeOf(grant) === grantee ? [grant] : []
}

const ListRetirableGrants = operation({
  input: {
    Limit: shape.limit,
    Marker: shape.marker,
    RetiringPrincipal: principalMember,
    RetiringServicePrincipal: servicePrincipalMember,
  },
  readOnly: true,
  handle({ Limit, Marker, RetiringPrincipal, RetiringServicePrincipal }, call) {
    if ((RetiringPrincipal === undefined) === (RetiringServicePrincipal === undefined))
      throw validation("Specify either RetiringPrincipal or RetiringServicePrincipal, but not both.")
    if (RetiringServicePrincipal !== undefined) requireService(call, RetiringServicePrincipal)
    call.authorize("kms:ListRetirableGrants")
    // GRT-5.4: whose grants they are is the business of the principal's account only.
    if (RetiringPrincipal !== undefined && RetiringPrincipal.split(":")[4] !== call.scope.accountId)
      throw invalidPrincipal(RetiringPrincipal)
    const prefix = retirablePrefix(call.scope.region, (RetiringPrincipal ?? RetiringServicePrincipal)!)
    const page = readPage("ListRetirableGrants", prefix, pageSize(Limit), Marker, function* (after) {
      const entries = call.tx.range<GrantPlace>(prefix, after === undefined ? {} : { after })
      for (const [path, place] of entries) yield [path, { place, grantId: path.slice(-64) }]
    })
    const items = page.items.map(({ place, grantId }) => {
      const owner = ownerAt(place, call.scope)
      return grantEntry(keyArn(owner.scope, owner.keyId), call, getGrant(call.tx, owner, grantId)!)
    })
    return pageOutput("Grants", { ...page, items })
  },
})

/** GRT-5.3 */
const RevokeGrant = keyOperation({
  input: { KeyId: shape.requiredKeyId, GrantId: { ...grantIdMember, required: true }, DryRun: shape.dryRun },
  readOnly: false,
  rule: "read",
  handle({ GrantId, DryRun }, call, key) {
    checkGrantId(GrantId)
    const grant = existingGrant(call, key, GrantId)
    if (DryRun) throw dryRunSucceeded()
    removeGrant(call.tx, key, grant)
    return {}
  },
})

const retireInput = {
  GrantToken: grantTokenMember,
  KeyId: shape.keyId,
  GrantId: grantIdMember,
  DryRun: shape.dryRun,
} as const

/** GRT-5.1: by token, or by the key's ARN and the grant's id. */
function retirable({ GrantToken, KeyId, GrantId }: shape.InputOf<typeof retireInput>, call: Call): [Key, Grant] {
  if (GrantToken !== undefined) {
    if (KeyId !== undefined || GrantId !== undefined)
      throw validation("Specify a grant token, or a key ARN and a grant ID, but not both.")
    const found = readToken(call.tx, call.vault, call.scope.partition, GrantToken)
    const key =
      found.region === call.scope.region ? call.loadKey(ownerAt(found, call.scope).scope, found.keyId) : undefined
    if (key === undefined) throw invalidGrantToken()
    return [key, existingGrant(call, key, found.grantId)]
  }
  if (KeyId === undefined || GrantId === undefined)
    throw validation("Specify a grant token, or a key ARN and a grant ID.")
  if (!KeyId.startsWith("arn:")) throw invalidArn(KeyId)
  checkGrantId(GrantId)
  const key = call.findKey(KeyId, false)
  return [key, existingGrant(call, key, GrantId)]
}

const RetireGrant = operation({
  input: retireInput,
  readOnly: false,
  handle(input, call) {
    const [key, grant] = retirable(input, call)
    const constraint = contextConstraint(grant.constraints ?? {})
    call.authorizeKey(key, "kms:RetireGrant", {
      retired: grant.grantId,
      encryptionContext: constraint?.context,
      ...(constraint && { conditions: { "kms:GrantConstraintType": constraint.type } }),
    })
    if (input.DryRun) throw dryRunSucceeded()
    removeGrant(call.tx, key, grant)
    // GRT-6.3
    call.notes.response = { keyId: key.arn }
    call.notes.additional = { grantId: grant.grantId }
    return {}
  },
})

export const grants: Record<string, Operation> = {
  CreateGrant,
  ListGrants,
  ListRetirableGrants,
  RetireGrant,
  RevokeGrant,
}
