export { decryptionMaterials, encryptionMaterials } from "./materials.ts"
export { type ClosableKeyring, type RawAesKeyringOptions, rawAesKeyring } from "./raw-aes.ts"
