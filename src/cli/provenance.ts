import type { WrappedKey } from "../core/index.ts"
import { isLocalCiphertext } from "../local-kms/index.ts"
import type { Inspected } from "../message/index.ts"
import { CliError } from "./failures.ts"
import { formatKmsAddress, type KmsAddress } from "./kms-address.ts"

/** Who wrapped a data key: AWS KMS, an embedded KMS, or a key that no KMS holds. */
export const wrappedBy = ({ providerId, ciphertext }: WrappedKey): "aws" | "local" | "raw" =>
  providerId !== "aws-kms" ? "raw" : isLocalCiphertext(ciphertext) ? "local" : "aws"

/** Whether a KMS can have wrapped this. An address of the KMS protocol may belong to either kind. */
export const mayBeOf = (address: KmsAddress, key: WrappedKey): boolean =>
  address.kind === "http" ? wrappedBy(key) !== "raw" : wrappedBy(key) === address.kind

/**
 * Refuses to ask a KMS about a message, or a volume, that it cannot have wrapped.
 *
 * @throws CliError `noMatchingKey` that names what the message needs
 */
export function checkProvenance(
  { wrappedKeys }: Pick<Inspected, "wrappedKeys">,
  address: KmsAddress,
  option: string,
  what: "message" | "volume" = "message",
): void {
  const kms = wrappedKeys.filter((key) => wrappedBy(key) !== "raw")
  if (kms.length === 0) {
    const names = [...new Set(wrappedKeys.map(({ providerId }) => providerId))].join(", ")
    throw new CliError("noMatchingKey", `no KMS wrapped this ${what}'s data key, but raw keys did (${names})`, {
      hint: `${what === "message" ? "decrypt it in code: decrypt()" : "attach it in code: attachVolume()"} with a rawAesKeyring or rawRsaKeyring`,
    })
  }
  if (kms.some((key) => mayBeOf(address, key))) return
  const arns = kms.map(({ keyArn }) => keyArn ?? "an unnamed key").join(", ")
  const isLocal = address.kind === "local"
  throw new CliError(
    "noMatchingKey",
    isLocal
      ? `AWS KMS wrapped this ${what}, under ${arns}: the embedded KMS in ${address.dir} cannot help`
      : `an embedded KMS wrapped this ${what}, under ${arns}: AWS (${formatKmsAddress(address)}) cannot help`,
    { hint: isLocal ? `add ${option} aws` : `add ${option} local, or ${option} local:DIR for one in another folder` },
  )
}
