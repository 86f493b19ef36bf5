import { type ChildProcess, spawn } from "node:child_process"
import { subscribe, unsubscribe } from "node:diagnostics_channel"
import { once } from "node:events"
import { mkdtemp, readdir, rm, stat } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { CreateKeyCommand, DisableKeyCommand, EnableKeyCommand } from "@aws-sdk/client-kms"
import { buildSync } from "esbuild"
import { afterAll, describe, expect, onTestFinished, test } from "vitest"
import type { Keyring } from "../../src/core/index.ts"
import { kmsKeyring } from "../../src/index.ts"
import { LocalKms } from "../../src/local-kms/index.ts"
import { attachVolume, createVolume, fileAnchor, inspectVolume, type VolumeEvent } from "../../src/volume/index.ts"
import { codeOf } from "../support/errors.ts"
import { aesKeyring, counting } from "../support/keys.ts"
import { simDisk } from "./sim-disk.ts"
import { attach, KiB, MiB, newVolume } from "./support.ts"

const BLOCK = 4096
const folders: string[] = []
afterAll(() => Promise.all(folders.map((folder) => rm(folder, { recursive: true, force: true }))))

async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "volume-"))
  folders.push(folder)
  return folder
}

async function newFolder(size: number | string = MiB): Promise<string> {
  const folder = join(await temporaryFolder(), "disk.vol")
  await createVolume(folder, { size, keyring: aesKeyring() })
  return folder
}

function events(): VolumeEvent[] {
  const seen: VolumeEvent[] = []
  const listener = (message: unknown) => void seen.push(message as VolumeEvent)
  subscribe("kms-envelope:volume", listener)
  onTestFinished(() => void unsubscribe("kms-envelope:volume", listener))
  return seen
}

describe("createVolume", () => {
  test("makes an empty terabyte of kilobytes, whose size is exactly what was asked for", async () => {
    const folder = await newFolder("1TiB")
    const sizes = await Promise.all((await readdir(folder)).map(async (name) => (await stat(join(folder, name))).size))
    expect(sizes.reduce((a, b) => a + b, 0)).toBeLessThan(8 * KiB)
    await using volume = await attachVolume(folder, { keyring: aesKeyring() })
    expect(volume.size).toBe(2 ** 40)
    expect((await volume.read(2 ** 40 - 512, 512)).every((byte) => byte === 0)).toBe(true)
    // A file system discards the whole device before it is made.
    await volume.trim(0, 2 ** 40)
    await volume.write(2 ** 40 - 5, counting(5))
    expect(await volume.blockStatus(0, 2 ** 40)).toEqual([
      { length: 2 ** 40 - BLOCK, hole: true, zero: true },
      { length: BLOCK, hole: false, zero: false },
    ])
    expect(Buffer.from(await volume.read(2 ** 40 - 5, 5)).equals(counting(5))).toBe(true)
  })

  test("refuses a folder with a volume, and sizes and block sizes that are none", async () => {
    const folder = await newFolder()
    expect(await codeOf(() => createVolume(folder, { size: MiB, keyring: aesKeyring() }))).toBe("VolumeInUse")
    await expect(createVolume(folder, { size: 100, keyring: aesKeyring() })).rejects.toThrow(RangeError)
    await expect(createVolume(folder, { size: MiB, keyring: aesKeyring(), blockSize: 512 as never })).rejects.toThrow(
      RangeError,
    )
    await expect(createVolume(folder, { size: MiB, keyring: undefined as never })).rejects.toThrow(TypeError)
    const context = { "kms-envelope:volume-id": "mine" }
    const other = join(await temporaryFolder(), "x")
    await expect(createVolume(other, { size: MiB, keyring: aesKeyring(), encryptionContext: context })).rejects.toThrow(
      TypeError,
    )
  })
})

describe("the key in KMS", () => {
  async function world() {
    const kms = LocalKms.inMemory()
    onTestFinished(() => kms.close())
    const client = kms.client()
    const keyArn = (await client.send(new CreateKeyCommand({}))).KeyMetadata!.Arn!
    const keyring = kmsKeyring({ client, generatorKeyId: keyArn })
    const folder = join(await temporaryFolder(), "disk.vol")
    const { volumeId } = await createVolume(folder, { size: MiB, keyring, encryptionContext: { team: "a" } })
    return { kms, client, keyArn, keyring, folder, volumeId }
  }

  // VOL-2.1, VOL-7.1
  test("is generated without plaintext and decrypted once, under a context that names id, size and block size", async () => {
    const { kms, keyring, folder, volumeId } = await world()
    for (let i = 0; i < 2; i++) {
      await using volume = await attachVolume(folder, { keyring })
      await volume.write(0, counting(100))
    }
    const calls = (await kms.events()).filter(({ eventName }) => eventName !== "CreateKey")
    expect(calls.map(({ eventName }) => eventName)).toEqual(["GenerateDataKeyWithoutPlaintext", "Decrypt", "Decrypt"])
    for (const { requestParameters } of calls) {
      expect((requestParameters as { encryptionContext: object }).encryptionContext).toEqual({
        team: "a",
        "kms-envelope:volume-id": volumeId,
        "kms-envelope:volume-size": `${MiB}`,
        "kms-envelope:block-size": "4096",
      })
    }
    const summary = await inspectVolume(folder)
    expect(summary).toMatchObject({ volumeId, size: MiB, blockSize: 4096, clean: true })
  })

  test("disabled leaves an attached volume working, and makes the next attach fail with an event", async () => {
    const { client, keyArn, keyring, folder } = await world()
    const seen = events()
    const volume = await attachVolume(folder, { keyring })
    await client.send(new DisableKeyCommand({ KeyId: keyArn }))
    await volume.write(0, counting(200))
    await volume.flush()
    expect(Buffer.from(await volume.read(0, 200)).equals(counting(200))).toBe(true)
    await volume.detach()
    const error = await attachVolume(folder, { keyring }).catch((reason) => reason)
    expect(error).toMatchObject({ code: "KmsError", name: "DisabledException" })
    expect(seen.at(-1)).toMatchObject({ event: "attach-failed", error })
    await client.send(new EnableKeyCommand({ KeyId: keyArn }))
    await using again = await attachVolume(folder, { keyring })
    expect(Buffer.from(await again.read(0, 200)).equals(counting(200))).toBe(true)
  })

  test("of another kind, or wrong, is told", async () => {
    const { folder } = await world()
    expect(await codeOf(() => attachVolume(folder, { keyring: aesKeyring() }))).toBe("NoMatchingKey")
    const own = await newFolder()
    const wrong = aesKeyring(undefined, counting(32, 1))
    expect(await codeOf(() => attachVolume(own, { keyring: wrong }))).toBe("UnwrapFailed")
    expect(await codeOf(() => attachVolume(join(own, "none"), { keyring: wrong }))).toBe("MalformedVolume")
  })

  test("wrapped by a keyring that cannot generate without plaintext is overwritten at creation, and at detach", async () => {
    const keys: Uint8Array[] = []
    const inner = aesKeyring()
    const keep = (key: Uint8Array): Uint8Array => {
      keys.push(key)
      return key
    }
    const keyring: Keyring = {
      name: "watched",
      wrap: async (request) => {
        const result = await inner.wrap(request)
        keep(result.dataKey)
        return result
      },
      unwrap: async (request) => keep((await inner.unwrap(request))!),
    }
    const folder = join(await temporaryFolder(), "v")
    await createVolume(folder, { size: MiB, keyring })
    expect(keys).toHaveLength(1)
    expect(keys[0]!.every((byte) => byte === 0)).toBe(true)
    const volume = await attachVolume(folder, { keyring })
    expect(keys[1]!.some((byte) => byte !== 0)).toBe(true)
    await volume.detach()
    expect(keys[1]!.every((byte) => byte === 0)).toBe(true)
    expect(await codeOf(() => volume.read(0, 1))).toBe("Closed")
    expect(await codeOf(() => volume.flush())).toBe("Closed")
  })
})

describe("what the disk does", () => {
  test("a full disk is an error of the write, and what was there stays and can be detached", async () => {
    const disk = await newVolume({ size: 4 * MiB })
    const volume = await attach(disk)
    await volume.write(0, new Uint8Array(100 * BLOCK).fill(7))
    await volume.flush()
    disk.capacity = 100 * BLOCK + 64 * KiB
    const error = await volume.write(200 * BLOCK, new Uint8Array(100 * BLOCK).fill(8)).catch((reason) => reason)
    expect(error).toMatchObject({ code: "VolumeIo", cause: { code: "ENOSPC" } })
    expect((await volume.read(0, 100 * BLOCK)).every((byte) => byte === 7)).toBe(true)
    expect((await volume.read(200 * BLOCK, BLOCK)).every((byte) => byte === 0)).toBe(true)
    expect((await volume.scrub()).damaged).toEqual([])
    disk.capacity = Number.POSITIVE_INFINITY
    await volume.write(200 * BLOCK, new Uint8Array(BLOCK).fill(9))
    await volume.detach()
    const again = await attach(disk)
    expect((await again.read(200 * BLOCK, 1))[0]).toBe(9)
    expect((await again.scrub()).damaged).toEqual([])
    await again.detach()
  })

  // VOL-6.4
  test("a synchronisation that failed ends writing until the volume is attached again", async () => {
    const disk = await newVolume()
    const seen = events()
    const volume = await attach(disk)
    await volume.write(0, new Uint8Array(50 * BLOCK).fill(1))
    await volume.flush()
    await volume.write(0, new Uint8Array(50 * BLOCK).fill(2))
    disk.fault = (operation, name) => (operation === "sync" && name.startsWith("data") ? "EIO" : undefined)
    expect(await codeOf(() => volume.flush())).toBe("VolumeIo")
    disk.fault = undefined
    expect(await codeOf(() => volume.write(0, counting(1)))).toBe("VolumeIo")
    expect((await volume.read(0, 1))[0]).toBe(2)
    expect(seen.some(({ event }) => event === "failed")).toBe(true)
    expect(await codeOf(() => volume.detach())).toBe("VolumeIo")
    const again = await attach(disk)
    expect((await again.scrub()).damaged).toEqual([])
    await again.detach()
  })

  test("a volume attached for reading only writes nothing, even where it was not detached", async () => {
    const disk = await newVolume()
    const volume = await attach(disk)
    await volume.write(0, counting(200))
    const files = disk.copy()
    const reader = await attach(simDisk(files, true))
    expect(Buffer.from(await reader.read(0, 200)).equals(counting(200))).toBe(true)
    expect(await codeOf(() => reader.write(0, counting(1)))).toBe("ReadOnlyVolume")
    expect(await codeOf(() => reader.trim(0, BLOCK))).toBe("ReadOnlyVolume")
    await reader.flush()
    await reader.detach()
    expect(reader.readOnly).toBe(true)
    const folder = await newFolder()
    await using onDisk = await attachVolume(folder, { keyring: aesKeyring(), readOnly: true })
    expect(await codeOf(() => onDisk.write(0, counting(1)))).toBe("ReadOnlyVolume")
    await volume.detach()
  })
})

describe("one volume over its life", () => {
  // VOL-2.4, VOL-2.5, VOL-4.5, VOL-9.2
  test("uses a new epoch for each time it is written, on demand and when one is full; settle drops those unused", async () => {
    const disk = await newVolume()
    for (let i = 0; i < 3; i++) {
      const volume = await attach(disk)
      await volume.write(i * BLOCK, counting(100))
      await volume.detach()
    }
    // Reading takes none.
    await (await attach(disk)).detach()
    const volume = await attach(disk, { epochLimits: { seals: 3000, bytes: 2 ** 40 } })
    expect((await volume.info()).epochs).toBe(3)
    await volume.newEpoch()
    expect((await volume.info()).epochs).toBe(4)
    await volume.newEpoch()
    for (let i = 0; i < 3000; i++) await volume.write((i % 250) * BLOCK, counting(100))
    expect((await volume.info()).epochs).toBeGreaterThan(5)
    await volume.settle()
    expect((await volume.info()).epochs).toBeLessThan(5)
    expect((await volume.scrub()).damaged).toEqual([])
    await volume.detach()
    const again = await attach(disk)
    expect((await again.scrub()).damaged).toEqual([])
    await again.detach()
  })

  test("grows, and its new part is zeros", async () => {
    const disk = await newVolume({ size: 100 * BLOCK + 512 })
    const volume = await attach(disk)
    await volume.write(100 * BLOCK, new Uint8Array(512).fill(5))
    await volume.resize(20_000 * BLOCK)
    expect(volume.size).toBe(20_000 * BLOCK)
    expect((await volume.read(100 * BLOCK, 512)).every((byte) => byte === 5)).toBe(true)
    expect((await volume.read(100 * BLOCK + 512, 64 * KiB)).every((byte) => byte === 0)).toBe(true)
    await volume.write(19_999 * BLOCK, counting(10))
    await expect(volume.resize(BLOCK)).rejects.toThrow(RangeError)
    await volume.detach()
    const again = await attach(disk)
    expect(Buffer.from(await again.read(19_999 * BLOCK, 10)).equals(counting(10))).toBe(true)
    expect((await again.read(100 * BLOCK, 1))[0]).toBe(5)
    await again.detach()
  })

  test("settle gives the space of rewritten and trimmed blocks back", async () => {
    const disk = await newVolume({ size: 4 * MiB })
    const volume = await attach(disk)
    for (let i = 0; i < 3; i++) {
      await volume.write(0, new Uint8Array(2 * MiB).fill(i + 1))
      await volume.flush()
    }
    await volume.trim(MiB, 3 * MiB)
    const { before, after } = await volume.settle()
    expect(before).toBe(4 * MiB)
    expect(after).toBe(MiB)
    expect((await volume.read(0, MiB)).every((byte) => byte === 3)).toBe(true)
    await volume.detach()
  })

  test("scrub reports progress, keeps to a rate and can be aborted", async () => {
    const disk = await newVolume({ size: 4 * MiB })
    const volume = await attach(disk)
    await volume.write(0, new Uint8Array(2 * MiB).fill(1))
    const progress: number[] = []
    const start = performance.now()
    const { verifiedBytes } = await volume.scrub({
      maxBytesPerSecond: 20 * MiB,
      onProgress: (now) => void progress.push(now.verifiedBytes),
    })
    expect(performance.now() - start).toBeGreaterThan(80)
    expect(verifiedBytes).toBe(2 * MiB)
    expect(progress.at(-1)).toBe(2 * MiB)
    await expect(volume.scrub({ signal: AbortSignal.abort() })).rejects.toThrow("abort")
    await volume.detach()
  })

  test("zeros that must be fast are refused where blocks would be written", async () => {
    const disk = await newVolume()
    const volume = await attach(disk)
    await volume.writeZeroes(0, 4 * BLOCK, { fast: true })
    await expect(volume.writeZeroes(1, BLOCK, { fast: true })).rejects.toMatchObject({ code: "ENOTSUP" })
    await expect(volume.writeZeroes(0, BLOCK, { fast: true, noHole: true })).rejects.toMatchObject({ code: "ENOTSUP" })
    await expect(volume.read(MiB, 1)).rejects.toThrow(RangeError)
    await volume.detach()
  })
})

describe("an anchor (VOL-9.1)", () => {
  test.each(["checkpoint", "flush"] as const)(
    "that advances with each %s refuses an older state and one attached elsewhere",
    async (advanceAnchor) => {
      const anchor = fileAnchor(join(await temporaryFolder(), "anchor"))
      const disk = await newVolume()
      const options = { anchor, advanceAnchor }
      const first = await attach(disk, options)
      await first.write(0, counting(100))
      await first.flush()
      const early = disk.copy()
      await first.write(0, counting(100, 1))
      await first.flush()
      const late = disk.copy()
      if (advanceAnchor === "flush") {
        expect(await codeOf(() => attach(simDisk(early), options))).toBe("VolumeRollback")
        const crashed = await attach(simDisk(late, true), options)
        expect((await crashed.read(0, 1))[0]).toBe(1)
        await crashed.detach()
      }
      await first.detach()
      expect(await codeOf(() => attach(simDisk(early), options))).toBe("VolumeRollback")
      // The same volume attached on two machines: the second to write is told.
      const one = await attach(disk, options)
      const two = await attach(simDisk(disk.copy()), options)
      await one.write(0, counting(1))
      expect(await codeOf(() => two.write(0, counting(1)))).toBe("VolumeRollback")
      await two.detach().catch(() => {})
      await one.detach()
      expect(await codeOf(() => attach(simDisk(late), options))).toBe("VolumeRollback")
    },
  )
})

describe("processes", () => {
  const program = join(tmpdir(), `volume-holder-${process.pid}.mjs`)
  folders.push(program)
  buildSync({
    entryPoints: ["test/volume/holder.ts"],
    bundle: true,
    outfile: program,
    format: "esm",
    platform: "node",
    packages: "external",
  })

  async function holder(folder: string, mode: string): Promise<{ child: ChildProcess; lines: string[] }> {
    const child = spawn(process.execPath, [program, folder, mode], { stdio: ["ignore", "pipe", "inherit"] })
    onTestFinished(() => void child.kill("SIGKILL"))
    const lines: string[] = []
    let rest = ""
    await new Promise<void>((resolve, reject) => {
      child.stdout!.on("data", (data) => {
        const parts = (rest + data).split("\n")
        rest = parts.pop()!
        lines.push(...parts)
        if (lines[0] === "attached") resolve()
      })
      child.once("exit", () => reject(new Error("ended early")))
    })
    return { child, lines }
  }

  // VOL-8.1
  test("a volume is attached once at a time, until its process ends in whatever way", async () => {
    const folder = await newFolder()
    {
      await using _held = await attachVolume(folder, { keyring: aesKeyring() })
      expect(await codeOf(() => attachVolume(folder, { keyring: aesKeyring() }))).toBe("VolumeInUse")
    }
    const { child } = await holder(folder, "hold")
    expect(await codeOf(() => attachVolume(folder, { keyring: aesKeyring() }))).toBe("VolumeInUse")
    child.kill("SIGKILL")
    await once(child, "exit")
    const attempts = await Promise.allSettled(
      Array.from({ length: 5 }, () => attachVolume(folder, { keyring: aesKeyring() })),
    )
    const won = attempts.flatMap((attempt) => (attempt.status === "fulfilled" ? [attempt.value] : []))
    expect(won).toHaveLength(1)
    await won[0]!.detach()
    expect((await readdir(folder)).filter((name) => name.startsWith("lock"))).toHaveLength(1)
  })

  test("the lock works where the folder's path is too long for a socket", async () => {
    const folder = join(await temporaryFolder(), "x".repeat(120))
    await createVolume(folder, { size: MiB, keyring: aesKeyring() })
    await using volume = await attachVolume(folder, { keyring: aesKeyring() })
    expect(await codeOf(() => attachVolume(folder, { keyring: aesKeyring() }))).toBe("VolumeInUse")
    await volume.write(0, counting(1))
  })

  test.each(["SIGKILL", "SIGTERM"] as const)(
    "%s loses nothing flushed, and SIGTERM leaves the volume clean",
    async (signal) => {
      const folder = await newFolder()
      const seen = events()
      const { child, lines } = await holder(folder, "write")
      while (lines.length < 20) await new Promise((resolve) => setTimeout(resolve, 20))
      child.kill(signal)
      await once(child, "exit")
      await using volume = await attachVolume(folder, { keyring: aesKeyring() })
      expect(seen.some(({ event }) => event === "recovered")).toBe(signal === "SIGKILL")
      const flushed = Number(lines.at(-1))
      for (let i = Math.max(1, flushed - 150); i <= flushed; i++) {
        const block = await volume.read((i % 200) * BLOCK, BLOCK)
        expect(new Set(block).size).toBe(1)
        // A later write to the same block may have come.
        expect([i & 0xff, (i + 200) & 0xff]).toContain(block[0])
      }
      expect((await volume.scrub()).damaged).toEqual([])
    },
  )
})
