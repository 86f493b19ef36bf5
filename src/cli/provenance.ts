import { isLocalCiphertext } from "../local-kms/index.ts"
import type { Inspected, MessageWrappedKey } from "../message/index.ts"
import { CliError } from "./failures.ts"
import { formatKmsAddress, type KmsAddress } from "./kms-address.ts"

/** Who wrapped a data key: AWS KMS, an embedded KMS, or a key that no KMS holds. */
export const wrappedBy = ({ providerId, ciphertext }: MessageWrappedKey): "aws" | "local" | "raw" =>
  providerId !== "aws-kms" ? "raw" : isLocalCiphertext(ciphertext) ? "local" : "aws"

/**
 * Refuses to ask a KMS about a message that it cannot have wrapped. An address of the KMS protocol may belong to either
 * kind and is always asked.
 *
 * @throws CliError `noMatchingKey` that names what the message needs
 */
export function checkProvenance({ wrappedKeys }: Inspected, address: KmsAddress, option: string): void {
  const kms = wrappedKeys.filter((key) => wrappedBy(key) !== "raw")
  if (kms.length === 0) {
    const names = [...new Set(wrappedKeys.map(({ providerId }) => providerId))].join(", ")
    throw new CliError("noMatchingKey", `no KMS wrapped this message's data key, but raw keys did (${names})`, {
      hint: "decrypt it in code: decrypt() with a rawAesKeyring or rawRsaKeyring",
    })
  }
  if (address.kind === "http" || kms.some((key) => wrappedBy(key) === address.kind)) return
  const arns = kms.map(({ keyArn }) => keyArn ?? "an unnamed key").join(", ")
  const isLocal = address.kind === "local"
  throw new CliError(
    "noMatchingKey",
    isLocal
      ? `AWS KMS wrapped this message, under ${arns}: the embedded KMS in ${address.dir} cannot help`
      : `an embedded KMS wrapped this message, under ${arns}: AWS (${formatKmsAddress(address)}) cannot help`,
    { hint: isLocal ? `add ${option} aws` : `add ${option} local, or ${option} local:DIR for one in another folder` },
  )
}
