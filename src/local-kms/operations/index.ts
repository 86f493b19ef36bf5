import { type KmsFault, unknownOperation, unsupported } from "../faults.ts"
import { aliases } from "./aliases.ts"
import { cryptography } from "./cryptography.ts"
import { grants } from "./grants.ts"
import { imports } from "./imports.ts"
import { keys } from "./keys.ts"
import { macs } from "./macs.ts"
import type { Operation } from "./operation.ts"
import { policies } from "./policies.ts"
import { rotations } from "./rotations.ts"
import { tags } from "./tags.ts"

export type { Operation, Output } from "./operation.ts"

const operations: ReadonlyMap<string, Operation> = new Map(
  Object.entries({
    ...keys,
    ...aliases,
    ...cryptography,
    ...macs,
    ...policies,
    ...grants,
    ...rotations,
    ...imports,
    ...tags,
  }),
)

/** What AWS KMS has and this KMS has not, or not yet. */
const unbuilt: ReadonlySet<string> = new Set([
  "ConnectCustomKeyStore",
  "CreateCustomKeyStore",
  "DeleteCustomKeyStore",
  "DeriveSharedSecret",
  "DescribeCustomKeyStores",
  "DisconnectCustomKeyStore",
  "GenerateDataKeyPair",
  "GenerateDataKeyPairWithoutPlaintext",
  "GetPublicKey",
  "Sign",
  "UpdateCustomKeyStore",
  "Verify",
])

/** @returns the operation, or the fault that answers a request for it */
export function findOperation(name: string): Operation | KmsFault {
  const operation = operations.get(name)
  if (operation !== undefined) return operation
  return unbuilt.has(name)
    ? unsupported(`${name} is not supported by the embedded KMS.`)
    : unknownOperation(`There is no operation ${name}.`)
}
