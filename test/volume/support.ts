import { attachOn } from "../../src/volume/attach.ts"
import { createOn } from "../../src/volume/create.ts"
import type { AttachVolumeOptions, CreateVolumeOptions } from "../../src/volume/index.ts"
import { aesKeyring } from "../support/keys.ts"
import type { Random } from "../support/random.ts"
import { type SimDisk, simDisk } from "./sim-disk.ts"

export const KiB = 1024
export const MiB = 1024 * KiB

/** A new volume on a simulated disk. */
export async function newVolume(options: Partial<CreateVolumeOptions> = {}): Promise<SimDisk> {
  const disk = simDisk()
  await createOn(disk, { size: MiB, keyring: aesKeyring(), ...options })
  return disk
}

export const attach = (
  disk: SimDisk,
  options: Partial<Parameters<typeof attachOn>[1]> & Partial<AttachVolumeOptions> = {},
) => attachOn(disk, { keyring: aesKeyring(), flushIntervalSeconds: 0, ...options })

/** Many random bytes quickly. */
export function randomBytes(random: Random, length: number): Uint8Array {
  const bytes = new Uint8Array(Math.ceil(length / 4) * 4)
  const words = new Uint32Array(bytes.buffer)
  let state = random.int(2 ** 32) | 1
  for (let i = 0; i < words.length; i++) {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    words[i] = state
  }
  return bytes.subarray(0, length)
}
