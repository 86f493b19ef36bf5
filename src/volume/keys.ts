import { allocate, concatBytes, EnvelopeError, utf8 } from "../core/index.ts"
import { findSuite, hkdfSha256, hmacSha256, IV_LENGTH, open, randomBytes, seal, wipe } from "../crypto/index.ts"
import { writeU32, writeU64 } from "../format/index.ts"
import type { Stamp } from "./entry.ts"
import type { Geometry } from "./geometry.ts"
import { type Epoch, MAX_EPOCH } from "./header.ts"

/** VOL-2.3 */
export const Domain = { block: 0, record: 1, node: 2 } as const
export type Domain = (typeof Domain)[keyof typeof Domain]

/** VOL-2.4 */
const EPOCH_SEALS = 2 ** 28
const EPOCH_BYTES = 2 ** 40
const HEADER_INFO = /* @__PURE__ */ utf8("kms-envelope volume 1 header")
const EPOCH_INFO = /* @__PURE__ */ utf8("kms-envelope volume 1 epoch")
const SALT_LENGTH = 32

export interface Sealed extends Stamp {
  readonly ciphertext: Uint8Array
  readonly tag: Uint8Array
}

/** The data key of an attached volume and the keys derived from it. */
export interface VolumeKeys {
  /** VOL-3.1: of a header. */
  mac(body: Uint8Array): Uint8Array
  /** Epochs that the header names. Replaces those known before. */
  know(epochs: readonly Epoch[]): void
  readonly epochs: readonly Epoch[]
  /** Adds an epoch with new random bytes; its salt must be durable before `use`. */
  propose(): Epoch
  /** Seals under this epoch from here on. */
  use(epoch: Epoch): void
  /** Whether the current epoch has room for this many more seals. */
  hasRoom(seals: number): boolean
  /** A place in the order of changes that seals nothing. */
  stamp(): Stamp
  /** What the next seal will have. */
  next(): Stamp
  seal(domain: Domain, aad: Uint8Array, plaintext: Uint8Array): Sealed
  /** @returns undefined when it is not authentic */
  open(domain: Domain, at: Stamp, aad: Uint8Array, ciphertext: Uint8Array, tag: Uint8Array): Uint8Array | undefined
  /** The additional data of a block (VOL-4.4), in memory that the next call uses again. */
  blockAad(block: number): Uint8Array
  nodeAad(level: number, index: number): Uint8Array
  recordAad(header: Uint8Array, log: number): Uint8Array
  wipe(): void
}

/** @param dataKey owned from here on; overwritten by `wipe` @param limits for tests */
export function volumeKeys(
  dataKey: Uint8Array,
  { id, blockSize }: Geometry,
  limits: { readonly seals: number; readonly bytes: number } = { seals: EPOCH_SEALS, bytes: EPOCH_BYTES },
): VolumeKeys {
  const suite = findSuite(0x0478)!
  // VOL-2.2
  const macKey = hkdfSha256(dataKey, id, HEADER_INFO)
  const epochKeys = new Map<number, Uint8Array>()
  let salts = new Map<number, Epoch>()
  const iv = allocate(IV_LENGTH)
  const blockAad = allocate(32)
  blockAad.set(utf8("VOLB"))
  blockAad.set(id, 4)
  writeU32(blockAad, 28, blockSize)
  const nodeAad = allocate(32)
  nodeAad.set(utf8("VOLN"))
  nodeAad.set(id, 4)
  let current = 0
  let currentKey: Uint8Array | undefined
  let counter = 0
  let sealedBytes = 0
  let wiped = false

  const keyOf = (epoch: number): Uint8Array | undefined => {
    const known = epochKeys.get(epoch)
    if (known !== undefined) return known
    const salt = salts.get(epoch)?.salt
    if (salt === undefined || wiped) return undefined
    const number = allocate(4)
    writeU32(number, 0, epoch)
    const key = hkdfSha256(dataKey, salt, concatBytes([EPOCH_INFO, id, number]))
    epochKeys.set(epoch, key)
    return key
  }
  const setIv = (domain: Domain, at: number): void => {
    writeU32(iv, 0, domain)
    writeU32(iv, 8, at)
  }

  return {
    mac: (body) => hmacSha256(macKey, body),
    know(epochs) {
      salts = new Map(epochs.map((epoch) => [epoch.epoch, epoch]))
    },
    get epochs() {
      return [...salts.values()]
    },
    propose() {
      const epoch = Math.max(0, ...salts.keys()) + 1
      if (epoch > MAX_EPOCH)
        throw new EnvelopeError("LimitExceeded", "the volume has used all its epochs: copy it to a new one")
      const proposed = { epoch, salt: randomBytes(SALT_LENGTH) }
      salts.set(epoch, proposed)
      return proposed
    },
    use({ epoch }) {
      current = epoch
      currentKey = keyOf(epoch)
      counter = 0
      sealedBytes = 0
    },
    hasRoom: (seals) => currentKey !== undefined && counter + seals <= limits.seals && sealedBytes < limits.bytes,
    stamp: () => ({ epoch: current, counter: ++counter }),
    next: () => ({ epoch: current, counter: counter + 1 }),
    seal(domain, aad, plaintext) {
      if (currentKey === undefined || wiped) throw new EnvelopeError("Closed", "the volume's keys were wiped")
      counter++
      sealedBytes += plaintext.length
      setIv(domain, counter)
      const { ciphertext, tag } = seal(suite, currentKey, iv, aad, plaintext)
      return { epoch: current, counter, ciphertext, tag }
    },
    open(domain, at, aad, ciphertext, tag) {
      const key = keyOf(at.epoch)
      if (wiped) throw new EnvelopeError("Closed", "the volume's keys were wiped")
      if (key === undefined) return undefined
      setIv(domain, at.counter)
      try {
        return open(suite, key, iv, aad, ciphertext, tag)
      } catch {
        return undefined
      }
    },
    blockAad(block) {
      writeU64(blockAad, 20, block)
      return blockAad
    },
    nodeAad(level, index) {
      writeU32(nodeAad, 20, level)
      writeU64(nodeAad, 24, index)
      return nodeAad
    },
    recordAad(header, log) {
      const number = allocate(8)
      writeU64(number, 0, log)
      return concatBytes([header, id, number])
    },
    wipe() {
      wiped = true
      wipe(dataKey, macKey, ...epochKeys.values())
      epochKeys.clear()
      currentKey = undefined
    },
  }
}
