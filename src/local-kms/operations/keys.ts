import type { Call } from "../call.ts"
import { validation } from "../faults.ts"
import { keyArn } from "../identifiers.ts"
import { DAY_MS, keysPrefix, type LastUse, type RegionalKey } from "../keys.ts"
import { isComplete } from "../materials.ts"
import { readPage } from "../paging.ts"
import { rotateOverdue } from "../rotation.ts"
import * as shape from "../shapes.ts"
import { CreateKey } from "./create-key.ts"
import { isPrimary, keyMetadata } from "./key-metadata.ts"
import { keyOperation, type Operation, operation } from "./operation.ts"
import { ReplicateKey } from "./replicate-key.ts"
import { UpdatePrimaryRegion } from "./update-primary-region.ts"

const MIN_WINDOW_DAYS = 7
const MAX_WINDOW_DAYS = 30
const LIST_KEYS_PAGE = 100

const DescribeKey = keyOperation({
  input: { KeyId: shape.requiredKeyId, GrantTokens: shape.grantTokens },
  readOnly: true,
  allowAlias: true,
  rule: "read",
  handle: (_input, _call, key) => ({ KeyMetadata: keyMetadata(key) }),
})

const ListKeys = operation({
  input: { Limit: shape.limit, Marker: shape.marker },
  readOnly: true,
  handle(input, call) {
    call.authorize("kms:ListKeys")
    const limit = input.Limit ?? LIST_KEYS_PAGE
    const prefix = keysPrefix(call.scope)
    const page = readPage("ListKeys", prefix, limit, input.Marker, (after) => listedKeyIds(call, prefix, limit, after))
    return {
      Keys: page.items.map((keyId) => ({ KeyId: keyId, KeyArn: keyArn(call.scope, keyId) })),
      Truncated: page.nextMarker !== undefined,
      ...(page.nextMarker === undefined ? {} : { NextMarker: page.nextMarker }),
    }
  },
})

function* listedKeyIds(call: Call, prefix: string, limit: number, after: string | undefined) {
  const options = { limit: limit + 1, ...(after === undefined ? {} : { after }) }
  for (const [path] of call.tx.range<RegionalKey>(prefix, options)) yield [path, path.slice(prefix.length)] as const
}

const EnableKey = keyOperation({
  input: { KeyId: shape.requiredKeyId },
  readOnly: false,
  rule: "enable",
  handle(_input, call, key) {
    rotateOverdue(call.keys.saveRegional(key, { state: "Enabled" }), call)
    return {}
  },
})

const DisableKey = keyOperation({
  input: { KeyId: shape.requiredKeyId },
  readOnly: false,
  rule: "enable",
  handle(_input, call, key) {
    call.keys.saveRegional(key, { state: "Disabled" })
    return {}
  },
})

const UpdateKeyDescription = keyOperation({
  input: { KeyId: shape.requiredKeyId, Description: { ...shape.description, required: true } },
  readOnly: false,
  rule: "manage",
  handle({ Description }, call, key) {
    call.keys.saveRegional(key, { description: Description })
    return {}
  },
})

const GetKeyLastUsage = keyOperation({
  input: { KeyId: shape.requiredKeyId },
  readOnly: true,
  rule: "read",
  handle(_input, call, key) {
    const use = call.keys.lastUse(key)
    const created = new Date(key.createdAt)
    return {
      KeyId: key.arn,
      ...(use === undefined ? {} : { KeyLastUsage: keyLastUsage(use) }),
      TrackingStartDate: created,
      KeyCreationDate: created,
    }
  },
})

const keyLastUsage = ({ operation: Operation, at, eventId, requestId }: LastUse) => ({
  Operation,
  Timestamp: new Date(at),
  CloudTrailEventId: eventId,
  KmsRequestId: requestId,
})

const ScheduleKeyDeletion = keyOperation({
  input: { KeyId: shape.requiredKeyId, PendingWindowInDays: { type: "integer", min: 1, max: 365 } },
  readOnly: false,
  rule: "manage",
  handle(input, call, key) {
    const days = input.PendingWindowInDays ?? MAX_WINDOW_DAYS
    if (days < MIN_WINDOW_DAYS || days > MAX_WINDOW_DAYS)
      throw validation(`PendingWindowInDays must be between ${MIN_WINDOW_DAYS} and ${MAX_WINDOW_DAYS}.`)
    // A primary key waits for its replicas; its own waiting period begins when the last one is gone.
    const waits = isPrimary(key) && key.regions!.length > 1
    const change: Partial<RegionalKey> = waits
      ? { state: "PendingReplicaDeletion", pendingWindowInDays: days }
      : { state: "PendingDeletion", deletionAt: call.now + days * DAY_MS }
    call.keys.saveRegional(key, change)
    const deletion = change.deletionAt === undefined ? {} : { DeletionDate: new Date(change.deletionAt) }
    call.notes.response = {
      keyId: key.arn,
      keyState: change.state,
      pendingWindowInDays: days,
      ...(change.deletionAt === undefined ? {} : { deletionDate: new Date(change.deletionAt).toISOString() }),
    }
    return { KeyId: key.arn, ...deletion, KeyState: change.state, PendingWindowInDays: days }
  },
})

const CancelKeyDeletion = keyOperation({
  input: { KeyId: shape.requiredKeyId },
  readOnly: false,
  rule: "cancelDeletion",
  handle(_input, call, key) {
    const state = isComplete(key) ? "Disabled" : "PendingImport"
    call.keys.saveRegional(key, { state, deletionAt: undefined, pendingWindowInDays: undefined })
    return { KeyId: key.arn }
  },
})

export const keys: Record<string, Operation> = {
  CreateKey,
  DescribeKey,
  ListKeys,
  EnableKey,
  DisableKey,
  ScheduleKeyDeletion,
  CancelKeyDeletion,
  UpdateKeyDescription,
  GetKeyLastUsage,
  ReplicateKey,
  UpdatePrimaryRegion,
}
