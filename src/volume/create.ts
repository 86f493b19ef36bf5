import { allocate, type EncryptionContext, EnvelopeError, type Keyring } from "../core/index.ts"
import { randomBytes } from "../crypto/index.ts"
import { volumeContext, wrapNewKey } from "./data-key.ts"
import type { Disk } from "./disk.ts"
import { ENTRY_LENGTH } from "./entry.ts"
import { fileDisk, makeFolder } from "./file-disk.ts"
import { isContent } from "./files.ts"
import { BLOCK_SIZES, type BlockSize, isBlockSize, parseVolumeSize, volumeName } from "./geometry.ts"
import { MAC_LENGTH, VOLUME_ID_LENGTH } from "./header.ts"
import { writeFirstHeader } from "./header-store.ts"

export interface CreateVolumeOptions {
  /** Bytes, a multiple of 512 up to 2^50: a number, or text such as `64GiB`. The volume offers exactly these. */
  readonly size: number | bigint | string
  /** Wraps the volume's data key; where it can (KMS), nobody sees the key in the clear. */
  readonly keyring: Keyring
  /** Bytes: 4096 (default), 16384 or 65536. Larger blocks are faster for large requests and slower for small ones. */
  readonly blockSize?: BlockSize
  /** Pairs for the data key's encryption context, beside the volume's own. */
  readonly encryptionContext?: EncryptionContext
  readonly signal?: AbortSignal
}

export interface CreatedVolume {
  /** `vol-` and 32 hexadecimal digits. */
  readonly volumeId: string
  /** Bytes. */
  readonly size: number
  readonly blockSize: number
}

/**
 * Makes an empty volume in a folder, docs/spec/volume.md. It takes a few kilobytes, whatever its size, until it is written.
 *
 * @param path of a folder that does not exist or holds no volume
 * @throws TypeError, RangeError for size or block size
 * @throws EnvelopeError `VolumeInUse` when a volume is there, `VolumeIo`, `WrapFailed`, and what the keyring throws
 */
export async function createVolume(path: string, options: CreateVolumeOptions): Promise<CreatedVolume> {
  checkOptions(options)
  await makeFolder(path)
  return createOn(fileDisk(path), options)
}

/** The same on any disk. */
export async function createOn(disk: Disk, options: CreateVolumeOptions): Promise<CreatedVolume> {
  const { size, blockSize } = checkOptions(options)
  if ((await disk.list()).some((name) => name.startsWith("header.") || isContent(name))) {
    throw new EnvelopeError("VolumeInUse", "there is a volume in this folder already")
  }
  const volumeId = randomBytes(VOLUME_ID_LENGTH)
  const encryptionContext = volumeContext(options.encryptionContext, { volumeId, sizeAtCreation: size, blockSize })
  const wrappedKeys = await wrapNewKey(options.keyring, encryptionContext, options.signal)
  await writeFirstHeader(disk, {
    volumeId,
    generation: 0,
    previousMac: allocate(MAC_LENGTH),
    sizeAtCreation: size,
    size,
    blockSize,
    clean: true,
    root: allocate(ENTRY_LENGTH),
    log: 0,
    firstSequence: 1,
    encryptionContext,
    wrappedKeys,
    epochs: [],
  })
  return { volumeId: volumeName(volumeId), size, blockSize }
}

function checkOptions(options: CreateVolumeOptions): { size: number; blockSize: BlockSize } {
  if (typeof options !== "object" || options === null) throw new TypeError("createVolume needs size and keyring")
  if (typeof options.keyring?.wrap !== "function") throw new TypeError("keyring must be a keyring")
  const blockSize = options.blockSize ?? 4096
  if (!isBlockSize(blockSize)) throw new RangeError(`blockSize must be one of ${BLOCK_SIZES.join(", ")}`)
  return { size: parseVolumeSize(options.size), blockSize }
}
