import { attachVolume } from "../../src/volume/index.ts"
import { aesKeyring } from "../support/keys.ts"

/** A process of its own that attaches a volume and writes block after block, and says after each flush how far it is. */
const [, , folder, mode] = process.argv
const volume = await attachVolume(folder!, { keyring: aesKeyring(), detachOnSignals: ["SIGTERM"] })
process.stdout.write("attached\n")
if (mode === "hold") {
  setInterval(() => {}, 1000)
} else {
  // Ends with the volume's detachment; the signal then ends the process.
  for (let i = 1, open = true; open; i++) {
    const block = i % 200
    try {
      await volume.write(block * 4096, new Uint8Array(4096).fill(i & 0xff))
      if (i % 3 !== 0) continue
      await volume.flush()
      process.stdout.write(`${i}\n`)
    } catch {
      open = false
    }
  }
}
