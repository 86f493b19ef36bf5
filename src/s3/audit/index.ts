export { type AuditOptions, auditObjects } from "./audit.ts"
export type {
  AuditEntry,
  AuditedFormat,
  AuditedKey,
  AuditedObject,
  AuditedUpload,
  ServerSideEncryption,
} from "./entry.ts"
export { type InspectedObject, type InspectObjectOptions, inspectObject } from "./inspect-object.ts"
export type { InventoryPlace } from "./inventory.ts"
export { type Listed, listObjects, listVersions } from "./listed.ts"
export { look, type Seen } from "./look.ts"
export { type AuditCounter, type AuditSummary, auditCounter } from "./summary.ts"
export { type UnderKeyOptions, underKeyTeller } from "./under-key.ts"
