import type { EncryptionContext } from "../../src/core/index.ts"
import type { Random } from "./random.ts"

const ALPHABETS = ["abcdef", "xyzXYZ-._:/", "äöüßéñ", "ключ", "鍵🔑🗝️", "\u0000\u007f\uffff\u{10000}\ue000"]

function randomText(random: Random, most: number): string {
  const letters = [...random.pick(ALPHABETS)]
  return Array.from({ length: random.int(most + 1) }, () => random.pick(letters)).join("")
}

/** 0 to 6 pairs, keys and values of any script; now and then an empty key or value. */
export function randomContext(random: Random): EncryptionContext {
  const context: Record<string, string> = {}
  for (let pairs = random.int(7); pairs > 0; pairs--) context[randomText(random, 8)] = randomText(random, 20)
  return context
}

/** A frame length and a plaintext length at, just before or just after one of its first boundaries, or anywhere. */
export function randomSizes(random: Random, frameLengths: readonly number[]): { frameLength: number; length: number } {
  const frameLength = random.pick(frameLengths)
  const boundary = random.int(4) * frameLength
  const length = random.chance(0.8) ? boundary + random.int(3) - 1 : random.int(4 * frameLength)
  return { frameLength, length: Math.max(0, length) }
}
