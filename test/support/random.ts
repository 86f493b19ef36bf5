/** A small seeded generator (xorshift128), so that a failing case can be run again from its seed. */
export interface Random {
  /** 0 to `below` - 1. */
  int(below: number): number
  bytes(length: number): Uint8Array
  pick<T>(items: readonly T[]): T
  chance(probability: number): boolean
}

export function seeded(seed: number): Random {
  const state = Uint32Array.of(seed, seed ^ 0x9e3779b9, seed ^ 0x85ebca6b, 0xc2b2ae35)
  const next = (): number => {
    let t = state[3]!
    const s = state[0]!
    state.copyWithin(1, 0, 3)
    t ^= t << 11
    t ^= t >>> 8
    state[0] = t ^ s ^ (s >>> 19)
    return state[0]!
  }
  for (let i = 0; i < 20; i++) next()
  const random: Random = {
    int: (below) => Math.floor((next() / 0x1_0000_0000) * below),
    bytes: (length) => Uint8Array.from({ length }, () => next() & 0xff),
    pick: (items) => items[random.int(items.length)]!,
    chance: (probability) => next() / 0x1_0000_0000 < probability,
  }
  return random
}

/** The seed of this run: `TEST_SEED`, or the clock. */
export const runSeed = (): number => Number(process.env.TEST_SEED ?? Date.now() % 0x1_0000_0000) >>> 0

/** Runs one seeded case; an error names the seed that repeats it. */
export async function seededCase(seed: number, run: (random: Random) => Promise<void>): Promise<void> {
  try {
    await run(seeded(seed))
  } catch (error) {
    const { message } = error as Error
    throw new Error(`case with seed ${seed} (repeat with TEST_SEED=${seed} and one case): ${message}`, { cause: error })
  }
}
