import { subscribe, tracingChannel } from "node:diagnostics_channel"
import { EnvelopeError, fromUtf8, type WrappedKey } from "../core/index.ts"
import type { MessageWrappedKey } from "../message/index.ts"
import { attachVolume, fileAnchor, inspectVolume, type Volume, type VolumeEvent } from "../volume/index.ts"
import { CliError } from "./failures.ts"
import { readingKeyring } from "./keys.ts"
import { openKms } from "./kms.ts"
import { kmsAddress } from "./kms-address.ts"
import { complain, note } from "./messages.ts"
import type { CommonOptions } from "./options.ts"
import { checkProvenance } from "./provenance.ts"

/** What every command takes that attaches a volume. */
export interface OpenVolumeOptions extends CommonOptions {
  readonly key?: string[]
  readonly account?: string[]
  readonly anchor?: string
  readonly advanceAnchor?: "checkpoint" | "flush"
  readonly readOnly?: boolean
}

/**
 * Attaches a volume with one request to the KMS, which is closed again: the volume has its key. What recovery finds is told.
 *
 * @throws CliError, EnvelopeError
 */
export async function openVolume(path: string, options: OpenVolumeOptions): Promise<Volume> {
  const address = kmsAddress(options.kms)
  const wrappedKeys = (await inspectVolume(path)).wrappedKeys.map(withKeyArn)
  checkProvenance({ wrappedKeys }, address, "--kms", "volume")
  subscribe("kms-envelope:volume", (event) => tell(event as VolumeEvent))
  const kms = await openKms(address)
  try {
    const arns = wrappedKeys.flatMap(({ keyArn }) => keyArn ?? [])
    const { anchor, advanceAnchor, readOnly } = options
    return await attachVolume(path, {
      keyring: await readingKeyring(kms, arns, options),
      ...(anchor !== undefined && { anchor: fileAnchor(anchor) }),
      ...(advanceAnchor !== undefined && { advanceAnchor }),
      ...(readOnly !== undefined && { readOnly }),
    })
  } catch (error) {
    throw isNoMatchingKey(error) ? noKeyOf(path, error) : error
  } finally {
    await kms.close()
  }
}

/** What a volume's header says of its wrapped keys, as of a message's. */
export function withKeyArn(key: WrappedKey): MessageWrappedKey {
  const keyArn = key.providerId === "aws-kms" ? fromUtf8(key.providerInfo) : undefined
  return keyArn === undefined ? key : { ...key, keyArn }
}

/** Requests that keyrings sent to a KMS from now on, counted. */
export function countKmsCalls(): { readonly count: number } {
  const calls = { count: 0 }
  tracingChannel("kms-envelope:kms").start.subscribe(() => {
    calls.count++
  })
  return calls
}

// --- internal ---

function tell({ event, firstSequence, lastSequence, durableSequence, error }: VolumeEvent): void {
  if (event === "recovered") {
    const records = `records ${firstSequence} to ${lastSequence} of its log, durable up to ${durableSequence}`
    note(`the volume was not detached: recovered by ${records}`)
  }
  if (event === "older-header") {
    complain("one of the volume's two headers is damaged: the volume may be older than it was", undefined)
  }
  if (event === "failed") {
    const why = error instanceof Error ? `: ${error.message}` : ""
    complain(`the volume takes no more writes${why}`, "see to the disk, then end this command and attach it again")
  }
}

const isNoMatchingKey = (error: unknown): error is EnvelopeError =>
  error instanceof EnvelopeError && error.code === "NoMatchingKey"

const noKeyOf = (path: string, cause: EnvelopeError): CliError =>
  new CliError("noMatchingKey", cause.message, {
    hint: `envelope volume info ${path} shows which keys the volume needs`,
    cause,
  })
