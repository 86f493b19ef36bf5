import { type EncryptionContext, EnvelopeError, type Keyring, type WrappedKey } from "../core/index.ts"
import { findSuite, wipe } from "../crypto/index.ts"
import { copyContext } from "../format/index.ts"
import { malformedVolume } from "./failures.ts"
import { volumeName } from "./geometry.ts"
import type { HeaderFile, VolumeHeader } from "./header.ts"
import { sameKey } from "./header-store.ts"

/** Names the volume (VOL-1.3). */
const ID_PAIR = "kms-envelope:volume-id"
const SIZE_PAIR = "kms-envelope:volume-size"
const BLOCK_SIZE_PAIR = "kms-envelope:block-size"
const OWN_PAIRS = [ID_PAIR, SIZE_PAIR, BLOCK_SIZE_PAIR]

/** Its data keys have 32 bytes, as the volume's. */
const suite = () => findSuite(0x0478)!

/**
 * VOL-2.1: the context of a volume's data key.
 *
 * @throws TypeError for a pair of the caller's under one of the format's names
 */
export function volumeContext(
  more: EncryptionContext | undefined,
  { volumeId, sizeAtCreation, blockSize }: Pick<VolumeHeader, "volumeId" | "sizeAtCreation" | "blockSize">,
): EncryptionContext {
  const pairs = copyContext(more)
  const taken = OWN_PAIRS.find((key) => key in pairs)
  if (taken !== undefined)
    throw new TypeError(`encryptionContext must not have the pair ${taken}, which the volume adds itself`)
  return {
    ...pairs,
    [ID_PAIR]: volumeName(volumeId),
    [SIZE_PAIR]: `${sizeAtCreation}`,
    [BLOCK_SIZE_PAIR]: `${blockSize}`,
  }
}

/** A new data key, wrapped; in the clear nowhere where the keyring can do so, else overwritten at once. */
export async function wrapNewKey(
  keyring: Keyring,
  encryptionContext: EncryptionContext,
  signal?: AbortSignal,
): Promise<readonly WrappedKey[]> {
  const request = { suite: suite(), encryptionContext, ...(signal && { signal }) }
  let wrappedKeys: readonly WrappedKey[]
  if (keyring.generateWithoutPlaintext === undefined) {
    const result = await keyring.wrap(request)
    wipe(result.dataKey)
    wrappedKeys = result.wrappedKeys
  } else {
    wrappedKeys = await keyring.generateWithoutPlaintext(request)
  }
  if (wrappedKeys.length > 0) return wrappedKeys
  throw new EnvelopeError("WrapFailed", `keyring ${keyring.name} returned no wrapped key`)
}

/**
 * The data key, by one request to the keyring. Where the newest header is not whole, the other may name the key.
 *
 * @param headers the newest first; not yet authentic
 * @throws EnvelopeError what the keyring throws, `NoMatchingKey`, `MalformedVolume`
 */
export async function unwrapKey(
  keyring: Keyring,
  headers: readonly HeaderFile[],
  signal?: AbortSignal,
): Promise<{ readonly dataKey: Uint8Array; readonly header: VolumeHeader }> {
  const [newest, other] = headers.map(({ header }) => header)
  try {
    return { dataKey: await unwrapOne(keyring, newest!, signal), header: newest! }
  } catch (error) {
    if (other === undefined || sameKey(newest!, other) || signal?.aborted) throw error
    return { dataKey: await unwrapOne(keyring, other, signal), header: other }
  }
}

// --- internal ---

async function unwrapOne(keyring: Keyring, header: VolumeHeader, signal?: AbortSignal): Promise<Uint8Array> {
  const { encryptionContext, wrappedKeys } = header
  const expected = volumeContext(undefined, header)
  for (const pair of OWN_PAIRS) {
    if (encryptionContext[pair] !== expected[pair])
      throw malformedVolume(`the encryption context's ${pair} is not the header's`)
  }
  const dataKey = await keyring.unwrap({ suite: suite(), encryptionContext, wrappedKeys, ...(signal && { signal }) })
  if (dataKey === undefined) {
    throw new EnvelopeError("NoMatchingKey", `none of the volume's wrapped keys belongs to keyring ${keyring.name}`)
  }
  if (dataKey.length === suite().dataKeyLength) return dataKey
  wipe(dataKey)
  throw new EnvelopeError(
    "UnwrapFailed",
    `keyring ${keyring.name} unwrapped a data key of ${dataKey.length} bytes, not 32`,
  )
}
