/**
 * Side-by-side timing: every round runs each candidate in turn, so that a machine that slows down slows all of them.
 * What counts is the ratio of medians; the spread says how quiet the machine was.
 */

/**
 * @typedef {object} Candidate
 * @property {string} name
 * @property {boolean} [ours]
 * @property {() => unknown} [run] one call
 * @property {(milliseconds: number) => number | Promise<number>} [measure] instead of `run`: calls a second, for programs
 *   that time themselves
 */

/**
 * @typedef {{ name: string, ours: boolean, median: number, min: number, max: number }} Result
 */

/**
 * What a figure is held against: the ratio of ours to `against` (how many times as fast, or as small where less is
 * better), or ours itself.
 *
 * @typedef {{ against?: string, ours?: string, atLeast?: number, stretch?: number, atMost?: number }} Check
 */

/** `--quick` changes nothing but effort: fewer and shorter rounds, smaller files. */
export const quick = process.argv.includes("--quick")
export const effort = quick ? { rounds: 3, milliseconds: 60 } : { rounds: 7, milliseconds: 200 }
/** For candidates that take a large part of a second. */
export const longEffort = { rounds: quick ? 2 : 5, milliseconds: 1, collect: true }

export const KiB = 1024
export const MiB = 1024 * KiB
export const GiB = 1024 * MiB

export function median(values) {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}

export const quantile = (values, part) =>
  [...values].sort((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * part))]

export const spread = (name, values, ours = false) => ({
  name,
  ours,
  median: median(values),
  min: Math.min(...values),
  max: Math.max(...values),
})

/**
 * `--cpu` counts the processor time of the process instead of the time that passes: for ratios on a machine that is busy
 * with other work. What several threads gain does not show then, and programs that time themselves are left as they are.
 */
const byCpu = process.argv.includes("--cpu")

/** @returns milliseconds */
function now() {
  if (!byCpu) return performance.now()
  const { user, system } = process.cpuUsage()
  return (user + system) / 1000
}

/** Runs for about `milliseconds`, at least once. @returns calls a second */
async function rate({ run, measure }, milliseconds, collect) {
  if (collect) globalThis.gc?.()
  if (measure !== undefined) return measure(milliseconds)
  const start = now()
  let calls = 0
  let elapsed = 0
  do {
    const result = run()
    if (result instanceof Promise) await result
    calls++
    elapsed = now() - start
  } while (elapsed < milliseconds)
  return (calls * 1000) / elapsed
}

/**
 * @param {Candidate[]} candidates
 * @param {{ rounds?: number, milliseconds?: number, collect?: boolean }} [options] `collect`: so that nobody pays for the
 *   large garbage of the candidate before
 * @returns {Promise<Result[]>} calls a second
 */
export async function compare(candidates, { rounds = 7, milliseconds = 150, collect = false } = {}) {
  const rates = candidates.map(() => [])
  for (const candidate of candidates) await rate(candidate, milliseconds, collect)
  for (let round = 0; round < rounds; round++) {
    for (const [i, candidate] of candidates.entries()) rates[i].push(await rate(candidate, milliseconds, collect))
  }
  return candidates.map(({ name, ours }, i) => spread(name, rates[i], ours))
}

/** Each candidate once a round, in turn; the first round warms up. @returns {Promise<Result[]>} what `once` answers */
export async function alternate(candidates, rounds, once, warmUp = 1) {
  const values = candidates.map(() => [])
  for (let round = -warmUp; round < rounds; round++) {
    for (const [i, candidate] of candidates.entries()) {
      const value = await once(candidate)
      if (round >= 0) values[i].push(value)
    }
  }
  return candidates.map(({ name, ours }, i) => spread(name, values[i], ours))
}

/** A figure of three digits or so. */
export const number = (value) =>
  value >= 100 ? Math.round(value).toLocaleString("en") : value >= 10 ? value.toFixed(1) : value.toPrecision(3)

/**
 * One measure of a part: printed here and, when `bench/run.mjs` started the part, handed to it.
 *
 * @param {{ measure: string, unit?: string, scale?: number, better?: "higher" | "lower", results: Result[],
 *   checks?: Check[], who?: string, chart?: object }} row `scale` turns calls a second into the unit; `who` stands for
 *   the candidate that is `ours`; `chart` says on which chart, and where, the results belong (`charts.mjs`)
 */
export function report({
  measure,
  unit = "/s",
  scale = 1,
  better = "higher",
  who = "ours",
  results,
  checks = [],
  chart,
}) {
  const scaled = results.map((result) => ({
    ...result,
    median: result.median * scale,
    min: result.min * scale,
    max: result.max * scale,
  }))
  const row = { measure, unit, better, results: scaled, checks, chart }
  console.log(`\n${measure}`)
  const ours = scaled.find((result) => result.ours)
  for (const result of scaled) {
    const { name, median: mid, min, max } = result
    const range = `${number(min)} to ${number(max)}`
    const ratio =
      ours === undefined || ours === result ? "" : `  ${who} is ${number(ratioOf(row, ours, result))} times this`
    console.log(`  ${name.padEnd(44)} ${number(mid).padStart(9)} ${unit}  (${range})${ratio}`)
  }
  process.send?.(row)
  return row
}

export const note = (text) => {
  console.log(`\n${text}`)
  process.send?.({ note: text })
}

/** How many times better the first is. */
export const ratioOf = ({ better }, { median: first }, { median: second }) =>
  better === "higher" ? first / second : second / first

/** The lines of the table: every check of every row. */
export function verdicts(rows) {
  return rows
    .flatMap((row) =>
      row.checks.map((check) => {
        const ours = row.results.find(({ name, ours }) => (check.ours ? name === check.ours : ours))
        const { against, atLeast, stretch, atMost } = check
        const peer = row.results.find(({ name }) => name === against)
        if (ours === undefined || (against !== undefined && peer === undefined)) return undefined
        const value = peer === undefined ? ours.median : ratioOf(row, ours, peer)
        const target = atMost === undefined ? `>= ${atLeast}` : `<= ${atMost} ${row.unit}`
        const met = atMost === undefined ? value >= atLeast : value <= atMost
        const beyond = stretch !== undefined && value >= stretch
        return {
          part: row.part,
          measure: check.ours === undefined ? row.measure : `${row.measure}: ${check.ours}`,
          ours: `${number(ours.median)} ${row.unit}`,
          against: against ?? "",
          theirs: peer === undefined ? "" : `${number(peer.median)} ${row.unit}`,
          ratio: peer === undefined ? "" : number(value),
          target: stretch === undefined ? target : `${target} (${stretch})`,
          verdict: beyond ? "stretch" : met ? "met" : "MISSED",
        }
      }),
    )
    .filter((line) => line !== undefined)
}
