import { readdir } from "node:fs/promises"
import type { LocalKms, LocalKmsOptions } from "../local-kms/index.ts"
import { CliError, orUsageError, usageError } from "./failures.ts"
import { kmsAddress } from "./kms-address.ts"
import { note, noteMore } from "./messages.ts"
import { isMissingPackage, missingPackage } from "./packages.ts"

export interface OpenStoreOptions extends LocalKmsOptions {
  /** Make the embedded KMS where there is none yet. */
  readonly create?: boolean
}

/**
 * Opens the embedded KMS in a folder, under what the environment says of its root key.
 *
 * @throws CliError `noMatchingKey` where there is none yet, `kmsUnreachable` without the package it takes
 * @throws EnvelopeError `KmsStore`
 */
export async function openStore(dir: string, { create = false, ...options }: OpenStoreOptions = {}): Promise<LocalKms> {
  const isNew = !(await isMade(dir))
  if (isNew && !create) {
    throw new CliError("noMatchingKey", `there is no embedded KMS in ${dir} yet`, {
      hint: "make it and a key: envelope key create --alias default",
    })
  }
  const { LocalKms } = await import("../local-kms/index.ts")
  const { ENVELOPE_KMS_PASSPHRASE: passphrase, ENVELOPE_KMS_ROOT_KEY: rootKeyFile } = process.env
  const rootKey = { ...(passphrase && { passphrase }), ...(rootKeyFile && { rootKeyFile }) }
  const kms = await orUsageError(() => LocalKms.open(dir, { ...options, ...rootKey })).catch((error: unknown) => {
    throw isMissingPackage(error) ? missingPackage("an embedded KMS", "lmdb", error) : error
  })
  if (isNew) introduce(dir, passphrase, rootKeyFile)
  return kms
}

/** For commands that run the embedded KMS rather than call one. @throws CliError `usage` for another KMS */
export function storeFolder(option: string | undefined): string {
  const address = kmsAddress(option)
  if (address.kind === "local") return address.dir
  throw usageError("this is done where the embedded KMS's folder is", "--kms takes local or local:DIR here")
}

/** The same, opened for the time of some work. */
export async function withStore(
  option: string | undefined,
  options: OpenStoreOptions,
  work: (kms: LocalKms) => Promise<void>,
): Promise<void> {
  const kms = await openStore(storeFolder(option), options)
  try {
    await work(kms)
  } finally {
    await kms.close()
  }
}

/** What a caller got wrong is the user's here. */
export function asMistake(error: unknown): never {
  if (error instanceof TypeError || error instanceof RangeError) throw new CliError("usage", error.message)
  throw error
}

// --- internal ---

/** Whether an embedded KMS has been made in a folder. */
async function isMade(dir: string): Promise<boolean> {
  const names = await readdir(dir).catch(() => [])
  return names.length > 0
}

function introduce(dir: string, passphrase: string | undefined, rootKeyFile: string | undefined): void {
  const rootKey = rootKeyFile || `${dir}/root.key`
  note(`made your embedded KMS in ${dir}`)
  noteMore(
    passphrase
      ? "its keys are encrypted under your passphrase: it is needed every time, and nobody can recover it"
      : `its keys are encrypted under the root key in ${rootKey}: whoever has both can decrypt`,
    ...(passphrase
      ? []
      : ["without either nothing can be decrypted again: keep a copy of the root key elsewhere, and"]),
    "back the KMS up, also while it is in use: envelope kms backup FOLDER",
  )
}
