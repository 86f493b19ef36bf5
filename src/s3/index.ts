export {
  type AuditCounter,
  type AuditEntry,
  type AuditedFormat,
  type AuditedKey,
  type AuditedObject,
  type AuditedUpload,
  type AuditOptions,
  type AuditSummary,
  auditCounter,
  auditObjects,
  type InspectedObject,
  type InspectObjectOptions,
  type InventoryPlace,
  inspectObject,
  type ServerSideEncryption,
  type UnderKeyOptions,
} from "./audit/index.ts"
export { type BucketPolicy, type BucketPolicyOptions, bucketPolicy } from "./bucket-policy.ts"
export type { ChoiceName, EncryptionChoice, EncryptionRule, KmsService } from "./choices.ts"
export { EncryptedS3Client, type SdkCommand, type SendOptions } from "./client.ts"
export { type ObjectContext, type ObjectPlace, objectArn } from "./context.ts"
export { type LogDestination, type LogDestinationOptions, logDestination } from "./log-destination.ts"
export { envelopeOf, type ObjectEnvelope } from "./metadata.ts"
export {
  type EncryptObjectsOptions,
  encryptObjects,
  type MigratedObject,
  type MigrationAction,
  type MigrationCounter,
  type MigrationOptions,
  type MigrationSummary,
  migrationCounter,
  type RewrapObjectsOptions,
  rewrapObjects,
} from "./migrate/index.ts"
export type { EncryptedS3ClientOptions, EncryptionSendOptions, ReadFormat, WriteFormat } from "./options.ts"
export {
  type ReencryptInstructionFileOptions,
  reencryptInstructionFile,
} from "./reencrypt-instruction-file.ts"
export {
  type ClosableS3ecKey,
  type S3ecAesKeyOptions,
  type S3ecBucketKeyOptions,
  type S3ecKey,
  type S3ecKmsKeyOptions,
  type S3ecOptions,
  type S3ecRsaKeyOptions,
  type S3ecUnwrapRequest,
  type S3ecWrapRequest,
  type S3ecWrapResult,
  s3ecAesKey,
  s3ecBucketKey,
  s3ecKmsDiscoveryKey,
  s3ecKmsKey,
  s3ecRsaKey,
  sesMail,
  type WrapAlgorithm,
} from "./s3ec/index.ts"
