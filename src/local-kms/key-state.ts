import { disabled, invalidState } from "./faults.ts"
import type { Key, KeyState } from "./keys.ts"

/**
 * What an operation does with a key, as far as the key's state matters (KMS developer guide, "Key states of AWS KMS
 * keys"). An operation that no state refuses is `read`.
 */
export type StateRule = "read" | "cryptography" | "manage" | "enable" | "automaticRotation" | "cancelDeletion"

type Refuse = (key: Key) => Error

const isDisabled: Refuse = (key) => disabled(`${key.arn} is disabled.`)
const isPendingImport: Refuse = (key) => invalidState(`${key.arn} is pending import.`)
const isPendingDeletion: Refuse = (key) => invalidState(`${key.arn} is pending deletion.`)
const isPendingReplicaDeletion: Refuse = (key) => invalidState(`${key.arn} is pending replica deletion.`)
const isNotPendingDeletion: Refuse = (key) => invalidState(`${key.arn} is not pending deletion.`)

const deletion = { PendingDeletion: isPendingDeletion, PendingReplicaDeletion: isPendingReplicaDeletion }

const refusals: Record<StateRule, Partial<Record<KeyState, Refuse>>> = {
  read: {},
  cryptography: { Disabled: isDisabled, PendingImport: isPendingImport, ...deletion },
  manage: deletion,
  enable: { PendingImport: isPendingImport, ...deletion },
  // A key that waits for its import cannot be rotated for another reason, which its handler names.
  automaticRotation: { Disabled: isDisabled, ...deletion },
  cancelDeletion: {
    Enabled: isNotPendingDeletion,
    Disabled: isNotPendingDeletion,
    PendingImport: isNotPendingDeletion,
  },
}

/** @throws KmsFault `DisabledException` or `KMSInvalidStateException` */
export function requireState(key: Key, rule: StateRule): void {
  const refuse = refusals[rule][key.state]
  if (refuse !== undefined) throw refuse(key)
}
