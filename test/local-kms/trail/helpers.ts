import { type AuditEvent, requestEvent } from "../../../src/local-kms/audit.ts"
import { parsePrincipal } from "../../../src/local-kms/principal.ts"
import { memoryStore } from "../../../src/local-kms/store/memory.ts"
import type { Store } from "../../../src/local-kms/store/store.ts"
import { appendEvent, type Trail } from "../../../src/local-kms/trail/append.ts"
import { signingKey } from "../../../src/local-kms/trail/digest.ts"
import { type EventRecord, eventKey } from "../../../src/local-kms/trail/records.ts"
import { temporaryVault, type Vault } from "../../../src/local-kms/vault.ts"
import { ACCOUNT, REGION } from "../helpers.ts"

const SIGNING_KEY = "audit/signing-key"
export const NOW = Date.UTC(2026, 4, 20, 20, 45)
export const STORE_ID = "6f1c9f3a-0000-4000-8000-000000000001"

export interface TestTrail extends Trail {
  readonly store: Store
  readonly vault: Vault
}

export function emptyTrail(keepEvents = Number.POSITIVE_INFINITY): TestTrail {
  return { store: memoryStore(), vault: temporaryVault(), keepEvents }
}

export interface EventOptions {
  readonly operation?: string
  readonly principal?: string
  readonly accountId?: string
  readonly region?: string
  readonly at?: number
  readonly parameters?: Record<string, unknown>
  readonly keyArn?: string
}

const keyArn = `arn:aws:kms:${REGION}:${ACCOUNT}:key/00000000-0000-4000-8000-000000000000`

export function makeEvent(options: EventOptions = {}): AuditEvent {
  const { operation = "Decrypt", accountId = ACCOUNT, region = REGION, at = NOW, parameters = {} } = options
  const arn = options.keyArn ?? keyArn
  return requestEvent({
    operation,
    readOnly: true,
    principal: parsePrincipal(options.principal ?? `arn:aws:iam::${accountId}:user/Alice`),
    scope: { partition: "aws", region, accountId },
    now: at,
    requestId: "r",
    sourceIpAddress: "127.0.0.1",
    userAgent: "test",
    parameters,
    notes: {
      resources: [{ accountId, type: "AWS::KMS::Key", ARN: arn }],
      additional: {},
      response: null,
      before: [],
      after: [],
    },
  })
}

/** A trail of `count` events, one a second. */
export async function trailOf(count: number, keepEvents?: number): Promise<TestTrail> {
  const trail = emptyTrail(keepEvents)
  await append(
    trail,
    Array.from({ length: count }, (_, i) => makeEvent({ at: NOW + i * 1000 })),
  )
  return trail
}

const sharedVault = temporaryVault()
let sharedKey: object | undefined

/** The same with a signing key that tests share, because making one takes long. */
export async function signingTrailOf(count: number): Promise<TestTrail> {
  const trail = { ...emptyTrail(), vault: sharedVault }
  if (sharedKey === undefined) {
    await signingKey(trail.store, trail.vault)
    sharedKey = trail.store.read((reader) => reader.get(SIGNING_KEY))!
  } else await trail.store.transaction((tx) => tx.put(SIGNING_KEY, sharedKey!))
  await append(
    trail,
    Array.from({ length: count }, (_, i) => makeEvent({ at: NOW + i * 1000 })),
  )
  return trail
}

export const append = (trail: TestTrail, events: readonly AuditEvent[]): Promise<void> =>
  trail.store.transaction((tx) => {
    for (const event of events) appendEvent(tx, event, trail)
  })

export const recordAt = ({ store }: TestTrail, n: number): EventRecord =>
  store.read((reader) => reader.get<EventRecord>(eventKey(n))!)
