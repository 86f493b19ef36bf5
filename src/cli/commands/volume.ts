import { readdir, stat } from "node:fs/promises"
import { basename, join } from "node:path"
import {
  type CreateVolumeOptions,
  createVolume,
  inspectVolume,
  type ScrubResult,
  type Volume,
  type VolumeSummary,
} from "../../volume/index.ts"
import { contextOptions } from "../context.ts"
import { CliError, orUsageError } from "../failures.ts"
import { print } from "../fd.ts"
import { jsonWrappedKey } from "../header-json.ts"
import { contextText, wrappedKeysText } from "../header-text.ts"
import { encryptionKeyring } from "../keys.ts"
import { openKms } from "../kms.ts"
import { kmsAddress } from "../kms-address.ts"
import { note } from "../messages.ts"
import type { CommonOptions } from "../options.ts"
import { startProgress } from "../progress.ts"
import { formatBytes, formatExactBytes, formatPairs, printable, toJson } from "../text.ts"
import { type OpenVolumeOptions, openVolume, withKeyArn } from "../volume-session.ts"

interface VolumeCreateOptions extends CommonOptions {
  readonly size: number
  readonly blockSize?: NonNullable<CreateVolumeOptions["blockSize"]>
  readonly key?: string[]
  readonly context?: string[]
}

/** Prints the volume's id. */
export async function volumeCreateCommand(path: string, options: VolumeCreateOptions): Promise<void> {
  const { size, blockSize, json } = options
  const context = contextOptions(options.context)
  const kms = await openKms(kmsAddress(options.kms))
  try {
    const how: CreateVolumeOptions = {
      size,
      ...(blockSize !== undefined && { blockSize }),
      keyring: await encryptionKeyring(kms, options.key),
      ...context,
    }
    const made = await orUsageError(() => createVolume(path, how))
    await print(json ? toJson(made) : `${made.volumeId}\n`)
    note(`made the volume ${path}: ${formatBytes(made.size)} in blocks of ${formatBytes(made.blockSize)}`)
  } finally {
    await kms.close()
  }
}

/** What the header says: no key is needed, and nothing is authenticated. */
export async function volumeInfoCommand(path: string, { json }: { readonly json?: boolean }): Promise<void> {
  const summary = await inspectVolume(path)
  const storedBytes = await spaceOf(path)
  await print(json ? toJson(asJson(summary, storedBytes)) : asText(path, summary, storedBytes))
}

interface VolumeScrubOptions extends OpenVolumeOptions {
  readonly maxRate?: number
}

/** Verifies everything, writes nothing. */
export async function volumeScrubCommand(path: string, options: VolumeScrubOptions): Promise<void> {
  const { maxRate, json } = options
  const result = await withVolume(path, { ...options, readOnly: true }, async (volume) => {
    const progress = startProgress(`scrubbing ${printable(basename(path))}`, undefined, true)
    try {
      return await volume.scrub({
        onProgress: ({ verifiedBytes }) => progress.reach(verifiedBytes),
        ...(maxRate !== undefined && { maxBytesPerSecond: maxRate }),
      })
    } finally {
      progress.end()
    }
  })
  await print(json ? toJson(result) : scrubText(result))
  if (result.damaged.length === 0) return
  const bytes = result.damaged.reduce((sum, { length }) => sum + length, 0)
  const ranges = result.damaged.length === 1 ? "a range" : `${result.damaged.length} ranges`
  throw new CliError("volumeDamaged", `${formatBytes(bytes)} of the volume in ${ranges} are not authentic`, {
    hint: "the rest stays readable: copy it, and take what is damaged from a backup",
  })
}

export async function volumeResizeCommand(
  path: string,
  { size, ...options }: OpenVolumeOptions & { readonly size: number },
): Promise<void> {
  const before = await withVolume(path, options, async (volume) => {
    const { size: present } = volume
    await orUsageError(() => volume.resize(size))
    return present
  })
  if (options.json) await print(toJson({ before, after: size }))
  note(`the volume has ${formatBytes(size)}, ${formatBytes(before)} before`)
}

export async function volumeSettleCommand(path: string, options: OpenVolumeOptions): Promise<void> {
  const before = await spaceOf(path)
  await withVolume(path, options, (volume) => volume.settle())
  const after = await spaceOf(path)
  if (options.json) await print(toJson({ before, after }))
  note(`the volume takes ${formatBytes(after)} on disk, ${formatBytes(before)} before`)
}

// --- internal ---

async function withVolume<T>(
  path: string,
  options: OpenVolumeOptions,
  work: (volume: Volume) => Promise<T>,
): Promise<T> {
  await using volume = await openVolume(path, options)
  return await work(volume)
}

/** Bytes that its files take on the disk; holes take none. */
async function spaceOf(path: string): Promise<number> {
  const names = await readdir(path)
  const sizes = await Promise.all(names.map(async (name) => (await stat(join(path, name))).blocks * 512))
  return sizes.reduce((sum, size) => sum + size, 0)
}

const asJson = ({ wrappedKeys, ...summary }: VolumeSummary, storedBytes: number): object => ({
  authenticated: false,
  ...summary,
  storedBytes,
  wrappedKeys: wrappedKeys.map((key) => jsonWrappedKey(withKeyArn(key))),
})

function asText(path: string, summary: VolumeSummary, storedBytes: number): string {
  const { volumeId, size, blockSize, clean, generation, encryptionContext, wrappedKeys } = summary
  const state = generation === 0 ? "never attached" : clean ? "detached" : "attached, or not detached: then recovered"
  return [
    `encrypted volume ${printable(path)}; nothing shown here is authenticated\n`,
    formatPairs([
      ["volume id", volumeId],
      ["size", formatExactBytes(size)],
      ["block size", formatBytes(blockSize)],
      ["on disk", formatBytes(storedBytes)],
      ["state", state],
      ["generation", `${generation}`],
    ]),
    contextText(encryptionContext),
    wrappedKeysText(wrappedKeys.map(withKeyArn)),
  ].join("")
}

function scrubText({ verifiedBytes, damaged }: ScrubResult): string {
  if (damaged.length === 0) return `verified ${formatExactBytes(verifiedBytes)}: all of it is authentic\n`
  return damaged.map(({ offset, length }) => `damaged: bytes ${offset} to ${offset + length - 1}\n`).join("")
}
