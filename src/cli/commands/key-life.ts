import { print } from "../fd.ts"
import { keyArn } from "../keys.ts"
import type { Kms } from "../kms.ts"
import { note } from "../messages.ts"
import type { CommonOptions } from "../options.ts"
import { formatTable, toJson } from "../text.ts"
import { allPages, withKms } from "./requests.ts"

export interface RotateOptions extends CommonOptions {
  readonly every?: number
  readonly never?: boolean
}

export interface DeleteOptions extends CommonOptions {
  readonly days?: number
}

interface RotationStatus {
  readonly KeyRotationEnabled: boolean
  readonly RotationPeriodInDays?: number
  readonly NextRotationDate?: Date
}

interface Rotation {
  readonly KeyMaterialId: string
  readonly KeyMaterialState: string
  readonly ImportState?: string
  readonly ValidTo?: Date
  readonly RotationDate?: Date
  readonly RotationType?: string
}

/** With a KMS and a key's ARN, whatever the key was given by. */
const withKey = (key: string, options: CommonOptions, work: (kms: Kms, arn: string) => Promise<void>): Promise<void> =>
  withKms(options, {}, async (kms) => work(kms, await keyArn(kms, key)))

export const keyRotateCommand = (key: string, options: RotateOptions): Promise<void> =>
  withKey(key, options, async (kms, arn) => {
    const { every, never, json } = options
    if (every === undefined && !never) return rotateNow(kms, arn, json)
    if (every === undefined) await kms.send("DisableKeyRotation", { KeyId: arn })
    else await kms.send("EnableKeyRotation", { KeyId: arn, RotationPeriodInDays: every })
    const status = await rotationStatus(kms, arn)
    if (json) return print(toJson({ keyArn: arn, ...statusJson(status) }))
    note(`${arn}: automatic rotation ${describeStatus(status)}`)
  })

async function rotateNow(kms: Kms, arn: string, json: boolean | undefined): Promise<void> {
  await kms.send("RotateKeyOnDemand", { KeyId: arn })
  const { KeyMetadata } = await kms.send<{ KeyMetadata: { CurrentKeyMaterialId?: string } }>("DescribeKey", {
    KeyId: arn,
  })
  const { CurrentKeyMaterialId: keyMaterialId } = KeyMetadata
  if (json) return print(toJson({ keyArn: arn, keyMaterialId }))
  note(`${arn} encrypts with new key material from now on; what it encrypted before decrypts as before`)
}

export const keyRotationsCommand = (key: string, options: CommonOptions): Promise<void> =>
  withKey(key, options, async (kms, arn) => {
    const status = await rotationStatus(kms, arn)
    const input = { KeyId: arn, IncludeKeyMaterial: "ALL_KEY_MATERIAL" }
    const rotations = await allPages<Rotation>(kms, "ListKeyRotations", "Rotations", input)
    if (options.json) {
      return print(toJson({ keyArn: arn, ...statusJson(status), keyMaterials: rotations.map(rotationJson) }))
    }
    const rows = rotations.map((rotation) => [
      rotation.RotationDate?.toISOString().slice(0, 10) ?? "-",
      rotation.RotationType ?? "-",
      rotation.ImportState === "PENDING_IMPORT" ? `${rotation.KeyMaterialState}, not there` : rotation.KeyMaterialState,
      rotation.KeyMaterialId,
    ])
    return print(
      `automatic rotation ${describeStatus(status)}\n${formatTable(["ROTATED", "HOW", "STATE", "KEY MATERIAL"], rows)}`,
    )
  })

/** `undefined`: the key cannot rotate automatically, and KMS says why. */
async function rotationStatus(kms: Kms, arn: string): Promise<RotationStatus | { readonly reason: string }> {
  try {
    return await kms.send<RotationStatus>("GetKeyRotationStatus", { KeyId: arn })
  } catch (error) {
    if ((error as Error).name !== "UnsupportedOperationException") throw error
    return { reason: (error as Error).message }
  }
}

function describeStatus(status: RotationStatus | { readonly reason: string }): string {
  if ("reason" in status) return `is not possible: ${status.reason}`
  if (!status.KeyRotationEnabled) return "is off"
  const next = status.NextRotationDate?.toISOString().slice(0, 10)
  return `every ${status.RotationPeriodInDays ?? 365} days${next === undefined ? "" : `, next on ${next}`}`
}

const statusJson = (status: RotationStatus | { readonly reason: string }) =>
  "reason" in status
    ? { automaticRotation: false, reason: status.reason }
    : {
        automaticRotation: status.KeyRotationEnabled,
        periodInDays: status.RotationPeriodInDays,
        nextRotation: status.NextRotationDate?.toISOString(),
      }

const rotationJson = (rotation: Rotation) => ({
  keyMaterialId: rotation.KeyMaterialId,
  state: rotation.KeyMaterialState,
  rotated: rotation.RotationDate?.toISOString(),
  how: rotation.RotationType,
  importState: rotation.ImportState,
  expires: rotation.ValidTo?.toISOString(),
})

export const keyDeleteCommand = (key: string, options: DeleteOptions): Promise<void> =>
  withKey(key, options, async (kms, arn) => {
    const { days, json } = options
    const scheduled = await kms.send<{ DeletionDate?: Date; KeyState?: string }>("ScheduleKeyDeletion", {
      KeyId: arn,
      ...(days !== undefined && { PendingWindowInDays: days }),
    })
    const deletionDate = scheduled.DeletionDate?.toISOString()
    if (json) return print(toJson({ keyArn: arn, state: scheduled.KeyState, deletionDate }))
    const when = deletionDate === undefined ? "after its replicas" : `on ${deletionDate.slice(0, 10)}`
    note(`${arn} will be deleted ${when}, and nothing encrypted under it can be decrypted then`)
    note(`until then this takes it back: envelope key cancel-deletion ${arn}`)
  })

export const keyCancelDeletionCommand = (key: string, options: CommonOptions): Promise<void> =>
  withKey(key, options, async (kms, arn) => {
    await kms.send("CancelKeyDeletion", { KeyId: arn })
    if (options.json) return print(toJson({ keyArn: arn, enabled: false }))
    note(`${arn} stays; it is disabled until envelope key enable`)
  })
