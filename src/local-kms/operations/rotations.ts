import type { Call } from "../call.ts"
import { conflict, invalidState, limitExceeded, unsupported } from "../faults.ts"
import { DAY_MS, type Key, type KeyMaterial } from "../keys.ts"
import { generateMaterial, pendingMaterial } from "../materials.ts"
import { pageOutput, readListPage } from "../paging.ts"
import { MAX_ON_DEMAND_ROTATIONS, rotationEvents, withCurrent } from "../rotation.ts"
import * as shape from "../shapes.ts"
import { materialState } from "./imports.ts"
import { expirationOf, isPrimary } from "./key-metadata.ts"
import { keyOperation, type Operation, type Output } from "./operation.ts"

const DEFAULT_PERIOD_DAYS = 365
const LIST_ROTATIONS_PAGE = 100
/** So near an automatic rotation AWS refuses one on demand. */
const CONFLICT_MS = 20 * 60_000

/** @throws KmsFault `UnsupportedOperationException` that says why this key does not rotate by itself */
function requireAutomaticRotation(key: Key): void {
  if (key.origin === "EXTERNAL")
    throw unsupported(`${key.arn} origin is EXTERNAL which is not valid for this operation.`)
  if (key.keySpec !== "SYMMETRIC_DEFAULT")
    throw unsupported(`${key.arn} key spec is ${key.keySpec}, which has no rotation.`)
  requirePrimary(key)
}

function requirePrimary(key: Key): void {
  if (key.regions !== undefined && !isPrimary(key))
    throw unsupported(`${key.arn} is not a multi-region primary key: its replicas rotate with the primary.`)
}

const EnableKeyRotation = keyOperation({
  input: { KeyId: shape.requiredKeyId, RotationPeriodInDays: { type: "integer", min: 90, max: 2560 } },
  readOnly: false,
  rule: "automaticRotation",
  handle({ RotationPeriodInDays: periodInDays = DEFAULT_PERIOD_DAYS }, call, key) {
    requireAutomaticRotation(key)
    call.keys.saveShared(key, { rotation: { periodInDays, nextAt: call.now + periodInDays * DAY_MS } })
    return {}
  },
})

const DisableKeyRotation = keyOperation({
  input: { KeyId: shape.requiredKeyId },
  readOnly: false,
  rule: "automaticRotation",
  handle(_input, call, key) {
    requireAutomaticRotation(key)
    call.keys.saveShared(key, { rotation: undefined })
    return {}
  },
})

const GetKeyRotationStatus = keyOperation({
  input: { KeyId: shape.requiredKeyId },
  readOnly: true,
  rule: "read",
  handle(_input, _call, key) {
    if (key.origin === "EXTERNAL")
      throw unsupported(`${key.arn} origin is EXTERNAL which is not valid for this operation.`)
    const { rotation } = key
    // A key that waits for its deletion does not rotate; when that is cancelled, it does again.
    if (rotation === undefined || key.deletionAt !== undefined || key.state === "PendingReplicaDeletion")
      return { KeyRotationEnabled: false, KeyId: key.arn }
    return {
      KeyRotationEnabled: true,
      KeyId: key.arn,
      RotationPeriodInDays: rotation.periodInDays,
      NextRotationDate: new Date(rotation.nextAt),
    }
  },
})

const RotateKeyOnDemand = keyOperation({
  input: { KeyId: shape.requiredKeyId },
  readOnly: false,
  rule: "cryptography",
  handle(_input, call, key) {
    // AWS sends no text.
    if (key.keySpec !== "SYMMETRIC_DEFAULT") throw unsupported("")
    requirePrimary(key)
    const done = key.materials.filter(({ rotation }) => rotation?.type === "ON_DEMAND").length
    if (done >= MAX_ON_DEMAND_ROTATIONS)
      throw limitExceeded(
        "The on-demand rotations limit has been reached for the given keyId. " +
          `No more on-demand rotations can be performed for this key: ${key.arn}`,
      )
    if (key.rotation !== undefined && key.rotation.nextAt - call.now <= CONFLICT_MS)
      throw conflict(`An automatic rotation of ${key.arn} begins within 20 minutes.`)
    const fresh = nextMaterial(call, key)
    call.notes.after.push(...rotationEvents(key, fresh, "ON_DEMAND", call.now))
    call.keys.saveShared(key, { materials: withCurrent(key.materials, fresh, "ON_DEMAND", call.now) })
    return { KeyId: key.arn }
  },
})

function nextMaterial(call: Call, key: Key): KeyMaterial {
  if (key.origin === "AWS_KMS") return generateMaterial(call.vault, key, call.now)
  const pending = pendingMaterial(key)
  if (pending === undefined) throw invalidState(`No available key material pending rotation for the key: ${key.arn}.`)
  if (materialState(call, key, pending) !== "PENDING_ROTATION")
    throw invalidState(`Key material ${pending.id} has not been imported into all replicas of ${key.arn}.`)
  return pending
}

const ListKeyRotations = keyOperation({
  input: {
    KeyId: shape.requiredKeyId,
    IncludeKeyMaterial: { type: "string", values: ["ALL_KEY_MATERIAL", "ROTATIONS_ONLY"] },
    Limit: shape.limit,
    Marker: shape.marker,
  },
  readOnly: true,
  rule: "read",
  handle({ IncludeKeyMaterial, Limit = LIST_ROTATIONS_PAGE, Marker }, call, key) {
    if (key.keySpec !== "SYMMETRIC_DEFAULT")
      throw unsupported(`${key.arn} key spec is ${key.keySpec}, which has no rotation.`)
    const shown = key.materials
      .map((material, index) => [String(index).padStart(6, "0"), material] as const)
      .filter(([, { rotation }]) => rotation !== undefined || IncludeKeyMaterial === "ALL_KEY_MATERIAL")
    const page = readListPage("ListKeyRotations", shown, Limit, Marker)
    return pageOutput("Rotations", { ...page, items: page.items.map((material) => rotationEntry(call, key, material)) })
  },
})

function rotationEntry(call: Call, key: Key, material: KeyMaterial): Output {
  const { id, rotation, description } = material
  return {
    KeyId: key.arn,
    KeyMaterialId: id,
    KeyMaterialState: materialState(call, key, material),
    ...(description === undefined ? {} : { KeyMaterialDescription: description }),
    ...(key.origin === "EXTERNAL" ? importEntry(key, id) : {}),
    ...(rotation === undefined ? {} : { RotationDate: new Date(rotation.at), RotationType: rotation.type }),
  }
}

function importEntry(key: Key, materialId: string): Output {
  const imported = key.imported?.[materialId]
  return imported === undefined
    ? { ImportState: "PENDING_IMPORT" }
    : { ImportState: "IMPORTED", ...expirationOf(imported) }
}

export const rotations: Record<string, Operation> = {
  EnableKeyRotation,
  DisableKeyRotation,
  GetKeyRotationStatus,
  RotateKeyOnDemand,
  ListKeyRotations,
}
