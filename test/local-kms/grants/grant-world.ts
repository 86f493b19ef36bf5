import type { LocalKmsOptions } from "../../../src/local-kms/index.ts"
import { outcome, Plaintext, role, world } from "../authorization/world.ts"
import type { Send } from "../helpers.ts"

export const APP = role("App")
export const CLERK = role("Clerk")

/** A key of the default policy: whoever is not its account's root has only what a grant gives. */
export async function grantWorld(options: LocalKmsOptions = {}) {
  const here = world(options)
  const { as, owner } = here
  const KeyId = await here.createKey()
  const grant = (input: object = {}, by: Send = owner) =>
    by("CreateGrant", { KeyId, GranteePrincipal: APP, Operations: ["Encrypt"], ...input })
  return { ...here, KeyId, grant, app: as(APP), clerk: as(CLERK) }
}

export type GrantWorld = Awaited<ReturnType<typeof grantWorld>>

/** A ciphertext of the key, made by its owner. */
export const ciphertext = async ({ owner, KeyId }: GrantWorld, EncryptionContext?: object): Promise<Uint8Array> =>
  (await owner("Encrypt", { KeyId, Plaintext, EncryptionContext })).CiphertextBlob

/** How encrypting ends. */
export const encrypts = (send: Send, KeyId: string, EncryptionContext?: object, more: object = {}): Promise<string> =>
  outcome(send("Encrypt", { KeyId, Plaintext, EncryptionContext, ...more }))
