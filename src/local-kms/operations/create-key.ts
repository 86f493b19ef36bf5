import type { Call } from "../call.ts"
import { limitExceeded, tagFault, unsupported, validation } from "../faults.ts"
import { newKeyId, type Scope } from "../identifiers.ts"
import { checkKeyPolicy } from "../key-policy.ts"
import { isBuiltSpec, type KeySpec, keySpecs } from "../key-specs.ts"
import type { KeyOrigin, RegionalKey, SharedKey, Tag } from "../keys.ts"
import { generateMaterial } from "../materials.ts"
import * as shape from "../shapes.ts"
import { lowerCamel } from "../validation.ts"
import { keyMetadata } from "./key-metadata.ts"
import { type Output, operation } from "./operation.ts"

const MAX_TAGS = 50

const usagesBySpec = (spec: string): readonly string[] => {
  if (spec === "SYMMETRIC_DEFAULT") return ["ENCRYPT_DECRYPT"]
  if (spec.startsWith("HMAC_")) return ["GENERATE_VERIFY_MAC"]
  if (spec.startsWith("RSA_")) return ["ENCRYPT_DECRYPT", "SIGN_VERIFY"]
  if (spec.startsWith("ECC_NIST_P")) return ["SIGN_VERIFY", "KEY_AGREEMENT"]
  if (spec === "SM2") return ["ENCRYPT_DECRYPT", "SIGN_VERIFY", "KEY_AGREEMENT"]
  return ["SIGN_VERIFY"]
}

// The texts that AWS was recorded with list the specs and usages of their time, in this order.
const RECORDED_SPECS = [
  "RSA_2048",
  "ECC_NIST_P384",
  "ECC_NIST_P256",
  "ECC_NIST_P521",
  "HMAC_384",
  "RSA_3072",
  "ECC_SECG_P256K1",
  "RSA_4096",
  "SYMMETRIC_DEFAULT",
  "HMAC_256",
  "HMAC_224",
  "HMAC_512",
] as const
const RECORDED_USAGES = ["ENCRYPT_DECRYPT", "SIGN_VERIFY", "GENERATE_VERIFY_MAC"] as const
const LATER_SPECS = ["SM2", "ML_DSA_44", "ML_DSA_65", "ML_DSA_87", "ECC_NIST_EDWARDS25519"] as const

const keySpec = {
  type: "string",
  values: [...RECORDED_SPECS, ...LATER_SPECS],
  shownValues: RECORDED_SPECS,
} as const

const input = {
  Policy: shape.policy,
  Description: shape.description,
  KeyUsage: { type: "string", values: [...RECORDED_USAGES, "KEY_AGREEMENT"], shownValues: RECORDED_USAGES },
  CustomerMasterKeySpec: keySpec,
  KeySpec: keySpec,
  Origin: { type: "string", values: ["AWS_KMS", "EXTERNAL", "AWS_CLOUDHSM", "EXTERNAL_KEY_STORE"] },
  CustomKeyStoreId: { type: "string", min: 1, max: 64 },
  BypassPolicyLockoutSafetyCheck: { type: "boolean" },
  Tags: shape.tags,
  MultiRegion: { type: "boolean" },
  XksKeyId: { type: "string", min: 1, max: 128, pattern: /^[a-zA-Z0-9-_.]+$/ },
} as const

type Input = shape.InputOf<typeof input>

/** @throws KmsFault `ValidationException` for what AWS refuses, `UnsupportedOperationException` for what is not built */
function checkKeyKind(request: Input): { readonly spec: KeySpec; readonly origin: KeyOrigin } {
  const { KeySpec, CustomerMasterKeySpec, KeyUsage, Origin = "AWS_KMS", CustomKeyStoreId, XksKeyId } = request
  if (KeySpec !== undefined && CustomerMasterKeySpec !== undefined && KeySpec !== CustomerMasterKeySpec)
    throw validation("You cannot specify KeySpec and CustomerMasterKeySpec in the same request.")
  const spec = KeySpec ?? CustomerMasterKeySpec ?? "SYMMETRIC_DEFAULT"
  if (KeyUsage === undefined && spec !== "SYMMETRIC_DEFAULT")
    throw validation("You must specify a KeyUsage value for all KMS keys except for symmetric encryption keys.")
  if (KeyUsage !== undefined && !usagesBySpec(spec).includes(KeyUsage))
    throw validation(`KeyUsage ${KeyUsage} is not compatible with KeySpec ${spec}`)
  if (!isBuiltSpec(spec)) throw unsupported(`Keys of spec ${spec} are not supported.`)
  if (CustomKeyStoreId !== undefined || XksKeyId !== undefined || (Origin !== "AWS_KMS" && Origin !== "EXTERNAL"))
    throw unsupported("Custom key stores are not supported.")
  return { spec, origin: Origin }
}

/** @throws KmsFault `LimitExceededException` when the account has all the keys it may have in that Region */
export function requireKeyQuota(call: Call, scope: Scope): void {
  if (call.keys.count(scope) >= call.quotas.keys)
    throw limitExceeded(`The account has reached its quota of ${call.quotas.keys} keys in ${scope.region}.`)
}

/** @throws KmsFault `TagException` */
export function checkTags(tags: readonly Tag[]): readonly Tag[] {
  if (tags.length > MAX_TAGS) throw tagFault("Too many tags")
  checkTagKeys(tags.map(({ TagKey }) => TagKey))
  if (new Set(tags.map(({ TagKey }) => TagKey)).size !== tags.length) throw tagFault("Duplicate tag keys")
  return tags
}

export const CreateKey = operation({
  input,
  readOnly: false,
  handle(request, call) {
    const { spec, origin } = checkKeyKind(request)
    const tags = checkTags(request.Tags ?? [])
    call.authorize("kms:CreateKey")
    const keyId = newKeyId(request.MultiRegion === true)
    if (tags.length > 0) call.authorizeNewKey(call.scope, keyId, "kms:TagResource")
    requireKeyQuota(call, call.scope)
    const { Policy } = request
    if (Policy !== undefined) checkKeyPolicy(call, { ...request, Policy }, call.scope, keyId)
    const isImported = origin === "EXTERNAL"
    const regional: RegionalKey = {
      createdAt: call.now,
      description: request.Description ?? "",
      state: isImported ? "PendingImport" : "Enabled",
      tags,
      policy: Policy,
    }
    const owner = { scope: call.scope, keyId, keySpec: spec }
    const shared: SharedKey = {
      keySpec: spec,
      keyUsage: keySpecs[spec].usage,
      origin,
      materials: isImported ? [] : [generateMaterial(call.vault, owner, call.now)],
      ...(request.MultiRegion ? { regions: [call.scope.region] } : {}),
    }
    const metadata = keyMetadata(call.keys.insert(call.scope, keyId, regional, shared))
    noteCreated(call, metadata, "keyMetadata")
    return { KeyMetadata: metadata }
  },
})

/** @throws KmsFault `TagException` */
export function checkTagKeys(keys: readonly string[]): void {
  if (keys.some((key) => key.toLowerCase().startsWith("aws:"))) throw tagFault("Tags beginning with aws: are reserved")
}

/** The event of a new key names it and shows its metadata. */
export function noteCreated(call: Call, metadata: Output, member: string): void {
  call.notes.resources.push({
    accountId: call.scope.accountId,
    type: "AWS::KMS::Key",
    ARN: metadata.Arn as string,
  })
  call.notes.response = {
    [member]: Object.fromEntries(Object.entries(metadata).map(([name, value]) => [lowerCamel(name), value])),
  }
}
