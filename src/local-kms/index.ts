export type { AccessKeys } from "./access-keys.ts"
export type { AuditEvent } from "./audit.ts"
export type { BillOptions } from "./bill.ts"
export { isLocalCiphertext } from "./ciphertext.ts"
export type { DirectClient } from "./clients.ts"
export type { AccessKey, AccessKeyOptions, NewAccessKey } from "./credentials.ts"
export type { ExplainedRequest, ExplainRequest } from "./explain-request.ts"
export type { KmsServer, ListenOptions, TlsOptions } from "./http/listen.ts"
export { type KeyType, keyTypes } from "./key-types.ts"
export { LocalKms } from "./local-kms.ts"
export type { Usage } from "./meter.ts"
export type {
  CallerOptions,
  ClientOptions,
  InMemoryOptions,
  LocalKmsOptions,
  OpenOptions,
  ServiceClientOptions,
  ServiceHandle,
} from "./options.ts"
export {
  accountUsePolicy,
  administratorsPolicy,
  defaultKeyPolicy,
  describeDecision,
  describeProblem,
  formatPolicy,
  type KeyOwner,
  type LintFinding,
  type LintOptions,
  lint,
  managementPolicy,
  type PolicyDocument,
  parseIdentityPolicy,
  parseKeyPolicy,
  type Replay,
  renderExplanation,
  splitUsePolicy,
  usePolicy,
  usersOnlyPolicy,
} from "./policy/index.ts"
export type {
  PolicyInput,
  PrincipalOptions,
  Principals,
  RegisteredPrincipal,
  RoleOptions,
  UserOptions,
} from "./principals/manage.ts"
export type { Quotas } from "./quotas.ts"
export type { SeedResult } from "./seed/apply.ts"
export type { Seed, SeedAccessKey, SeedKey } from "./seed/read.ts"
export type { Delivery } from "./trail/deliver.ts"
export type { Digest, SignedDigest } from "./trail/digest.ts"
export type { AuditProblem } from "./trail/problems.ts"
export type { EventQuery } from "./trail/query.ts"
export type { EventPage, PageOptions, StreamOptions } from "./trail/search.ts"
export type { DeliveredFile, DeliverySink, DeliverySource } from "./trail/sink.ts"
export { folderSink } from "./trail/sink.ts"
export type { AuditReport, VerifyAuditOptions } from "./trail/verify.ts"
export { type DeliveryProblem, type DeliveryReport, verifyDelivery } from "./trail/verify-delivery.ts"
export { wrapKeyMaterial } from "./wrap-material.ts"
