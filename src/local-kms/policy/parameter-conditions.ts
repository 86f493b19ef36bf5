import { findAction, hasConditionKey } from "./actions.ts"

/** Parameters of a request by their names in lower camel case, as audit events show them. */
export type RequestParameters = Readonly<Record<string, unknown>>
export type ConditionValues = Record<string, string | readonly string[]>

interface Source {
  readonly parameter: string
  readonly key: string
  /** What AWS takes when the parameter is absent, and compares conditions with. */
  readonly fallback?: string
}

const sources: readonly Source[] = [
  { parameter: "encryptionAlgorithm", key: "kms:EncryptionAlgorithm", fallback: "SYMMETRIC_DEFAULT" },
  { parameter: "macAlgorithm", key: "kms:MacAlgorithm" },
  { parameter: "bypassPolicyLockoutSafetyCheck", key: "kms:BypassPolicyLockoutSafetyCheck" },
  { parameter: "wrappingAlgorithm", key: "kms:WrappingAlgorithm" },
  { parameter: "wrappingKeySpec", key: "kms:WrappingKeySpec" },
  { parameter: "expirationModel", key: "kms:ExpirationModel", fallback: "KEY_MATERIAL_EXPIRES" },
  { parameter: "validTo", key: "kms:ValidTo" },
  { parameter: "rotationPeriodInDays", key: "kms:RotationPeriodInDays", fallback: "365" },
  { parameter: "pendingWindowInDays", key: "kms:ScheduleKeyDeletionPendingWindowInDays", fallback: "30" },
  { parameter: "granteePrincipal", key: "kms:GranteePrincipal" },
  { parameter: "retiringPrincipal", key: "kms:RetiringPrincipal" },
  { parameter: "granteeServicePrincipal", key: "kms:GranteeServicePrincipal" },
  { parameter: "retiringServicePrincipal", key: "kms:RetiringServicePrincipal" },
  { parameter: "operations", key: "kms:GrantOperations" },
  { parameter: "replicaRegion", key: "kms:ReplicaRegion" },
  { parameter: "primaryRegion", key: "kms:PrimaryRegion" },
]

/** Of the key that is to be made. */
const createKeySources: readonly Source[] = [
  { parameter: "keySpec", key: "kms:KeySpec", fallback: "SYMMETRIC_DEFAULT" },
  { parameter: "keyUsage", key: "kms:KeyUsage", fallback: "ENCRYPT_DECRYPT" },
  { parameter: "origin", key: "kms:KeyOrigin", fallback: "AWS_KMS" },
  { parameter: "multiRegion", key: "kms:MultiRegion", fallback: "false" },
]

/** The condition keys that an action's request parameters stand for (POL-5.8). */
export function parameterConditions(actionName: string, parameters: RequestParameters): ConditionValues {
  const conditions: ConditionValues = {}
  const action = findAction(actionName)
  if (action === undefined) return conditions
  const isCreateKey = action.name === "kms:CreateKey"
  for (const { parameter, key, fallback } of isCreateKey ? [...sources, ...createKeySources] : sources) {
    if (!hasConditionKey(action, key)) continue
    const value = conditionValue(parameters[parameter]) ?? fallback
    if (value !== undefined) conditions[key] = value
  }
  const constraint = grantConstraint(parameters)
  if (constraint !== undefined && hasConditionKey(action, "kms:GrantConstraintType"))
    conditions["kms:GrantConstraintType"] = constraint.type
  const sourceArn = conditionValue((parameters.constraints as RequestParameters | null | undefined)?.sourceArn)
  if (sourceArn !== undefined && hasConditionKey(action, "kms:GrantConstraintSourceArn"))
    conditions["kms:GrantConstraintSourceArn"] = sourceArn
  return { ...conditions, ...tagConditions(parameters) }
}

function conditionValue(value: unknown): string | readonly string[] | undefined {
  if (Array.isArray(value)) return value.map(String)
  if (value instanceof Date) return String(value.getTime() / 1000)
  return ["string", "number", "boolean"].includes(typeof value) ? String(value) : undefined
}

function tagConditions({ tags, tagKeys }: RequestParameters): ConditionValues {
  if (Array.isArray(tagKeys)) return { "aws:TagKeys": tagKeys.map(String) }
  if (!Array.isArray(tags) || tags.length === 0) return {}
  const pairs = (tags as { readonly tagKey: string; readonly tagValue: string }[]).map(
    ({ tagKey, tagValue }) => [String(tagKey), String(tagValue)] as const,
  )
  return {
    "aws:TagKeys": pairs.map(([tagKey]) => tagKey),
    ...Object.fromEntries(pairs.map(([tagKey, tagValue]) => [`aws:RequestTag/${tagKey}`, tagValue])),
  }
}

/** The constraint of a CreateGrant; its pairs are what `kms:EncryptionContext:…` compares there. */
export function grantConstraint({
  constraints,
}: RequestParameters):
  | { readonly type: "EncryptionContextEquals" | "EncryptionContextSubset"; readonly context: unknown }
  | undefined {
  if (typeof constraints !== "object" || constraints === null) return undefined
  const { encryptionContextEquals, encryptionContextSubset } = constraints as RequestParameters
  if (encryptionContextEquals !== undefined)
    return { type: "EncryptionContextEquals", context: encryptionContextEquals }
  if (encryptionContextSubset !== undefined)
    return { type: "EncryptionContextSubset", context: encryptionContextSubset }
  return undefined
}

/** `kms:RequestAlias`: there only when the request named the key by an alias. */
export function aliasCondition(keyReference: unknown): ConditionValues {
  const alias = typeof keyReference === "string" ? /(?:^|:)(alias\/.+)$/.exec(keyReference)?.[1] : undefined
  return alias === undefined ? {} : { "kms:RequestAlias": alias }
}
