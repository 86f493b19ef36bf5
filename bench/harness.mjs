/**
 * Side-by-side timing: every round runs each candidate in turn, so that a machine that slows down slows all of them.
 * What counts is the ratio of medians; the spread says how quiet the machine was.
 */

/** @typedef {{ name: string, run: () => unknown, ours?: boolean }} Candidate */

const median = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]

/** Runs for about `milliseconds`. @returns calls a second */
async function rate(run, milliseconds) {
  const start = performance.now()
  let calls = 0
  let elapsed = 0
  do {
    await run()
    calls++
    elapsed = performance.now() - start
  } while (elapsed < milliseconds)
  return (calls * 1000) / elapsed
}

/**
 * @param {Candidate[]} candidates
 * @param {{ rounds?: number, milliseconds?: number }} [options]
 * @returns {Promise<{ name: string, ours: boolean, median: number, min: number, max: number }[]>} calls a second
 */
export async function compare(candidates, { rounds = 7, milliseconds = 150 } = {}) {
  const rates = candidates.map(() => [])
  for (const { run } of candidates) await rate(run, milliseconds)
  for (let round = 0; round < rounds; round++) {
    for (const [i, { run }] of candidates.entries()) rates[i].push(await rate(run, milliseconds))
  }
  return candidates.map(({ name, ours = false }, i) => ({
    name,
    ours,
    median: median(rates[i]),
    min: Math.min(...rates[i]),
    max: Math.max(...rates[i]),
  }))
}

const number = (value) => (value >= 100 ? Math.round(value).toLocaleString("en") : value.toPrecision(3))

/** Prints one line a candidate, with the ratio of ours to it. */
export function printComparison(title, results, unit = "/s", scale = 1) {
  const ours = results.find((result) => result.ours)
  console.log(`\n${title}`)
  for (const { name, median: mid, min, max } of results) {
    const spread = `${number(min * scale)} to ${number(max * scale)}`
    const ratio = ours.name === name ? "" : `  ours is ${(ours.median / mid).toFixed(2)} times this`
    console.log(`  ${name.padEnd(44)} ${number(mid * scale).padStart(9)} ${unit}  (${spread})${ratio}`)
  }
}

/** `--quick` halves nothing but time: fewer and shorter rounds. */
export const quick = process.argv.includes("--quick")
export const effort = quick ? { rounds: 3, milliseconds: 60 } : { rounds: 7, milliseconds: 200 }
