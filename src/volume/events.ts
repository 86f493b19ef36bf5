import { channel } from "node:diagnostics_channel"

const volumeChannel = channel("kms-envelope:volume")

/** What a subscriber of `kms-envelope:volume` sees. No payload holds a key or plaintext. */
export interface VolumeEvent {
  /**
   * `attached`, `attach-failed`, `detached`, `recovered` (it was not detached; with `firstSequence`, `lastSequence` and
   * `durableSequence`), `older-header` (one of two headers is damaged: the volume may be older than it was),
   * `tampered` (a block or node that does not verify), `failed` (no more writes until it is attached again),
   * `new-epoch`, `checkpoint`.
   */
  readonly event: string
  /** `vol-` and 32 hexadecimal digits; absent where the header could not be read. */
  readonly volumeId?: string
  readonly firstSequence?: number
  readonly lastSequence?: number
  readonly durableSequence?: number
  readonly generation?: number
  /** Of a tampered block. */
  readonly block?: number
  readonly error?: unknown
}

export function publish(event: VolumeEvent): void {
  if (volumeChannel.hasSubscribers) volumeChannel.publish(event)
}
