import { createDecipheriv } from "node:crypto"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { expect, test } from "vitest"
import { encodeContext } from "../../src/format/index.ts"
import { attachVolume, createVolume } from "../../src/volume/index.ts"
import { readDetachedVolume } from "../reference/volume.ts"
import { aesKeyring, counting } from "../support/keys.ts"
import { runSeed, seeded } from "../support/random.ts"
import { randomBytes } from "./support.ts"

// VOL-1.2, VOL-2.1, VOL-2.2, VOL-2.3, VOL-3.1, VOL-4.2, VOL-4.3, VOL-4.4
test.each([4096, 16_384, 65_536] as const)(
  "a reader made from the specification alone reads blocks of %i bytes",
  async (blockSize) => {
    const folder = await mkdtemp(join(tmpdir(), "volume-"))
    try {
      const random = seeded(runSeed())
      const size = 150 * blockSize + 512
      await createVolume(folder, { size, blockSize, keyring: aesKeyring(), encryptionContext: { tenant: "42" } })
      const contents = new Uint8Array(size)
      for (let session = 0; session < 3; session++) {
        await using volume = await attachVolume(folder, { keyring: aesKeyring() })
        for (let i = 0; i < 25; i++) {
          const offset = random.int(size)
          const data = randomBytes(random, Math.min(size - offset, 1 + random.int(3 * blockSize)))
          await volume.write(offset, data)
          contents.set(data, offset)
          if (i % 5 === 0) await volume.flush()
        }
        await volume.writeZeroes(blockSize * 10, blockSize * 3)
        contents.fill(0, blockSize * 10, blockSize * 13)
      }
      const read = readDetachedVolume(folder, ({ info, ciphertext }, context) => {
        expect(context.get("tenant")).toBe("42")
        const key = createDecipheriv("aes-256-gcm", counting(32), info.subarray(-12), { authTagLength: 16 })
        key.setAAD(encodeContext(Object.fromEntries(context)))
        key.setAuthTag(ciphertext.subarray(32))
        return Buffer.concat([key.update(ciphertext.subarray(0, 32)), key.final()])
      })
      expect(read.equals(contents)).toBe(true)
    } finally {
      await rm(folder, { recursive: true })
    }
  },
)
