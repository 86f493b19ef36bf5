import { type KmsFault, unknownOperation, unsupported } from "../faults.ts"
import { aliases } from "./aliases.ts"
import { cryptography } from "./cryptography.ts"
import { keys } from "./keys.ts"
import type { Operation } from "./operation.ts"

export type { Operation, Output } from "./operation.ts"

const operations: ReadonlyMap<string, Operation> = new Map(Object.entries({ ...keys, ...aliases, ...cryptography }))

/** What AWS KMS has and this KMS has not, or not yet. */
const unbuilt: ReadonlySet<string> = new Set([
  "ConnectCustomKeyStore",
  "CreateCustomKeyStore",
  "CreateGrant",
  "DeleteCustomKeyStore",
  "DeleteImportedKeyMaterial",
  "DeriveSharedSecret",
  "DescribeCustomKeyStores",
  "DisableKeyRotation",
  "DisconnectCustomKeyStore",
  "EnableKeyRotation",
  "GenerateDataKeyPair",
  "GenerateDataKeyPairWithoutPlaintext",
  "GenerateMac",
  "GetKeyLastUsage",
  "GetKeyPolicy",
  "GetKeyRotationStatus",
  "GetParametersForImport",
  "GetPublicKey",
  "ImportKeyMaterial",
  "ListGrants",
  "ListKeyPolicies",
  "ListKeyRotations",
  "ListResourceTags",
  "ListRetirableGrants",
  "PutKeyPolicy",
  "RetireGrant",
  "RevokeGrant",
  "RotateKeyOnDemand",
  "Sign",
  "TagResource",
  "UntagResource",
  "UpdateCustomKeyStore",
  "UpdateKeyDescription",
  "UpdatePrimaryRegion",
  "Verify",
  "VerifyMac",
])

/** @returns the operation, or the fault that answers a request for it */
export function findOperation(name: string): Operation | KmsFault {
  const operation = operations.get(name)
  if (operation !== undefined) return operation
  return unbuilt.has(name)
    ? unsupported(`${name} is not supported by the embedded KMS.`)
    : unknownOperation(`There is no operation ${name}.`)
}
