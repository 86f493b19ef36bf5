import { EnvelopeError } from "../core/index.ts"
import { type Changes, changesOf } from "./changes.ts"
import { type Core, checkWritable, fail } from "./core.ts"
import { type Durability, durability } from "./durability.ts"
import { publish } from "./events.ts"
import { type Exclusion, exclusion } from "./exclusion.ts"
import { geometryOf, parseVolumeSize, volumeName } from "./geometry.ts"
import { type VolumeInfo, volumeInfo } from "./info.ts"
import type { VolumeLock } from "./lock.ts"
import { type Reader, volumeReader } from "./reader.ts"
import { bufferPool } from "./scratch.ts"
import { type ScrubOptions, type ScrubResult, scrubCore } from "./scrub.ts"
import { beginSession, checkpointAlone, homeWriter, newEpoch, upkeep } from "./session.ts"
import { type SettleResult, settleCore } from "./settle.ts"
import { blockStatus, type VolumeExtent } from "./status.ts"
import { volumeWriter } from "./writer.ts"

interface Behaviour {
  readonly advanceAnchor: boolean
  readonly flushIntervalSeconds: number
  readonly detachOnSignals: readonly NodeJS.Signals[]
}

/** Blocks placed without a synchronisation after which one is made, so that memory for them stays bounded. */
const MAX_UNFLUSHED_BLOCKS = 2 ** 18

/**
 * An attached volume: a block device. Offsets and lengths are bytes, at any alignment, within `size` (else `RangeError`).
 * Calls may run side by side; those that overlap are ordered block by block. A write that has settled survives the end of the
 * process, and a `flush` after it the loss of power; in any case each block is old or new.
 *
 * Everything throws `Closed` after `detach`; reads throw `TamperedVolume` for what does not verify; changes throw `VolumeIo`
 * when the disk refuses, and `ReadOnlyVolume`.
 */
export class Volume {
  readonly volumeId: string
  readonly blockSize: number
  readonly readOnly: boolean
  readonly #core: Core
  readonly #lock: VolumeLock
  readonly #gate: Exclusion
  readonly #durability: Durability
  readonly #reader: Reader
  readonly #changes: Changes
  readonly #pool = bufferPool()
  readonly #timer: NodeJS.Timeout | undefined
  readonly #signals: ReadonlyMap<NodeJS.Signals, () => void>
  /** Calls under way. */
  #pending = 0
  #idle: (() => void) | undefined
  #detached: Promise<void> | undefined

  /** @internal */
  constructor(core: Core, lock: VolumeLock, behaviour: Behaviour) {
    this.#core = core
    this.#lock = lock
    this.volumeId = volumeName(core.geometry.id)
    this.blockSize = core.geometry.blockSize
    this.readOnly = core.readOnly
    this.#gate = exclusion(() => writer.kick())
    const homing = homeWriter(core)
    this.#durability = durability(core, this.#gate, behaviour.advanceAnchor, homing)
    const writer = volumeWriter(core, this.#gate, this.#durability, upkeep(core, this.#durability), () => {
      if (core.placement.count > MAX_UNFLUSHED_BLOCKS) this.#durability.flush().catch(() => {})
    })
    this.#reader = volumeReader(core, writer.busy, this.#pool)
    this.#changes = changesOf(core, writer, this.#reader, this.#durability)
    const { flushIntervalSeconds, detachOnSignals } = behaviour
    if (!core.readOnly && flushIntervalSeconds > 0) {
      this.#timer = setInterval(() => this.#durability.flush().catch(() => {}), flushIntervalSeconds * 1000).unref()
    }
    this.#signals = this.#listen(detachOnSignals)
    publish({ event: "attached", volumeId: this.volumeId, generation: core.headers.current.header.generation })
  }

  /** Bytes. */
  get size(): number {
    return this.#core.geometry.size
  }

  /** Plaintext, in memory of its own. */
  async read(offset: number, length: number): Promise<Uint8Array> {
    this.#checkRange(offset, length)
    if (length === 0) return new Uint8Array(0)
    const first = Math.floor(offset / this.blockSize)
    const count = Math.ceil((offset + length) / this.blockSize) - first
    const blocks = await this.#run(() => this.#reader.readBlocks(first, count))
    const skip = offset - first * this.blockSize
    return blocks.length === length ? blocks : blocks.subarray(skip, skip + length)
  }

  /** Optional: what `read` gave is not used any more, and its memory may serve the next one. */
  release(data: Uint8Array): void {
    this.#pool.give(data)
  }

  /** @param data must stay as it is until the call has settled @param options fua: settle only when it is durable */
  async write(offset: number, data: Uint8Array, options: { readonly fua?: boolean } = {}): Promise<void> {
    this.#checkRange(offset, data.length)
    if (data.length > 0) await this.#run(() => this.#changes.write(offset, data, options.fua ?? false))
  }

  /** Makes durable all that has settled before. */
  flush(): Promise<void> {
    return this.#run(() => this.#durability.flush())
  }

  /** Gives whole blocks of the range back: they read as zeros. Parts of blocks stay as they are. */
  async trim(offset: number, length: number, options: { readonly fua?: boolean } = {}): Promise<void> {
    this.#checkRange(offset, length)
    if (length === 0) return
    await this.#run(() => this.#changes.punch(offset, length, { keepEdges: true, fua: options.fua ?? false }))
  }

  /**
   * @param options noHole: store zeros instead of giving the blocks back; fast: fail with an error of code `ENOTSUP` where
   *   blocks would have to be written
   */
  async writeZeroes(
    offset: number,
    length: number,
    options: { readonly noHole?: boolean; readonly fast?: boolean; readonly fua?: boolean } = {},
  ): Promise<void> {
    this.#checkRange(offset, length)
    const { noHole = false, fast = false, fua = false } = options
    const aligned = offset % this.blockSize === 0 && (length % this.blockSize === 0 || offset + length === this.size)
    if (fast && (noHole || !aligned)) {
      throw Object.assign(new Error("zeros would have to be written"), { code: "ENOTSUP" })
    }
    if (length === 0) return
    await this.#run(() =>
      noHole ? this.#changes.zero(offset, length, fua) : this.#changes.punch(offset, length, { keepEdges: false, fua }),
    )
  }

  /** Which runs from `offset` on hold data; those that come first, `maxExtents` at most (default 4096). */
  async blockStatus(
    offset: number,
    length: number,
    options: { readonly maxExtents?: number } = {},
  ): Promise<readonly VolumeExtent[]> {
    this.#checkRange(offset, length)
    return this.#run(() => blockStatus(this.#core, offset, length, options.maxExtents ?? 4096))
  }

  /** Verifies the tag of everything stored. */
  scrub(options: ScrubOptions = {}): Promise<ScrubResult> {
    return this.#run(() => scrubCore(this.#core, this.#reader, options))
  }

  /** Gives the space of rewritten and trimmed blocks back to the file system. Others may go on meanwhile. */
  settle(): Promise<SettleResult> {
    return this.#change(() => settleCore(this.#core, this.#gate, this.#durability))
  }

  /** Grows the volume. @param size bytes, a multiple of 512, or text such as `64GiB`; at least the present size */
  async resize(size: number | bigint | string): Promise<void> {
    const bytes = parseVolumeSize(size)
    if (bytes < this.size) throw new RangeError("a volume can only grow")
    await this.#change(() => this.#gate.alone(() => this.#grow(bytes)))
  }

  /** Ends the present epoch, as after the resume of a machine from an image of its memory (VOL-9.2). */
  newEpoch(): Promise<void> {
    return this.#change(() =>
      this.#gate.alone(() => (this.#core.log === undefined ? beginSession(this.#core) : newEpoch(this.#core))),
    )
  }

  info(): Promise<VolumeInfo> {
    return this.#run(() => volumeInfo(this.#core))
  }

  /** Makes all durable, leaves the volume clean, overwrites its keys and releases its lock. */
  detach(): Promise<void> {
    this.#detached ??= this.#end()
    return this.#detached
  }

  close(): Promise<void> {
    return this.detach()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.detach()
  }

  // --- internal ---

  async #run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#detached !== undefined) throw new EnvelopeError("Closed", "the volume is detached")
    this.#pending++
    try {
      return await work()
    } finally {
      this.#pending--
      if (this.#pending === 0) this.#idle?.()
    }
  }

  #change<T>(work: () => Promise<T>): Promise<T> {
    return this.#run(async () => {
      checkWritable(this.#core)
      return work()
    })
  }

  #checkRange(offset: number, length: number): void {
    const whole = Number.isSafeInteger(offset) && Number.isSafeInteger(length)
    if (!whole || offset < 0 || length < 0 || offset + length > this.size) {
      throw new RangeError(`bytes ${offset} to ${offset + length} are not within the volume's ${this.size}`)
    }
  }

  async #grow(size: number): Promise<void> {
    const core = this.#core
    const { id, blockSize } = core.geometry
    if (core.log === undefined) await beginSession(core)
    await this.#durability.flushAlone()
    core.geometry = geometryOf(id, size, blockSize)
    core.map.grow(core.geometry.blockCount)
    try {
      await checkpointAlone(core, this.#durability, { size })
    } catch (error) {
      // The map in memory is one of the new size.
      throw fail(core, error)
    }
  }

  async #end(): Promise<void> {
    const core = this.#core
    clearInterval(this.#timer)
    for (const [signal, listener] of this.#signals) process.off(signal, listener)
    if (this.#pending > 0) {
      await new Promise<void>((resolve) => {
        this.#idle = resolve
      })
    }
    try {
      await this.#gate.alone(() => this.#finish())
    } finally {
      await core.homing?.catch(() => {})
      core.keys.wipe()
      core.map.clear()
      this.#pool.clear()
      await core.log?.close()
      await core.files.close()
      await this.#lock.release()
      publish({ event: "detached", volumeId: this.volumeId, generation: core.headers.current.header.generation })
    }
  }

  /** What never was written is clean already; what failed is left for recovery. */
  async #finish(): Promise<void> {
    const core = this.#core
    if (core.log === undefined) return
    checkWritable(core)
    await checkpointAlone(core, this.#durability, { clean: true })
  }

  #listen(signals: readonly NodeJS.Signals[]): ReadonlyMap<NodeJS.Signals, () => void> {
    const listeners = new Map(
      signals.map((signal) => {
        const listener = (): void => {
          this.detach()
            .catch(() => {})
            .finally(() => process.kill(process.pid, signal))
        }
        return [signal, listener] as const
      }),
    )
    for (const [signal, listener] of listeners) process.once(signal, listener)
    return listeners
  }
}
