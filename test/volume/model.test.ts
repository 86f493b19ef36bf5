import { expect, test } from "vitest"
import type { Volume } from "../../src/volume/index.ts"
import { type Random, runSeed, seededCase } from "../support/random.ts"
import type { SimDisk } from "./sim-disk.ts"
import { attach, KiB, newVolume, randomBytes } from "./support.ts"

/** Operations in all; `VOLUME_MODEL_OPERATIONS` for the full run. */
const OPERATIONS = Number(process.env.VOLUME_MODEL_OPERATIONS ?? 2000)
const CASES = 8

/** What each byte may hold: one value, or those of writes that were under way together. */
class Model {
  readonly bytes: Uint8Array
  constructor(size: number) {
    this.bytes = new Uint8Array(size)
  }
}

/** A range at an offset and length as clients choose them: mostly aligned, often not, here and there long. */
function randomRange(random: Random, size: number, blockSize: number): { offset: number; length: number } {
  const unit = random.chance(0.5) ? blockSize : random.chance(0.5) ? 512 : 1
  const offset = Math.floor(random.int(size) / unit) * unit
  const most = random.chance(0.1) ? size : blockSize * 6
  const length = Math.min(size - offset, Math.ceil((1 + random.int(most)) / unit) * unit)
  return { offset, length }
}

/** Several writes at once, which may overlap: afterwards each block is as one order of them leaves it. */
async function concurrentWrites(volume: Volume, model: Model, random: Random, blockSize: number): Promise<void> {
  const { size } = volume
  const centre = random.int(size)
  const writes = Array.from({ length: 2 + random.int(5) }, () => {
    const offset = Math.max(0, Math.min(size - 1, centre + random.int(4 * blockSize) - 2 * blockSize))
    const length = Math.min(size - offset, random.chance(0.5) ? blockSize : 1 + random.int(3 * blockSize))
    const kind = random.pick(["write", "write", "write", "zero", "trim"] as const)
    return { offset, length, kind, data: randomBytes(random, length) }
  })
  const before = model.bytes.slice()
  await Promise.all(
    writes.map(({ offset, length, kind, data }) =>
      kind === "write"
        ? volume.write(offset, data)
        : kind === "zero"
          ? volume.writeZeroes(offset, length, { noHole: random.chance(0.5) })
          : volume.trim(offset, length),
    ),
  )
  const after = await volume.read(0, size)
  for (let block = 0; block * blockSize < size; block++) {
    const start = block * blockSize
    const end = Math.min(size, start + blockSize)
    const touching = writes.filter(({ offset, length }) => offset < end && offset + length > start)
    if (touching.length === 0) continue
    expect(isSomeOrder(before, after, start, end, size, touching)).toBe(true)
  }
  model.bytes.set(after)
}

/** Whether some order of the writes makes the block what it is. */
function isSomeOrder(
  before: Uint8Array,
  after: Uint8Array,
  start: number,
  end: number,
  size: number,
  writes: readonly { offset: number; length: number; kind: string; data: Uint8Array }[],
): boolean {
  const target = Buffer.from(after.subarray(start, end))
  const attempt = (block: Uint8Array, left: typeof writes): boolean => {
    if (left.length === 0) return target.equals(block)
    return left.some((write) => {
      const next = block.slice()
      const from = Math.max(start, write.offset)
      const to = Math.min(end, write.offset + write.length)
      if (write.kind === "write") next.set(write.data.subarray(from - write.offset, to - write.offset), from - start)
      // Trim leaves parts of blocks as they are.
      else if (write.kind === "zero" || (from === start && (to === end || to === size)))
        next.fill(0, from - start, to - start)
      return attempt(
        next,
        left.filter((other) => other !== write),
      )
    })
  }
  return attempt(before.slice(start, end), writes)
}

async function step(volume: Volume, model: Model, random: Random): Promise<void> {
  const { size, blockSize } = volume
  const { offset, length } = randomRange(random, size, blockSize)
  const roll = random.int(100)
  if (roll < 35) {
    const data = randomBytes(random, length)
    await volume.write(offset, data, { fua: random.chance(0.1) })
    model.bytes.set(data, offset)
  } else if (roll < 60) {
    expect(Buffer.from(await volume.read(offset, length)).equals(model.bytes.subarray(offset, offset + length))).toBe(
      true,
    )
  } else if (roll < 68) {
    await volume.trim(offset, length)
    const first = Math.ceil(offset / blockSize) * blockSize
    const end = offset + length === size ? size : Math.floor((offset + length) / blockSize) * blockSize
    if (end > first) model.bytes.fill(0, first, end)
  } else if (roll < 76) {
    await volume.writeZeroes(offset, length, { noHole: random.chance(0.3) })
    model.bytes.fill(0, offset, offset + length)
  } else if (roll < 86) {
    await volume.flush()
  } else if (roll < 94) {
    await concurrentWrites(volume, model, random, blockSize)
  } else if (roll < 97) {
    let at = offset
    for (const extent of await volume.blockStatus(offset, length)) {
      if (extent.hole) expect(model.bytes.subarray(at, at + extent.length).every((byte) => byte === 0)).toBe(true)
      at += extent.length
    }
    expect(at).toBe(offset + length)
  } else if (roll < 98) {
    await volume.settle()
  } else {
    expect((await volume.scrub()).damaged).toEqual([])
  }
}

async function runCase(random: Random, operations: number): Promise<void> {
  const blockSize = random.pick([4096, 4096, 4096, 16_384, 65_536] as const)
  const size = Math.ceil((random.pick([1, 130, 300]) * 4 * KiB + random.int(3) * 512) / 512) * 512
  let disk: SimDisk = await newVolume({ size, blockSize })
  const model = new Model(size)
  const options = {
    epochLimits: random.chance(0.3) ? { seals: 5000, bytes: 2 ** 40 } : { seals: 2 ** 28, bytes: 2 ** 40 },
  }
  let volume = await attach(disk, options)
  for (let i = 0; i < operations; i++) {
    await step(volume, model, random)
    if (!random.chance(0.02)) continue
    if (random.chance(0.5)) await volume.detach()
    // Killed: what was answered is there.
    else disk = disk.afterKill()
    volume = await attach(disk, options)
    expect(Buffer.from(await volume.read(0, size)).equals(model.bytes)).toBe(true)
  }
  await volume.detach()
}

// VOL-1.1, VOL-2.4, VOL-4.2, VOL-6.1, VOL-6.3
test(`${OPERATIONS} random operations leave what a plain array has`, { timeout: 3_600_000 }, async () => {
  const seed = runSeed()
  for (let i = 0; i < CASES; i++) await seededCase(seed + i, (random) => runCase(random, OPERATIONS / CASES))
})

test("small flushed writes beside large ones are all there after a kill", { timeout: 120_000 }, async () => {
  await seededCase(runSeed(), async (random) => {
    const size = 2000 * 4 * KiB
    const disk = await newVolume({ size })
    const volume = await attach(disk)
    const contents = new Uint8Array(size)
    const write = async (offset: number, length: number): Promise<void> => {
      const data = randomBytes(random, length)
      contents.set(data, offset)
      await volume.write(offset, data)
    }
    for (let i = 0; i < 1200; i++) {
      const half = size / 2
      const small = write(random.int(1000) * 4 * KiB, 4 * KiB).then(() => volume.flush())
      if (random.chance(0.2)) await Promise.all([small, write(half + random.int(900) * 4 * KiB, 100 * 4 * KiB)])
      await small
    }
    const again = await attach(disk.afterKill())
    expect(Buffer.from(await again.read(0, size)).equals(contents)).toBe(true)
    await again.detach()
    await volume.detach()
  })
})
