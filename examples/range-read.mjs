// Reads a few bytes out of a large encrypted file: node examples/range-read.mjs
import { randomBytes } from "node:crypto"
import { mkdtemp, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { encrypt, fromFile, openMessage, rawAesKeyring } from "kms-envelope"

const folder = await mkdtemp(join(tmpdir(), "kms-envelope-range-"))
const path = join(folder, "log.enc")
const keyring = rawAesKeyring({ keyNamespace: "examples", keyName: "range", wrappingKey: randomBytes(32) })

try {
  const lines = Array.from({ length: 100_000 }, (_, i) => `line ${String(i).padStart(6, "0")}\n`)
  await writeFile(path, await encrypt(lines.join(""), { keyring, frameLength: 16 * 1024 }))

  const file = await fromFile(path)
  let fetched = 0
  const counting = {
    ...file,
    /** @param {number} offset @param {number} length */
    read(offset, length) {
      fetched += length
      return file.read(offset, length)
    },
  }
  const message = await openMessage(counting, { keyring })
  try {
    console.log(`plaintext of ${message.plaintextLength} bytes`)
    const lineLength = 12
    const line = await message.read(77_777 * lineLength, 77_778 * lineLength)
    console.log(`read: ${Buffer.from(line).toString().trim()}`)
    console.log(`fetched ${fetched} of ${file.size} bytes`)
  } finally {
    await message.close()
  }
} finally {
  keyring.close()
  await rm(folder, { recursive: true })
}
