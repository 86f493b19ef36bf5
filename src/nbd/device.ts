import type { MaybePromise } from "../core/index.ts"

/** A run of bytes in one state, for `blockStatus`. */
export interface Extent {
  /** Bytes. */
  readonly length: number
  /** Nothing is stored there. */
  readonly hole: boolean
  /** It reads as zeros. */
  readonly zero: boolean
}

export interface WriteFlags {
  /** Settle only when the bytes are durable (force unit access). Default false. */
  readonly fua?: boolean
}

export interface ZeroFlags extends WriteFlags {
  /** Keep or take the space: store zeros instead of giving the range back. Default false. */
  readonly noHole?: boolean
  /** Fail at once with an error of code `ENOTSUP` where this would be no faster than writing zeros. Default false. */
  readonly fast?: boolean
}

/**
 * What the NBD server serves. Offsets and lengths are bytes, always within `size`, at any alignment; lengths are at least 1.
 * Several calls run at the same time, and those that overlap are the device's to order. Every method may answer at once or
 * with a promise.
 *
 * An error's `code` decides what the client sees: `ENOSPC`, `EPERM`, `EROFS`, `EINVAL`, `ENOTSUP`, `EOVERFLOW`, `ENOMEM`,
 * `ESHUTDOWN` or `Closed` are passed on, everything else is an I/O error.
 */
export interface BlockDevice {
  /** Bytes. It may grow while served. */
  readonly size: number
  /** Bytes that reads and writes do best in, a power of two from 512 to 32 MiB. Default 4096. */
  readonly blockSize?: number
  /** Default false. */
  readonly readOnly?: boolean
  /** In one piece or several in order. They stay as they are until they have gone out, see `release`. */
  read(offset: number, length: number): MaybePromise<Uint8Array | readonly Uint8Array[]>
  /** Told when what `read` returned has gone out, so that its memory can serve again. */
  release?(data: Uint8Array | readonly Uint8Array[]): void
  /** `data` is used for something else as soon as the call has settled. */
  write(offset: number, data: Uint8Array, flags: WriteFlags): MaybePromise<void>
  /** Makes every write, trim and zeroing durable that has settled before the call. */
  flush(): MaybePromise<void>
  /** The contents of the range do not matter any more. */
  trim?(offset: number, length: number, flags: WriteFlags): MaybePromise<void>
  writeZeroes?(offset: number, length: number, flags: ZeroFlags): MaybePromise<void>
  /** The range's runs from `offset` on, in order, `maxExtents` at most; those that come first will do. */
  blockStatus?(
    offset: number,
    length: number,
    options: { readonly maxExtents: number },
  ): MaybePromise<readonly Extent[]>
  /** The range will be read soon. */
  cache?(offset: number, length: number): MaybePromise<void>
}
