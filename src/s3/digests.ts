export const CHECKSUMS = [
  "ChecksumCRC32",
  "ChecksumCRC32C",
  "ChecksumCRC64NVME",
  "ChecksumSHA1",
  "ChecksumSHA256",
] as const
export const DIGESTS = ["ContentMD5", ...CHECKSUMS] as const

/**
 * OBJ-2.3: a digest that the caller computed is one of the plaintext, and S3 would compare it with the ciphertext's.
 * `ChecksumAlgorithm` may stay: the SDK computes that checksum of what is sent.
 *
 * @throws TypeError
 */
export function refuseDigests(input: object): void {
  for (const name of DIGESTS) {
    if ((input as Record<string, unknown>)[name] === undefined) continue
    throw new TypeError(
      `${name} is of the plaintext, but S3 stores the ciphertext: leave it out, the tags of the message protect the plaintext, and ChecksumAlgorithm the way to S3`,
    )
  }
}
