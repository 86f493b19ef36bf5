import type { AuditEvent } from "./audit.ts"
import type { StoreReader, StoreTransaction } from "./store/store.ts"

/** KMS-3.10: the life of a customer managed key, as far as it costs money; it outlasts the key. Times are milliseconds since 1970. */
export interface KeyLifeRecord {
  readonly keySpec: string
  readonly createdAt: number
  /** Since when its deletion is scheduled. */
  readonly pendingSince?: number
  readonly rotations: readonly number[]
}

const LIVES = "life/"

type Change = (life: KeyLifeRecord, at: number) => KeyLifeRecord

const changes: Readonly<Record<string, Change>> = {
  ScheduleKeyDeletion: (life, at) => ({ ...life, pendingSince: at }),
  CancelKeyDeletion: ({ pendingSince: _, ...life }) => life,
  RotateKey: (life, at) => ({ ...life, rotations: [...life.rotations, at] }),
  SynchronizeMultiRegionKey: (life, at) => ({ ...life, rotations: [...life.rotations, at] }),
}

/** Where an event that made a key describes it. */
const births: Readonly<Record<string, string>> = { CreateKey: "keyMetadata", ReplicateKey: "replicaKeyMetadata" }

/** Keeps the record of a key's life up to date with what the trail says about it. */
export function noteLife(tx: StoreTransaction, event: AuditEvent): void {
  const { eventName, errorCode, responseElements, resources = [] } = event
  if (errorCode !== undefined) return
  const at = Date.parse(event.eventTime)
  const metadata = responseElements?.[births[eventName] ?? ""]
  if (metadata !== undefined) {
    const { arn, keySpec } = metadata as { readonly arn: string; readonly keySpec: string }
    tx.put(LIVES + arn, { keySpec, createdAt: at, rotations: [] } satisfies KeyLifeRecord)
    return
  }
  const change = changes[eventName]
  const arn = resources.find(({ type }) => type === "AWS::KMS::Key")?.ARN
  const life = change === undefined || arn === undefined ? undefined : tx.get<KeyLifeRecord>(LIVES + arn)
  if (life !== undefined) tx.put(LIVES + arn!, change!(life, at))
}

export function* readLives(reader: StoreReader): Generator<readonly [keyArn: string, life: KeyLifeRecord]> {
  for (const [key, life] of reader.range<KeyLifeRecord>(LIVES)) yield [key.slice(LIVES.length), life]
}
