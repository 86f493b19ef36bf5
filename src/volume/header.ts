import {
  allocate,
  concatBytes,
  copyBytes,
  type EncryptionContext,
  EnvelopeError,
  equalBytes,
  fromUtf8,
  utf8,
  type WrappedKey,
} from "../core/index.ts"
import { decodeContext, encodeContext, writeU16, writeU32, writeU64 } from "../format/index.ts"
import { type Cursor, cursorOver } from "./cursor.ts"
import { ENTRY_LENGTH, isEntry, isPresent } from "./entry.ts"
import { malformedVolume } from "./failures.ts"
import { isBlockSize, isVolumeSize } from "./geometry.ts"

export const MAC_LENGTH = 32
export const VOLUME_ID_LENGTH = 16
/** More epochs, keys or pairs than a volume ever has. */
export const MAX_HEADER_LENGTH = 2 ** 24
export const MAX_EPOCH = 2 ** 24 - 1

const MAGIC = /* @__PURE__ */ utf8("KMSEVOL\0")
const VERSION = 1
const SALT_LENGTH = 32
const EPOCH_LENGTH = 4 + SALT_LENGTH
const FIXED_LENGTH = 8 + 2 + VOLUME_ID_LENGTH + 8 + MAC_LENGTH + 8 + 8 + 4 + 1 + ENTRY_LENGTH + 8 + 8

export interface Epoch {
  readonly epoch: number
  /** 32 bytes. */
  readonly salt: Uint8Array
}

/** VOL-3.1 */
export interface VolumeHeader {
  readonly volumeId: Uint8Array
  readonly generation: number
  readonly previousMac: Uint8Array
  /** Bytes. */
  readonly sizeAtCreation: number
  readonly size: number
  readonly blockSize: number
  readonly clean: boolean
  /** The entry of the map's topmost node. */
  readonly root: Uint8Array
  /** 0 for none. */
  readonly log: number
  readonly firstSequence: number
  readonly encryptionContext: EncryptionContext
  readonly wrappedKeys: readonly WrappedKey[]
  readonly epochs: readonly Epoch[]
}

/** All but the MAC. */
export function encodeHeader(header: VolumeHeader): Uint8Array {
  const fixed = allocate(FIXED_LENGTH)
  fixed.set(MAGIC)
  writeU16(fixed, 8, VERSION)
  fixed.set(header.volumeId, 10)
  writeU64(fixed, 26, header.generation)
  fixed.set(header.previousMac, 34)
  writeU64(fixed, 66, header.sizeAtCreation)
  writeU64(fixed, 74, header.size)
  writeU32(fixed, 82, header.blockSize)
  fixed[86] = header.clean ? 1 : 0
  fixed.set(header.root, 87)
  writeU64(fixed, 111, header.log)
  writeU64(fixed, 119, header.firstSequence)
  return concatBytes([
    fixed,
    field(encodeContext(header.encryptionContext)),
    ...encodeWrappedKeys(header.wrappedKeys),
    encodeEpochs(header.epochs),
    allocate(4),
  ])
}

/** A header as read, not yet authenticated. */
export interface HeaderFile {
  readonly header: VolumeHeader
  /** What the MAC covers. */
  readonly body: Uint8Array
  readonly mac: Uint8Array
}

/** @throws EnvelopeError `MalformedVolume`, `UnsupportedFormat` */
export function decodeHeader(bytes: Uint8Array): HeaderFile {
  if (bytes.length < FIXED_LENGTH + MAC_LENGTH || bytes.length > MAX_HEADER_LENGTH) {
    throw malformedVolume(`a header is not ${bytes.length} bytes long`)
  }
  const body = bytes.subarray(0, bytes.length - MAC_LENGTH)
  const cursor = cursorOver(body, "the header")
  if (!equalBytes(cursor.view(MAGIC.length), MAGIC)) throw malformedVolume("the header is none of a volume")
  const version = cursor.u16()
  if (version !== VERSION)
    throw new EnvelopeError("UnsupportedFormat", `volumes of version ${version} are not supported`)
  const header = readFields(cursor)
  if (cursor.left() > 0) throw malformedVolume("bytes follow the header's end")
  check(header)
  return { header, body: copyBytes(body), mac: copyBytes(bytes.subarray(body.length)) }
}

// --- internal ---

function readFields(cursor: Cursor): VolumeHeader {
  const volumeId = cursor.copy(VOLUME_ID_LENGTH)
  const generation = cursor.u64()
  const previousMac = cursor.copy(MAC_LENGTH)
  const sizeAtCreation = cursor.u64()
  const size = cursor.u64()
  const blockSize = cursor.u32()
  const clean = cursor.u8()
  if (clean > 1) throw malformedVolume("the header's clean flag is neither 0 nor 1")
  const root = cursor.copy(ENTRY_LENGTH)
  const log = cursor.u64()
  const firstSequence = cursor.u64()
  const encryptionContext = readContext(cursor)
  const wrappedKeys = readWrappedKeys(cursor)
  const epochs = readEpochs(cursor)
  // Kept for what a volume made from a snapshot needs.
  if (cursor.u32() > 0) throw new EnvelopeError("UnsupportedFormat", "the volume uses an extension that is not known")
  return {
    volumeId,
    generation,
    previousMac,
    sizeAtCreation,
    size,
    blockSize,
    clean: clean === 1,
    root,
    log,
    firstSequence,
    encryptionContext,
    wrappedKeys,
    epochs,
  }
}

function check(header: VolumeHeader): void {
  if (!isBlockSize(header.blockSize)) throw malformedVolume(`the header's block size is ${header.blockSize}`)
  if (!isVolumeSize(header.size) || !isVolumeSize(header.sizeAtCreation) || header.size < header.sizeAtCreation) {
    throw malformedVolume("the header's sizes are none of a volume")
  }
  if (!isEntry(header.root)) throw malformedVolume("the header's root is no entry")
  // VOL-3.4
  if (header.clean !== (header.log === 0)) throw malformedVolume("the header names a log and is clean, or neither")
  if (header.generation > 0) return
  // VOL-3.3
  const blank =
    header.clean && !isPresent(header.root) && header.epochs.length === 0 && header.size === header.sizeAtCreation
  if (!blank) throw malformedVolume("the header of a volume that was never attached names what only an attach writes")
}

function field(bytes: Uint8Array): Uint8Array {
  const all = allocate(2 + bytes.length)
  writeU16(all, 0, bytes.length)
  all.set(bytes, 2)
  return all
}

function readContext(cursor: Cursor): EncryptionContext {
  const bytes = cursor.copy(cursor.u16())
  let context: EncryptionContext
  try {
    context = decodeContext(bytes)
  } catch (cause) {
    throw new EnvelopeError("MalformedVolume", "the header's encryption context is malformed", { cause })
  }
  if (!equalBytes(encodeContext(context), bytes))
    throw malformedVolume("the header's encryption context is out of order")
  return context
}

function encodeWrappedKeys(keys: readonly WrappedKey[]): Uint8Array[] {
  const count = allocate(2)
  writeU16(count, 0, keys.length)
  return [
    count,
    ...keys.flatMap((key) => [utf8(key.providerId), key.providerInfo, key.ciphertext].map((bytes) => field(bytes))),
  ]
}

function readWrappedKeys(cursor: Cursor): WrappedKey[] {
  const count = cursor.u16()
  if (count === 0) throw malformedVolume("the header has no wrapped key")
  return Array.from({ length: count }, () => {
    const providerId = fromUtf8(cursor.view(cursor.u16()))
    if (providerId === undefined) throw malformedVolume("a provider id is not UTF-8")
    return { providerId, providerInfo: cursor.copy(cursor.u16()), ciphertext: cursor.copy(cursor.u16()) }
  })
}

function encodeEpochs(epochs: readonly Epoch[]): Uint8Array {
  const bytes = allocate(4 + epochs.length * EPOCH_LENGTH)
  writeU32(bytes, 0, epochs.length)
  for (const [i, { epoch, salt }] of epochs.entries()) {
    writeU32(bytes, 4 + i * EPOCH_LENGTH, epoch)
    bytes.set(salt, 8 + i * EPOCH_LENGTH)
  }
  return bytes
}

function readEpochs(cursor: Cursor): Epoch[] {
  const count = cursor.u32()
  if (count * EPOCH_LENGTH > cursor.left()) throw malformedVolume("the header has fewer epochs than it says")
  let last = 0
  return Array.from({ length: count }, () => {
    const epoch = cursor.u32()
    if (epoch <= last || epoch > MAX_EPOCH) throw malformedVolume("the header's epochs do not rise")
    last = epoch
    return { epoch, salt: cursor.copy(SALT_LENGTH) }
  })
}
