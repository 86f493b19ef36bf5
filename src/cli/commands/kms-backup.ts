import { withStore } from "../local-store.ts"
import { note, noteMore } from "../messages.ts"
import type { CommonOptions } from "../options.ts"

/** Copies the embedded KMS while other commands and a server use it. */
export async function kmsBackupCommand(folder: string, { kms }: CommonOptions): Promise<void> {
  await withStore(kms, {}, async (opened) => {
    await opened.backup(folder)
    note(`${folder} holds the embedded KMS as it is now, without its root key file, if it has one`)
    noteMore(`to use it: ENVELOPE_KMS=local:${folder}, with ENVELOPE_KMS_ROOT_KEY or ENVELOPE_KMS_PASSPHRASE`)
  })
}
