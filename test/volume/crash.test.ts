import { expect, test } from "vitest"
import type { Volume } from "../../src/volume/index.ts"
import { type Random, runSeed, seededCase } from "../support/random.ts"
import type { SimDisk } from "./sim-disk.ts"
import { attach, newVolume, randomBytes } from "./support.ts"

/** Power cuts; `VOLUME_CRASH_CUTS` for the full run. */
const CUTS = Number(process.env.VOLUME_CRASH_CUTS ?? 60)
const BLOCK = 4096

/** All versions that a block ever was to have, and from which on it must be one after a crash. */
interface History {
  readonly versions: Uint8Array[]
  floor: number
}

interface World {
  readonly blocks: History[]
  volume: Volume
}

const newest = ({ versions }: History): Uint8Array => versions.at(-1)!

/** Notes a change before it is made. @returns what to call once it is acknowledged */
function change(world: World, block: number, make: (old: Uint8Array) => Uint8Array): void {
  const history = world.blocks[block]!
  history.versions.push(make(newest(history)))
}

async function flush(world: World): Promise<void> {
  const reached = world.blocks.map(({ versions }) => versions.length - 1)
  await world.volume.flush()
  for (const [i, history] of world.blocks.entries()) history.floor = Math.max(history.floor, reached[i]!)
}

async function write(world: World, random: Random): Promise<void> {
  const { size } = world.volume
  const aligned = random.chance(0.6)
  const offset = aligned ? random.int(size / BLOCK) * BLOCK : random.int(size)
  const most = random.chance(0.1) ? 20 * BLOCK : 3 * BLOCK
  const length = Math.min(size - offset, aligned ? Math.ceil(most / BLOCK) * BLOCK : 1 + random.int(most))
  const data = randomBytes(random, length)
  const first = Math.floor(offset / BLOCK)
  for (let block = first; block * BLOCK < offset + length; block++) {
    change(world, block, (old) => {
      const next = old.slice()
      const from = Math.max(offset, block * BLOCK)
      const to = Math.min(offset + length, (block + 1) * BLOCK)
      next.set(data.subarray(from - offset, to - offset), from - block * BLOCK)
      return next
    })
  }
  const reached = world.blocks.map(({ versions }) => versions.length - 1)
  const fua = random.chance(0.15)
  await world.volume.write(offset, data, { fua })
  if (!fua) return
  for (let block = first; block * BLOCK < offset + length; block++) world.blocks[block]!.floor = reached[block]!
}

async function punch(world: World, random: Random): Promise<void> {
  const first = random.int(world.blocks.length)
  const count = Math.min(world.blocks.length - first, random.chance(0.3) ? 200 : 1 + random.int(4))
  for (let block = first; block < first + count; block++) change(world, block, (old) => new Uint8Array(old.length))
  const { size } = world.volume
  const length = Math.min(size, (first + count) * BLOCK) - first * BLOCK
  if (random.chance(0.6)) await world.volume.trim(first * BLOCK, length)
  else await world.volume.writeZeroes(first * BLOCK, length, { noHole: random.chance(0.3) })
}

/** Blocks side by side, each written once, so that the order does not matter. */
async function writeMany(world: World, random: Random): Promise<void> {
  const blocks = new Set(Array.from({ length: 1 + random.int(12) }, () => random.int(world.blocks.length - 1)))
  await Promise.all(
    [...blocks].map((block) => {
      const data = randomBytes(random, BLOCK)
      change(world, block, () => data)
      return world.volume.write(block * BLOCK, data)
    }),
  )
}

async function workload(world: World, disk: SimDisk, random: Random, steps: number, options: object): Promise<void> {
  for (let i = 0; i < steps; i++) {
    const roll = random.int(100)
    if (roll < 35) await write(world, random)
    else if (roll < 55) await writeMany(world, random)
    else if (roll < 65) await punch(world, random)
    else if (roll < 85) await flush(world)
    else if (roll < 88) await world.volume.newEpoch()
    else if (roll < 91) await world.volume.settle()
    else if (roll < 93) {
      const size = world.volume.size + BLOCK * random.int(40)
      while (world.blocks.length * BLOCK < size) world.blocks.push({ versions: [new Uint8Array(BLOCK)], floor: 0 })
      await world.volume.resize(size)
    } else {
      const reached = world.blocks.map(({ versions }) => versions.length - 1)
      await world.volume.detach()
      for (const [j, history] of world.blocks.entries()) history.floor = reached[j]!
      world.volume = await attach(disk, options)
    }
  }
}

async function check(world: World, volume: Volume): Promise<void> {
  const bytes = Buffer.from(await volume.read(0, volume.size))
  for (let block = 0; block * BLOCK < volume.size; block++) {
    const { versions, floor } = world.blocks[block]!
    const found = bytes.subarray(block * BLOCK, (block + 1) * BLOCK)
    const version = versions.findLastIndex(
      (content, i) => i >= floor && found.equals(content.subarray(0, found.length)),
    )
    if (version < 0) throw new Error(`block ${block} is none of the versions ${floor} to ${versions.length - 1}`)
    // What is read stays.
    versions.splice(0, versions.length, versions[version]!)
    world.blocks[block]!.floor = 0
  }
  // A resize that was cut may not have happened.
  world.blocks.length = volume.size / BLOCK
  expect((await volume.scrub()).damaged).toEqual([])
}

/** Operations of the disk that a workload makes without a cut. */
async function countOperations(seed: number, steps: number): Promise<number> {
  let operations = 0
  await seededCase(seed, async (random) => {
    operations = (await start(random, steps, Number.POSITIVE_INFINITY)).disk.operations
  })
  return operations
}

async function start(random: Random, steps: number, cutAt: number) {
  const size = (random.pick([20, 140]) + random.int(4)) * BLOCK
  const disk = await newVolume({ size })
  disk.cutAt = cutAt
  const options = { epochLimits: { seals: random.pick([2000, 2 ** 28]), bytes: 2 ** 40 } }
  const blocks = Array.from({ length: size / BLOCK }, () => ({ versions: [new Uint8Array(BLOCK)], floor: 0 }))
  const world = { blocks } as unknown as World
  let completed = false
  try {
    world.volume = await attach(disk, options)
    await workload(world, disk, random, steps, options)
    completed = true
  } catch (error) {
    if (disk.operations < cutAt) throw error
  }
  return { disk, world, options, completed }
}

async function cutCase(seed: number, steps: number, cutAt: number): Promise<void> {
  await seededCase(seed, async (random) => {
    const { disk, world, options } = await start(random, steps, cutAt)
    let after = random.chance(0.2) ? disk.afterKill() : disk.afterPowerLoss(random)
    // The power may go again while it recovers.
    for (let again = 0; again < 3 && random.chance(0.4); again++) {
      after.cutAt = 1 + random.int(25)
      await attach(after, options)
        .then(
          (volume) => volume.detach(),
          (error) => {
            if (after.operations < after.cutAt) throw error
          },
        )
        .catch((error) => {
          if (after.operations < after.cutAt) throw error
        })
      after = after.afterPowerLoss(random)
    }
    const volume = await attach(after, options)
    await check(world, volume)
    // It goes on as if nothing had been.
    world.volume = volume
    await workload(world, after, random, 4, options)
    await world.volume.detach()
    const last = await attach(after, { ...options })
    for (const history of world.blocks) history.floor = history.versions.length - 1
    await check(world, last)
    await last.detach()
  })
}

// VOL-5.3, VOL-5.4, VOL-5.5, VOL-6.1, VOL-6.2, VOL-7.2, VOL-7.4
test(`${CUTS} power cuts lose nothing flushed and tear nothing`, { timeout: 36_000_000 }, async () => {
  const seed = runSeed()
  const steps = 25
  let left = CUTS
  for (let i = 0; left > 0; i++) {
    const operations = await countOperations(seed + i, steps)
    // Each workload at about fifty points; in a full run every workload at its share of them.
    const points = Math.min(left, 50)
    for (let point = 0; point < points; point++) {
      await cutCase(seed + i, steps, 1 + Math.floor((point * operations) / points))
    }
    left -= points
  }
})
