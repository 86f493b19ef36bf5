/** Namespaces that begin so belong to AWS KMS (specification: framework/raw-aes-keyring, "Key Namespace"). */
const KMS_PREFIX = "aws-kms"

/** @throws TypeError for anything but a non-empty string outside AWS KMS's namespace */
export function checkNamespace(keyNamespace: string): void {
  if (typeof keyNamespace !== "string" || keyNamespace === "") throw new TypeError("keyNamespace must be a string")
  if (keyNamespace.startsWith(KMS_PREFIX)) {
    throw new TypeError(`keyNamespace must not begin with ${KMS_PREFIX}: it is reserved for AWS KMS keyrings`)
  }
}

/** @throws TypeError for anything but a non-empty string */
export function checkKeyName(keyName: string): void {
  if (typeof keyName !== "string" || keyName === "") throw new TypeError("keyName must be a non-empty string")
}
