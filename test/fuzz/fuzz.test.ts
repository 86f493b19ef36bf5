import { describe, expect, it } from "vitest"
import { decrypt, EnvelopeError } from "../../src/index.ts"
import { readReference } from "../reference/read.ts"
import { referenceSuites } from "../reference/suites.ts"
import { writeReference } from "../reference/write.ts"
import { type Random, runSeed, seeded } from "../support/random.ts"
import { randomContext, randomSizes } from "../support/random-messages.ts"
import { readers } from "../support/readers.ts"
import { mutate } from "./mutate.ts"
import { buildPool, POOL_KEYS, POOL_READER_KEYS, poolKeyring } from "./pool.ts"
import { checkRules, hex } from "./rules.ts"

/** Mutated messages; `FUZZ_CASES` sets another number (100,000 in the full run), `TEST_SEED` the first seed. */
const CASES = Number(process.env.FUZZ_CASES ?? 1000)
const timeout = 60_000 + CASES * 20
const POOL_SEED = 1

const STRANGE_CASES = Math.ceil(CASES / 5)

describe("Mutated messages", () => {
  it(`give an EnvelopeError and never another plaintext (${CASES} cases)`, { timeout }, async () => {
    const pool = await buildPool(seeded(POOL_SEED))
    const first = runSeed()
    for (let i = 0; i < CASES; i++) {
      const random = seeded(first + i)
      const from = random.pick(pool)
      const bytes = mutate(from, random.pick(pool), random)
      try {
        await checkRules(bytes, pool, random)
      } catch (error) {
        const what = (error as Error).message
        throw new Error(`seed ${first + i}, from ${from.name}: ${what}\n${hex(bytes)}`, { cause: error })
      }
    }
  })

  it("are accepted in every way as long as they are not mutated", async () => {
    const pool = await buildPool(seeded(POOL_SEED))
    expect(pool.length).toBe(7 * 7 + 7 * 5)
    for (const { bytes } of pool) await checkRules(bytes, pool, seeded(bytes[40]!))
  })
})

describe("Messages with a strange header under a valid tag", () => {
  it(`are read as the second implementation reads them (${STRANGE_CASES} cases)`, { timeout }, async () => {
    const first = runSeed()
    const counts = { accepted: 0, refused: 0 }
    for (let i = 0; i < STRANGE_CASES; i++) {
      const random = seeded(first + i)
      const bytes = strangeMessage(random)
      const theirs = await outcome(() => readReference(bytes, POOL_READER_KEYS).plaintext)
      const ours = await outcome(
        async () =>
          (await decrypt(bytes, { keyring: poolKeyring, commitmentPolicy: "RequireEncryptAllowDecrypt" })).plaintext,
      )
      if (ours instanceof Error && !(ours instanceof EnvelopeError)) throw ours
      // Our limits are not the format's.
      if (ours instanceof EnvelopeError && ours.code === "LimitExceeded") continue
      const agree =
        ours instanceof Error || theirs instanceof Error
          ? ours instanceof Error && theirs instanceof Error
          : Buffer.compare(ours, theirs) === 0
      if (!agree) throw new Error(`seed ${first + i}: ours ${ours}, reference ${theirs}\n${hex(bytes)}`)
      // The other ways of reading must come to the same end.
      const reader = random.pick(readers.filter(({ checksSignature }) => checksSignature))
      const again = await outcome(() =>
        reader.read(bytes, { keyring: poolKeyring, commitmentPolicy: "RequireEncryptAllowDecrypt" }),
      )
      const same =
        again instanceof Error || ours instanceof Error
          ? again instanceof Error && ours instanceof Error
          : Buffer.compare(again, ours) === 0
      if (!same) throw new Error(`seed ${first + i}: whole ${ours}, ${reader.name} ${again}\n${hex(bytes)}`)
      counts[ours instanceof Error ? "refused" : "accepted"]++
    }
    expect(counts.accepted).toBeGreaterThan(0)
    expect(counts.refused).toBeGreaterThan(0)
  })
})

const outcome = async (work: () => Uint8Array | Promise<Uint8Array>): Promise<Uint8Array | Error> => {
  try {
    return await work()
  } catch (error) {
    return error as Error
  }
}

/** The header is edited before it is tagged and signed, as by a writer that holds the data key. */
function strangeMessage(random: Random): Uint8Array {
  const { frameLength, length } = randomSizes(random, [1, 16, 100])
  return writeReference({
    suiteId: random.pick(referenceSuites).id,
    plaintext: random.bytes(length),
    frameLength: random.chance(0.2) ? 0 : frameLength,
    wrapUnder: random.chance(0.3) ? POOL_READER_KEYS : POOL_KEYS,
    context: Object.entries(randomContext(random)),
    emptyFinalFrame: random.chance(0.5),
    randomHeaderIv: random.chance(0.5),
    editHeader: (body) => {
      const edited = new Uint8Array(body)
      for (let edits = random.int(3); edits > 0; edits--) edited[random.int(edited.length)]! ^= 1 << random.int(8)
      return edited
    },
    ...(frameLength > 0 && random.chance(0.3) && { frames: strangeFrames(length, frameLength, random) }),
    ...(random.chance(0.3) && { editStored: (pairs: [string, string][]) => strangePairs(pairs, random) }),
  }).bytes
}

/** Frames of any kind, many of which are as long as regular ones in the message. */
function strangeFrames(length: number, frameLength: number, random: Random): { final: boolean; length: number }[] {
  const frames: { final: boolean; length: number }[] = []
  for (let left = length; left > 0 && frames.length < 100; left -= frames[frames.length - 1]!.length) {
    const final = random.chance(0.2)
    const full = final && random.chance(0.5) ? frameLength - 8 : frameLength
    frames.push({ final, length: Math.min(Math.max(full, 1), left) })
  }
  return [...frames, { final: random.chance(0.8), length: 0 }].slice(0, random.chance(0.5) ? undefined : -1)
}

function strangePairs(pairs: [string, string][], random: Random): [string, string][] {
  const edits = [
    () => [...pairs].reverse(),
    () => [...pairs, ...pairs.slice(0, 1)],
    () => pairs.slice(1),
    () => [...pairs, ["aws-crypto-public-key", "AAAA"] as [string, string]],
    () => [["\u0000", ""] as [string, string], ...pairs],
  ]
  return random.pick(edits)()
}
