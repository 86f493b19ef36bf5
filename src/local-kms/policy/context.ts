import type { PolicyKind } from "./document.ts"
import type { Lookup } from "./pattern.ts"
import type { Caller, KeyFacts, PolicyRequest } from "./request.ts"

/** The condition keys of one request (POL-5.1), put together when a policy first asks for one. */
export function requestContext(request: PolicyRequest): (kind: PolicyKind) => Lookup {
  let values: ReadonlyMap<string, readonly string[]> | undefined
  const lookup: Lookup = (key) => {
    values ??= contextValues(request)
    return values.get(key)
  }
  // POL-5.2: AWS offers the key's aliases to identity policies only.
  const inKeyPolicy: Lookup = (key) => (key === "kms:resourcealiases" ? undefined : lookup(key))
  return (kind) => (kind === "key" ? inKeyPolicy : lookup)
}

type Put = (key: string, value: string | readonly string[] | undefined) => void

function contextValues(request: PolicyRequest): ReadonlyMap<string, readonly string[]> {
  const { caller, key, encryptionContext, conditions = {}, now, resource, resourceAccountId } = request
  const values = new Map<string, readonly string[]>()
  const put: Put = (name, value) => {
    if (value === undefined) return
    const lower = name.toLowerCase()
    const added = typeof value === "string" ? [value] : value
    // Two pairs whose names differ in case only are one key with two values (POL-5.6).
    values.set(lower, [...(values.get(lower) ?? []), ...added])
  }
  putCaller(caller, put)
  if (key !== undefined) putKey(key, put)
  if (encryptionContext !== undefined) putEncryptionContext(encryptionContext, put)
  put("aws:ResourceAccount", resourceAccountId)
  put("aws:RequestedRegion", resource.split(":")[3])
  put("aws:CurrentTime", new Date(now).toISOString())
  put("aws:EpochTime", String(Math.floor(now / 1000)))
  for (const [name, value] of Object.entries(conditions)) {
    values.delete(name.toLowerCase())
    put(name, value)
  }
  return values
}

const principalTypes = {
  Root: "Account",
  IAMUser: "User",
  AssumedRole: "AssumedRole",
  FederatedUser: "FederatedUser",
  AWSService: "Service",
} as const

function putCaller(caller: Caller, put: Put): void {
  const { type, accountId, identityArn, name, userId, tags = {} } = caller
  put("aws:PrincipalType", principalTypes[type])
  put("aws:PrincipalIsAWSService", String(type === "AWSService"))
  if (type === "AWSService") {
    put("aws:PrincipalServiceName", name)
    return
  }
  put("kms:CallerAccount", accountId)
  put("aws:PrincipalAccount", accountId)
  put("aws:PrincipalArn", identityArn)
  put("aws:userid", userId ?? (type === "Root" ? accountId : undefined))
  if (type === "IAMUser") put("aws:username", name)
  for (const [tag, value] of Object.entries(tags)) put(`aws:PrincipalTag/${tag}`, value)
}

function putKey(key: KeyFacts, put: Put): void {
  put("kms:KeyOrigin", key.origin)
  put("kms:KeySpec", key.keySpec)
  put("kms:KeyUsage", key.keyUsage)
  // The older names still work.
  put("kms:CustomerMasterKeySpec", key.keySpec)
  put("kms:CustomerMasterKeyUsage", key.keyUsage)
  put("kms:MultiRegion", String(key.multiRegion))
  put("kms:MultiRegionKeyType", key.multiRegionKeyType)
  put("kms:ResourceAliases", key.aliases)
  for (const [tag, value] of Object.entries(key.tags ?? {})) put(`aws:ResourceTag/${tag}`, value)
}

function putEncryptionContext(context: Readonly<Record<string, string>>, put: Put): void {
  const names = Object.keys(context)
  if (names.length > 0) put("kms:EncryptionContextKeys", names)
  for (const name of names) put(`kms:EncryptionContext:${name}`, context[name])
}
