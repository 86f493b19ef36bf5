import { serviceEvent } from "./audit.ts"
import type { Call } from "./call.ts"
import { keyArn, type Scope } from "./identifiers.ts"
import { DAY_MS, type Key, type KeyMaterial } from "./keys.ts"
import { currentMaterial, generateMaterial } from "./materials.ts"

export type RotationType = "AUTOMATIC" | "ON_DEMAND"
type Rotating = Pick<Call, "keys" | "vault" | "now" | "notes">

/** AWS's quota of on-demand rotations for a key, which nobody can raise. */
export const MAX_ON_DEMAND_ROTATIONS = 25

/** `fresh` becomes the material that encrypts; what encrypted before stays for decrypting. */
export const withCurrent = (
  materials: readonly KeyMaterial[],
  fresh: KeyMaterial,
  type: RotationType,
  at: number,
): readonly KeyMaterial[] => [
  ...materials
    .filter(({ id }) => id !== fresh.id)
    .map((material) => (material.state === "CURRENT" ? { ...material, state: "NON_CURRENT" as const } : material)),
  { ...fresh, state: "CURRENT", rotation: { type, at } },
]

/**
 * KMS-2.2: carries out the automatic rotations whose dates have passed. Nobody could have told the difference had they
 * been carried out on those dates: the key was not used in between.
 */
export function rotateWhenDue(key: Key, call: Rotating): Key {
  if (key.rotation === undefined || key.rotation.nextAt > call.now || !mayRotate(key, call)) return key
  const { periodInDays } = key.rotation
  let { nextAt } = key.rotation
  let rotated = key
  for (; nextAt <= call.now; nextAt += periodInDays * DAY_MS) rotated = addRotation(rotated, nextAt, call)
  return call.keys.saveShared(key, { materials: rotated.materials, rotation: { periodInDays, nextAt } })
}

/** A key that missed a rotation while it was disabled makes up for it once; its period begins anew. */
export function rotateOverdue(key: Key, call: Rotating): Key {
  if (key.rotation === undefined || key.rotation.nextAt > call.now || !isPrimaryCopy(key)) return key
  const { periodInDays } = key.rotation
  const { materials } = addRotation(key, call.now, call)
  return call.keys.saveShared(key, { materials, rotation: { periodInDays, nextAt: call.now + periodInDays * DAY_MS } })
}

/** Rotation follows the primary key's state. */
function mayRotate(key: Key, { keys }: Rotating): boolean {
  const region = key.regions?.[0] ?? key.scope.region
  const primary = region === key.scope.region ? key : keys.load({ ...key.scope, region }, key.keyId)
  return primary?.state === "Enabled"
}

const isPrimaryCopy = (key: Key): boolean => key.regions === undefined || key.regions[0] === key.scope.region

function addRotation(key: Key, at: number, call: Rotating): Key {
  const fresh = generateMaterial(call.vault, key, at)
  call.notes.before.push(...rotationEvents(key, fresh, "AUTOMATIC", call.now))
  return { ...key, materials: withCurrent(key.materials, fresh, "AUTOMATIC", at) }
}

/** What the KMS records of a rotation: RotateKey for the key, and for each replica that it took over the new material. */
export function rotationEvents(key: Key, fresh: KeyMaterial, rotationType: RotationType, now: number) {
  const [primary = key.scope.region, ...replicas] = key.regions ?? []
  const inRegion = (region: string): Scope => ({ ...key.scope, region })
  const arnIn = (region: string): string => keyArn(inRegion(region), key.keyId)
  return [
    serviceEvent("RotateKey", now, inRegion(primary), arnIn(primary), {
      rotationType,
      keyId: arnIn(primary),
      previousKeyMaterialId: currentMaterial(key)!.id,
      currentKeyMaterialId: fresh.id,
    }),
    ...replicas.map((region) =>
      serviceEvent("SynchronizeMultiRegionKey", now, inRegion(region), arnIn(region), { keyId: arnIn(region) }),
    ),
  ]
}
