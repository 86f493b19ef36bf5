import { describe, expect, it } from "vitest"
import { readReference } from "../reference/read.ts"
import { writeReference } from "../reference/write.ts"
import { codeOf } from "../support/errors.ts"
import { AES_NAME, AES_NAMESPACE, aesKeyring, counting, pattern } from "../support/keys.ts"
import { readers } from "../support/readers.ts"

const wrapUnder = [{ namespace: AES_NAMESPACE, name: AES_NAME, key: counting(32) }]
const regular = { final: false, length: 16 }
const MIB = 1024 * 1024

/** Each frame's tag is right: whoever wrote these had the key, but not the format. */
const bodies: Record<string, { frameLength: number; frames: { final: boolean; length: number }[] }> = {
  "a final frame as long as a regular one before the end": {
    frameLength: 16,
    frames: [regular, { final: true, length: 8 }, { final: true, length: 5 }],
  },
  "a final frame first": { frameLength: 16, frames: [{ final: true, length: 8 }, regular, { final: true, length: 5 }] },
  "two final frames": {
    frameLength: 16,
    frames: [
      { final: true, length: 16 },
      { final: true, length: 16 },
    ],
  },
  "a regular frame last": { frameLength: 16, frames: [regular, regular] },
  "a regular frame after the final one": { frameLength: 16, frames: [{ final: true, length: 3 }, regular] },
  "a final frame longer than the frame length": { frameLength: 16, frames: [regular, { final: true, length: 17 }] },
  "a final frame before the end, above a megabyte": {
    frameLength: 65536,
    frames: [
      ...Array.from({ length: 20 }, () => ({ final: false, length: 65536 })),
      { final: true, length: 65528 },
      { final: true, length: 5 },
    ],
  },
  "a final frame before the end, in frames that several threads open": {
    frameLength: 256 * 1024,
    frames: [
      ...Array.from({ length: 8 }, () => ({ final: false, length: 256 * 1024 })),
      { final: true, length: 256 * 1024 - 8 },
      { final: true, length: 5 },
    ],
  },
}

describe("A body is refused in every way with", () => {
  it.each(Object.entries(bodies))("%s", async (_, { frameLength, frames }) => {
    const plaintext = pattern(frames.reduce((sum, { length }) => sum + length, 0))
    const { bytes } = writeReference({ suiteId: 0x0478, plaintext, frameLength, frames, wrapUnder })
    expect(() => readReference(bytes, wrapUnder)).toThrow()
    const large = bytes.length > MIB
    for (const reader of readers.filter(({ name }) => !large || !/byte by byte/.test(name))) {
      const code = await codeOf(() => reader.read(bytes, { keyring: aesKeyring() }))
      expect(["MalformedMessage", "TruncatedMessage", "TamperedMessage"], reader.name).toContain(code)
    }
  })
})
