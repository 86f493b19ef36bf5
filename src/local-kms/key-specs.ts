/** One table for all kinds of keys this KMS makes: what they are for and how long their material is. */
export const keySpecs = {
  SYMMETRIC_DEFAULT: { usage: "ENCRYPT_DECRYPT", materialLength: 32 },
  HMAC_224: { usage: "GENERATE_VERIFY_MAC", materialLength: 28, macAlgorithm: "HMAC_SHA_224", hash: "sha224" },
  HMAC_256: { usage: "GENERATE_VERIFY_MAC", materialLength: 32, macAlgorithm: "HMAC_SHA_256", hash: "sha256" },
  HMAC_384: { usage: "GENERATE_VERIFY_MAC", materialLength: 48, macAlgorithm: "HMAC_SHA_384", hash: "sha384" },
  HMAC_512: { usage: "GENERATE_VERIFY_MAC", materialLength: 64, macAlgorithm: "HMAC_SHA_512", hash: "sha512" },
} as const

export type KeySpec = keyof typeof keySpecs
export type KeyUsage = (typeof keySpecs)[KeySpec]["usage"]

export const isBuiltSpec = (spec: string): spec is KeySpec => Object.hasOwn(keySpecs, spec)
