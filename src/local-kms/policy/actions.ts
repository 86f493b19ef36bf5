/** What decides about an action (POL-6.7, POL-6.8). */
type Authority = "key" | "identity" | "grant"

export type ActionKind =
  /** Encrypts, decrypts or otherwise uses key material. */
  | "use"
  /** Changes the key, or what may be done with it. */
  | "manage"
  /** Hands permissions on: grants. */
  | "delegate"
  /** Reads metadata only. */
  | "view"

export interface KmsAction {
  /** For instance `kms:Decrypt`. */
  readonly name: string
  readonly kind: ActionKind
  readonly authority: Authority
  /** Whether principals of other accounts can ever be allowed it. */
  readonly crossAccount: boolean
  /** In lower case; one that ends in `:` or `/` stands for every key that begins so. */
  readonly conditionKeys: ReadonlySet<string>
}

interface Row {
  readonly actions: string
  readonly kind: ActionKind
  readonly authority?: Authority
  readonly crossAccount?: true
  readonly keys?: string
}

const ofKey =
  "kms:CallerAccount kms:ViaService kms:KeyOrigin kms:KeySpec kms:KeyUsage kms:CustomerMasterKeySpec " +
  "kms:CustomerMasterKeyUsage kms:MultiRegion kms:MultiRegionKeyType kms:ResourceAliases aws:ResourceTag/"
const context = "kms:EncryptionContext: kms:EncryptionContextKeys"
const symmetric = `${context} kms:EncryptionAlgorithm kms:RequestAlias`
const attested = "kms:RecipientAttestation:"
const grants =
  "kms:GrantConstraintType kms:GrantIsForAWSResource kms:GrantOperations kms:GranteePrincipal kms:RetiringPrincipal " +
  "kms:GranteeServicePrincipal kms:RetiringServicePrincipal kms:GrantConstraintSourceArn"

/** Every action of AWS KMS (Service Authorization Reference; KMS condition keys). */
const rows: readonly Row[] = [
  { actions: "Encrypt", kind: "use", crossAccount: true, keys: symmetric },
  { actions: "Decrypt GenerateDataKey", kind: "use", crossAccount: true, keys: `${symmetric} ${attested}` },
  { actions: "GenerateDataKeyWithoutPlaintext", kind: "use", crossAccount: true, keys: symmetric },
  {
    actions: "GenerateDataKeyPair",
    kind: "use",
    crossAccount: true,
    keys: `${symmetric} ${attested} kms:DataKeyPairSpec`,
  },
  {
    actions: "GenerateDataKeyPairWithoutPlaintext",
    kind: "use",
    crossAccount: true,
    keys: `${symmetric} kms:DataKeyPairSpec`,
  },
  {
    actions: "ReEncryptFrom ReEncryptTo",
    kind: "use",
    crossAccount: true,
    keys: `${symmetric} kms:ReEncryptOnSameKey`,
  },
  {
    actions: "Sign Verify",
    kind: "use",
    crossAccount: true,
    keys: "kms:MessageType kms:SigningAlgorithm kms:RequestAlias",
  },
  { actions: "GenerateMac VerifyMac", kind: "use", crossAccount: true, keys: "kms:MacAlgorithm kms:RequestAlias" },
  {
    actions: "DeriveSharedSecret",
    kind: "use",
    crossAccount: true,
    keys: `kms:KeyAgreementAlgorithm kms:RequestAlias ${attested}`,
  },
  { actions: "DescribeKey GetPublicKey", kind: "view", crossAccount: true, keys: "kms:RequestAlias" },
  { actions: "GetKeyRotationStatus", kind: "view", crossAccount: true },
  { actions: "GetKeyLastUsage GetKeyPolicy ListKeyPolicies ListKeyRotations ListResourceTags", kind: "view" },
  { actions: "ListGrants", kind: "view", crossAccount: true, keys: "kms:GrantIsForAWSResource" },
  { actions: "CreateGrant", kind: "delegate", crossAccount: true, keys: `${context} ${grants}` },
  { actions: "RevokeGrant", kind: "delegate", crossAccount: true, keys: "kms:GrantIsForAWSResource" },
  {
    actions: "RetireGrant",
    kind: "delegate",
    authority: "grant",
    crossAccount: true,
    keys: `${context} kms:GrantConstraintType`,
  },
  { actions: "PutKeyPolicy", kind: "manage", keys: "kms:BypassPolicyLockoutSafetyCheck" },
  { actions: "CancelKeyDeletion DisableKey DisableKeyRotation EnableKey RotateKeyOnDemand", kind: "manage" },
  { actions: "DeleteImportedKeyMaterial UpdateKeyDescription SynchronizeMultiRegionKey", kind: "manage" },
  { actions: "EnableKeyRotation", kind: "manage", keys: "kms:RotationPeriodInDays" },
  {
    actions: "ScheduleKeyDeletion",
    kind: "manage",
    keys: "kms:ScheduleKeyDeletionPendingWindowInDays kms:TrailingDaysWithoutKeyUsage",
  },
  { actions: "GetParametersForImport", kind: "manage", keys: "kms:WrappingAlgorithm kms:WrappingKeySpec" },
  { actions: "ImportKeyMaterial", kind: "manage", keys: "kms:ExpirationModel kms:ValidTo" },
  { actions: "ReplicateKey", kind: "manage", keys: "kms:ReplicaRegion" },
  { actions: "UpdatePrimaryRegion", kind: "manage", keys: "kms:PrimaryRegion" },
  { actions: "TagResource UntagResource", kind: "manage", keys: "aws:RequestTag/ aws:TagKeys" },
  { actions: "CreateAlias DeleteAlias UpdateAlias", kind: "manage" },
  {
    actions: "CreateKey",
    kind: "manage",
    authority: "identity",
    keys: "kms:BypassPolicyLockoutSafetyCheck aws:RequestTag/ aws:TagKeys",
  },
  { actions: "ListAliases ListKeys ListRetirableGrants", kind: "view", authority: "identity" },
  { actions: "GenerateRandom", kind: "use", authority: "identity", keys: attested },
  {
    actions: "ConnectCustomKeyStore CreateCustomKeyStore DeleteCustomKeyStore DisconnectCustomKeyStore",
    kind: "manage",
    authority: "identity",
  },
  { actions: "UpdateCustomKeyStore", kind: "manage", authority: "identity" },
  { actions: "DescribeCustomKeyStores", kind: "view", authority: "identity" },
]

/** By name in lower case. */
const byName: ReadonlyMap<string, KmsAction> = new Map(
  rows.flatMap(({ actions, kind, authority = "key", crossAccount = false, keys = "" }) =>
    actions.split(" ").map((action): [string, KmsAction] => {
      const name = `kms:${action}`
      const conditionKeys = new Set(`${ofKey} ${keys}`.trim().toLowerCase().split(" "))
      return [name.toLowerCase(), { name, kind, authority, crossAccount, conditionKeys }]
    }),
  ),
)

export const kmsActions: readonly KmsAction[] = [...byName.values()]

/** @param name in any case */
export const findAction = (name: string): KmsAction | undefined => byName.get(name.toLowerCase())

/** Keys that may have several values at once, in lower case; they need a set operator. */
export const multiValuedKeys: ReadonlySet<string> = new Set([
  "aws:calledvia",
  "aws:principalorgpaths",
  "aws:principalservicenameslist",
  "aws:tagkeys",
  "kms:encryptioncontextkeys",
  "kms:grantoperations",
  "kms:resourcealiases",
])

const startsFamily = (known: string): boolean => known.endsWith(":") || known.endsWith("/")

const isOneOf = (key: string, known: ReadonlySet<string>): boolean =>
  startsFamily(key) ? false : known.has(key) || [...known].some((name) => startsFamily(name) && key.startsWith(name))

/** Whether requests for the action can have the condition key; of AWS's global keys, every request may have each. */
export function hasConditionKey(action: KmsAction, key: string): boolean {
  const lower = key.toLowerCase()
  const isGlobal = lower.startsWith("aws:") && !/^aws:(?:requesttag\/|tagkeys$|resourcetag\/)/.test(lower)
  return isGlobal || isOneOf(lower, action.conditionKeys)
}

export const isKnownConditionKey = (key: string): boolean => kmsActions.some((action) => hasConditionKey(action, key))
