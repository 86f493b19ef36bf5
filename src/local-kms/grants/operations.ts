import type { KeyUsage } from "../key-specs.ts"

/** AWS's set, in the order of its service model. */
export const grantOperations = [
  "Decrypt",
  "Encrypt",
  "GenerateDataKey",
  "GenerateDataKeyWithoutPlaintext",
  "ReEncryptFrom",
  "ReEncryptTo",
  "Sign",
  "Verify",
  "GetPublicKey",
  "CreateGrant",
  "RetireGrant",
  "DescribeKey",
  "GenerateDataKeyPair",
  "GenerateDataKeyPairWithoutPlaintext",
  "GenerateMac",
  "VerifyMac",
  "DeriveSharedSecret",
] as const

const ofEveryKey = ["CreateGrant", "RetireGrant", "DescribeKey"]

/** GRT-2.2 */
const byUsage: Readonly<Record<KeyUsage, ReadonlySet<string>>> = {
  ENCRYPT_DECRYPT: new Set([
    ...ofEveryKey,
    "Decrypt",
    "Encrypt",
    "GenerateDataKey",
    "GenerateDataKeyWithoutPlaintext",
    "GenerateDataKeyPair",
    "GenerateDataKeyPairWithoutPlaintext",
    "ReEncryptFrom",
    "ReEncryptTo",
  ]),
  GENERATE_VERIFY_MAC: new Set([...ofEveryKey, "GenerateMac", "VerifyMac"]),
}

export const fitsKey = (operation: string, usage: KeyUsage): boolean => byUsage[usage].has(operation)

/** GRT-4.3: the others have no encryption context that a constraint could be about. */
export const isConstrained = (operation: string): boolean => operation !== "DescribeKey" && operation !== "RetireGrant"
