import type { AuditedFormat } from "../audit/index.ts"

/**
 * What became of an object:
 *
 * - `encrypted`: it was plaintext and is encrypted now;
 * - `rewrapped`: its data key is wrapped by the new key, its bytes are as they were;
 * - `reencrypted`: it was read and written under a new data key;
 * - `skipped`: nothing had to be done; `reason` says why;
 * - `noncurrent`: an older version, which stays as it is: only a lifecycle rule or a delete removes it;
 * - `changed`: somebody else wrote it meanwhile, twice; what they wrote is there;
 * - `failed`: `error` says why.
 */
export type MigrationAction =
  | "encrypted"
  | "rewrapped"
  | "reencrypted"
  | "skipped"
  | "noncurrent"
  | "changed"
  | "failed"

export interface MigratedObject {
  readonly bucket: string
  readonly key: string
  /** Of a noncurrent version. */
  readonly versionId?: string
  readonly action: MigrationAction
  /** Bytes as they were stored before. */
  readonly size: number
  readonly format?: AuditedFormat
  readonly reason?: string
  readonly error?: Error
  /** The bucket keeps versions, so that the object as it was is a noncurrent version now. */
  readonly leftVersionId?: string
  /** Nothing was written: this is what would have been done. */
  readonly dryRun?: true
}

export interface MigrationSummary {
  readonly objects: Readonly<Record<MigrationAction, number>>
  /** Bytes, as stored before, of what was written anew. */
  readonly size: number
  /** Noncurrent versions, those included that the migration itself left. */
  readonly noncurrent: number
}

export interface MigrationCounter {
  add(object: MigratedObject): void
  summary(): MigrationSummary
}

/** Adds up what a migration yields. */
export function migrationCounter(): MigrationCounter {
  const objects: Record<MigrationAction, number> = {
    encrypted: 0,
    rewrapped: 0,
    reencrypted: 0,
    skipped: 0,
    noncurrent: 0,
    changed: 0,
    failed: 0,
  }
  let size = 0
  let left = 0
  return {
    add(object) {
      objects[object.action]++
      if (["encrypted", "rewrapped", "reencrypted"].includes(object.action)) size += object.size
      if (object.leftVersionId !== undefined) left++
    },
    summary: () => ({ objects: { ...objects }, size, noncurrent: objects.noncurrent + left }),
  }
}
