export type { AuditEvent } from "./audit.ts"
export { isLocalCiphertext } from "./ciphertext.ts"
export type { DirectClient } from "./clients.ts"
export {
  type CallerOptions,
  type ClientOptions,
  type InMemoryOptions,
  LocalKms,
  type LocalKmsOptions,
  type OpenOptions,
} from "./local-kms.ts"
export type { Usage } from "./meter.ts"
export type { EventQuery } from "./trail/query.ts"
