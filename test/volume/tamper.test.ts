import { subscribe, unsubscribe } from "node:diagnostics_channel"
import { describe, expect, test } from "vitest"
import { EnvelopeError } from "../../src/core/index.ts"
import type { VolumeEvent } from "../../src/volume/index.ts"
import { type Random, runSeed, seeded } from "../support/random.ts"
import { simDisk } from "./sim-disk.ts"
import { attach, KiB, newVolume, randomBytes } from "./support.ts"

const BLOCK = 4096
const SIZE = 200 * BLOCK
type Files = Map<string, Uint8Array>

/** A volume, detached, with data, rewritten blocks and holes. */
async function detached(random: Random): Promise<{ files: Files; contents: Uint8Array; older: Files }> {
  const disk = await newVolume({ size: SIZE })
  const contents = new Uint8Array(SIZE)
  let older: Files = new Map()
  for (let session = 0; session < 3; session++) {
    const volume = await attach(disk)
    for (let i = 0; i < 40; i++) {
      const offset = random.int(150) * BLOCK
      const data = randomBytes(random, BLOCK * (1 + random.int(4)))
      await volume.write(offset, data)
      contents.set(data, offset)
      if (i % 7 === 0) await volume.flush()
    }
    await volume.detach()
    if (session === 1) older = disk.copy()
  }
  return { files: disk.copy(), contents, older }
}

/** Reads each block: its data, or an error of ours. @returns how many failed */
async function readAll(files: Files, contents: Uint8Array): Promise<number> {
  const volume = await attach(simDisk(files, true))
  let failed = 0
  for (let offset = 0; offset < SIZE; offset += BLOCK) {
    try {
      const block = await volume.read(offset, BLOCK)
      expect(Buffer.from(block).equals(contents.subarray(offset, offset + BLOCK))).toBe(true)
    } catch (error) {
      expect((error as EnvelopeError).code).toBe("TamperedVolume")
      failed++
    }
  }
  const { damaged } = await volume.scrub()
  expect(damaged.length > 0).toBe(failed > 0)
  await volume.detach()
  return failed
}

/** The same where the volume may be refused as a whole. */
async function readOrRefused(files: Files, contents: Uint8Array): Promise<number | string> {
  try {
    return await readAll(files, contents)
  } catch (error) {
    if (error instanceof EnvelopeError) return error.code
    throw error
  }
}

const edit = (files: Files, name: string, change: (bytes: Uint8Array) => Uint8Array | undefined): Files => {
  const copy = new Map<string, Uint8Array>([...files].map(([key, bytes]) => [key, bytes.slice()]))
  const changed = change(copy.get(name)!)
  if (changed === undefined) copy.delete(name)
  else copy.set(name, changed)
  return copy
}

describe("a volume that was detached", async () => {
  const random = seeded(runSeed())
  const { files, contents, older } = await detached(random)
  const other = await detached(random)
  const names = [...files.keys()].filter((name) => name !== "lock")
  const dataNames = names.filter((name) => name.startsWith("data."))
  const mapNames = names.filter((name) => name.startsWith("map."))

  test("reads as what was written", async () => {
    expect(await readAll(files, contents)).toBe(0)
    expect(names.filter((name) => name.startsWith("log."))).toEqual([])
  })

  // VOL-7.5
  test("a flipped bit of a data file is an error for its block at most", async () => {
    let errors = 0
    for (const name of dataNames) {
      for (let i = 0; i < 12; i++) {
        const changed = edit(files, name, (bytes) => {
          bytes[random.int(bytes.length)]! ^= 1 << random.int(8)
          return bytes
        })
        const failed = await readAll(changed, contents)
        expect(failed).toBeLessThanOrEqual(1)
        errors += failed
      }
    }
    expect(errors).toBeGreaterThan(0)
  })

  // VOL-4.3, VOL-4.4
  test("blocks swapped within a file, between the files and between volumes are errors", async () => {
    for (let i = 0; i < 12; i++) {
      const name = random.pick(dataNames)
      const changed = edit(files, name, (bytes) => {
        const [a, b] = [random.int(100), random.int(100)]
        const first = bytes.slice(a * BLOCK, (a + 1) * BLOCK)
        bytes.copyWithin(a * BLOCK, b * BLOCK, (b + 1) * BLOCK)
        bytes.set(first, b * BLOCK)
        return bytes
      })
      expect(await readAll(changed, contents)).toBeLessThanOrEqual(2)
    }
    for (const name of dataNames) {
      expect(
        await readAll(
          edit(files, name, () => other.files.get(name)!.slice()),
          contents,
        ),
      ).toBeGreaterThan(0)
      expect(
        await readAll(
          edit(files, name, () => files.get(dataNames.find((n) => n !== name)!)!.slice()),
          contents,
        ),
      ).toBeGreaterThan(0)
    }
  })

  test("older blocks and nodes put back, zeroed, cut and missing files are errors, never zeros or old data", async () => {
    for (const name of [...dataNames, ...mapNames]) {
      const size = files.get(name)!.length
      const changes: ((bytes: Uint8Array) => Uint8Array | undefined)[] = [
        () => older.get(name) ?? new Uint8Array(0),
        (bytes) => bytes.fill(0),
        (bytes) => bytes.subarray(0, Math.floor(size / 3)),
        () => undefined,
      ]
      for (const change of changes) {
        const result = await readOrRefused(edit(files, name, change), contents)
        if (typeof result === "string") expect(result).toBe("TamperedVolume")
      }
    }
    const nodes = files.get("map.0.a") ?? files.get("map.0.b")!
    expect(nodes.length).toBeGreaterThan(0)
    const broken = mapNames.reduce((all, name) => edit(all, name, (bytes) => bytes.fill(0)), files)
    expect(await readAll(broken, contents)).toBe(SIZE / BLOCK)
  })

  // VOL-3.1, VOL-3.2, VOL-3.4
  test("a changed, exchanged, older or missing header refuses the volume", async () => {
    const generations = names.filter((name) => name.startsWith("header."))
    expect(generations).toHaveLength(2)
    const volume = await attach(simDisk(files, true))
    const newest = `header.${(await volume.info()).generation % 2}`
    await volume.detach()
    for (let i = 0; i < 10; i++) {
      const result = await readOrRefused(
        edit(files, newest, (bytes) => {
          bytes[random.int(bytes.length)]! ^= 1 << random.int(8)
          return bytes
        }),
        contents,
      )
      expect(["TamperedVolume", "MalformedVolume", "UnsupportedFormat", "UnwrapFailed", "NoMatchingKey"]).toContain(
        result,
      )
    }
    expect(
      await readOrRefused(
        edit(files, newest, () => undefined),
        contents,
      ),
    ).toBe("TamperedVolume")
    expect(
      await readOrRefused(
        edit(files, newest, () => older.get(newest)!),
        contents,
      ),
    ).not.toBe(0)
    const exchanged = new Map(files)
    exchanged.set("header.0", files.get("header.1")!)
    exchanged.set("header.1", files.get("header.0")!)
    expect(await readOrRefused(exchanged, contents)).toBe("MalformedVolume")
    expect(
      await readOrRefused(
        edit(files, newest, () => other.files.get(newest)!),
        contents,
      ),
    ).not.toBe(0)
  })

  // VOL-3.3
  test("the header of a volume never attached counts only where nothing was written", async () => {
    const fresh = await newVolume({ size: SIZE })
    const first = fresh.copy().get("header.0")!
    const empty = await attach(simDisk(new Map([["header.0", first]]), true))
    expect((await empty.read(0, SIZE)).every((byte) => byte === 0)).toBe(true)
    await empty.detach()
    for (const name of ["data.a", "map.0.b", "log.1"]) {
      const disk = simDisk(
        new Map([
          ["header.0", first],
          [name, new Uint8Array(1)],
        ]),
      )
      await expect(attach(disk)).rejects.toMatchObject({ code: "TamperedVolume" })
    }
    await (await attach(fresh)).detach()
    expect(
      fresh
        .copy()
        .get("header.1")!
        .subarray(-32)
        .some((byte) => byte !== 0),
    ).toBe(true)
  })
})

/** A volume whose power went. */
async function crashed(random: Random): Promise<{ files: Files; contents: Uint8Array; before: Files }> {
  const disk = await newVolume({ size: SIZE })
  const contents = new Uint8Array(SIZE)
  const volume = await attach(disk)
  let before: Files = new Map()
  for (let i = 0; i < 30; i++) {
    const offset = random.int(150) * BLOCK
    const data = randomBytes(random, BLOCK)
    await volume.write(offset, data)
    contents.set(data, offset)
    await volume.flush()
    if (i === 15) before = disk.copy()
  }
  return { files: disk.copy(), contents, before }
}

/** Attaches a volume, finds it whole, and detaches it. */
async function eventsOfAttach(files: Files): Promise<VolumeEvent[]> {
  const events: VolumeEvent[] = []
  const listener = (message: unknown) => void events.push(message as VolumeEvent)
  subscribe("kms-envelope:volume", listener)
  try {
    const volume = await attach(simDisk(files))
    expect((await volume.scrub()).damaged).toEqual([])
    await volume.detach()
  } finally {
    unsubscribe("kms-envelope:volume", listener)
  }
  return events
}

describe("a volume that was not detached", async () => {
  const random = seeded(runSeed())
  const { files, contents, before } = await crashed(random)
  const logName = [...files.keys()].find((name) => name.startsWith("log."))!

  // VOL-7.2, VOL-7.3
  test("recovers all that was flushed", async () => {
    expect(await readAll(files, contents)).toBe(0)
  })

  test("without the log that its header names is refused", async () => {
    expect(
      await readOrRefused(
        edit(files, logName, () => undefined),
        contents,
      ),
    ).toBe("TamperedVolume")
  })

  test("with a record changed before a valid one that says it was durable is refused", async () => {
    for (let i = 0; i < 10; i++) {
      const at = random.int(60 * KiB)
      const changed = edit(files, logName, (bytes) => {
        bytes[at]! ^= 1
        return bytes
      })
      expect(await readOrRefused(changed, contents)).toBe("TamperedVolume")
    }
  })

  test("cut at its end goes back to an earlier state, and says so by its sequence numbers", async () => {
    const shorter = edit(files, logName, (bytes) => bytes.fill(0, 40 * KiB))
    const events = await eventsOfAttach(shorter)
    // VOL-7.4
    const recovered = events.find(({ event }) => event === "recovered")!
    expect(recovered.lastSequence).toBeLessThan(30)
    expect(recovered.lastSequence).toBeGreaterThan(5)
  })

  // VOL-3.5
  test("whose newest header is damaged goes back to the one before, and says so", async () => {
    const damaged = edit(files, "header.0", (bytes) => bytes.subarray(1))
    expect((await eventsOfAttach(damaged)).map(({ event }) => event)).toContain("older-header")
    expect((await eventsOfAttach(files)).map(({ event }) => event)).not.toContain("older-header")
  })

  test("set back as a whole is valid, and only an anchor can tell", async () => {
    const volume = await attach(simDisk(before))
    expect((await volume.scrub()).damaged).toEqual([])
    await volume.detach()
  })
})
