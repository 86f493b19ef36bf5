export { type EncryptObjectsOptions, encryptObjects } from "./encrypt.ts"
export {
  type MigratedObject,
  type MigrationAction,
  type MigrationCounter,
  type MigrationSummary,
  migrationCounter,
} from "./outcome.ts"
export { type RewrapObjectsOptions, rewrapObjects } from "./rewrap.ts"
export type { MigrationOptions } from "./run.ts"
