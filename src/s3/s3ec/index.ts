export { type S3ecAesKeyOptions, s3ecAesKey } from "./aes-key.ts"
export { type S3ecBucketKeyOptions, s3ecBucketKey } from "./bucket-key.ts"
export { checkReadable, checkStoredContext, type S3ecCallOptions } from "./content-key.ts"
export type { ObjectEnvelope, WrapAlgorithm } from "./envelope.ts"
export {
  envelopePlace,
  findEnvelope,
  MAX_INSTRUCTION_FILE_LENGTH,
  parseInstructionFile,
} from "./find-envelope.ts"
export {
  INSTRUCTION_FILE_METADATA,
  instructionFileKey,
  type NewInstructionFileOptions,
  newInstructionFile,
} from "./instruction-file.ts"
export type { ClosableS3ecKey, S3ecKey, S3ecUnwrapRequest, S3ecWrapRequest, S3ecWrapResult } from "./key.ts"
export { type S3ecKmsKeyOptions, s3ecKmsDiscoveryKey, s3ecKmsKey } from "./kms-key.ts"
export { openedStream, openObject, plaintextLengthOf } from "./open.ts"
export { planS3ec, type S3ecOptions, type S3ecPlan, sesMail } from "./plan.ts"
export { checkRangeReadable, openRange, type PlaintextRange, rangeToFetch } from "./range.ts"
export { type RewrappedKey, rewrapDataKey, withRewrappedKey } from "./rewrap.ts"
export { type S3ecRsaKeyOptions, s3ecRsaKey } from "./rsa-key.ts"
export {
  objectSealer,
  sealedStream,
  sealObject,
} from "./seal.ts"
export { type WrittenEnvelope, withEnvelope, withoutEnvelope, writeEnvelope } from "./write-envelope.ts"
