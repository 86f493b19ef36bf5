import { randomFillSync } from "node:crypto"
import { mkdtemp, open, readdir, readFile, rm, stat, truncate, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as published from "kms-envelope"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import * as source from "../../src/index.ts"

const MiB = 1024 * 1024
/** Above the size from which files are worked in lanes, and no multiple of a frame. */
const LARGE = 33 * MiB + 17

let folder: string
const at = (name: string) => join(folder, name)
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "kms-envelope-files-"))
})
afterAll(() => rm(folder, { recursive: true }))

// The published package has the worker's file beside it; the sources do not, and work on the calling thread.
describe.each([
  ["on worker threads", published as unknown as typeof source],
  ["on the calling thread", source],
])("files %s", (_, { decrypt, decryptFile, encrypt, encryptFile, rawAesKeyring }) => {
  const keyring = rawAesKeyring({ keyNamespace: "files", keyName: "key", wrappingKey: new Uint8Array(32).fill(3) })
  const plaintext = randomFillSync(new Uint8Array(LARGE))

  it.each([0, 1, 65536, 65537, 32 * MiB, LARGE])(
    "round-trip %i bytes, as the in-memory calls read and write them",
    async (length) => {
      const content = plaintext.subarray(0, length)
      await writeFile(at("plain"), content)
      const sealed = await encryptFile(at("plain"), at("sealed"), {
        keyring,
        overwrite: true,
        encryptionContext: { a: "1" },
      })
      expect(sealed.plaintextLength).toBe(length)
      expect((await stat(at("sealed"))).mode & 0o777).toBe(0o600)
      const message = await readFile(at("sealed"))
      expect(Buffer.compare((await decrypt(message, { keyring })).plaintext, content)).toBe(0)
      const opened = await decryptFile(at("sealed"), at("opened"), { keyring, overwrite: true })
      expect(opened).toMatchObject({
        plaintextLength: length,
        header: { authenticated: true, encryptionContext: { a: "1" } },
      })
      expect(Buffer.compare(await readFile(at("opened")), content)).toBe(0)
      await writeFile(at("sealed"), await encrypt(content, { keyring, frameLength: 100_000 }))
      await decryptFile(at("sealed"), at("opened"), { keyring, overwrite: true })
      expect(Buffer.compare(await readFile(at("opened")), content)).toBe(0)
    },
  )

  it("round-trip signed messages", async () => {
    await writeFile(at("plain"), plaintext)
    await encryptFile(at("plain"), at("sealed"), { keyring, overwrite: true, signed: true })
    await decryptFile(at("sealed"), at("opened"), { keyring, overwrite: true })
    expect(Buffer.compare(await readFile(at("opened")), plaintext)).toBe(0)
  })

  it("leave nothing under the target's name, nor beside it, when a message is damaged", async () => {
    await writeFile(at("plain"), plaintext)
    await encryptFile(at("plain"), at("sealed"), { keyring, overwrite: true })
    await rm(at("opened"), { force: true })
    const before = await readdir(folder)
    const file = await open(at("sealed"), "r+")
    await file.write(Uint8Array.of(1, 2, 3), 0, 3, 20 * MiB)
    await file.close()
    await expect(decryptFile(at("sealed"), at("opened"), { keyring })).rejects.toMatchObject({
      code: "TamperedMessage",
    })
    await truncate(at("sealed"), 32 * MiB + 5)
    await expect(decryptFile(at("sealed"), at("opened"), { keyring })).rejects.toMatchObject({
      code: "TruncatedMessage",
    })
    expect(await readdir(folder)).toEqual(before)
  })

  it("refuse to replace a file unless told to", async () => {
    await writeFile(at("plain"), "new")
    await writeFile(at("kept"), "old")
    await expect(encryptFile(at("plain"), at("kept"), { keyring })).rejects.toMatchObject({ code: "EEXIST" })
    expect(await readFile(at("kept"), "utf8")).toBe("old")
  })

  it("stop on an abort", async () => {
    await writeFile(at("plain"), plaintext)
    const controller = new AbortController()
    const running = encryptFile(at("plain"), at("aborted"), { keyring, signal: controller.signal })
    setTimeout(() => controller.abort(new Error("enough")), 5)
    await expect(running).rejects.toThrow("enough")
    await expect(stat(at("aborted"))).rejects.toMatchObject({ code: "ENOENT" })
  })

  it("say so when the disk is full", async () => {
    await writeFile(at("plain"), plaintext)
    const full = await open("/dev/full", "w")
    await expect(encryptFile(at("plain"), full, { keyring })).rejects.toMatchObject({ code: "ENOSPC" })
    await full.close()
  })

  it("report progress", async () => {
    await writeFile(at("plain"), plaintext)
    const seen: number[] = []
    await encryptFile(at("plain"), at("sealed"), { keyring, overwrite: true, lanes: 1, progress: (n) => seen.push(n) })
    expect(seen.every((bytes, i) => bytes <= LARGE && bytes >= (seen[i - 1] ?? 0))).toBe(true)
  })
})
