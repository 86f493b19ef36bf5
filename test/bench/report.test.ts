import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { describe, expect, it } from "vitest"

// Plain JavaScript without declarations.
const inBench = (file: string) => import(new URL(`../../bench/${file}`, import.meta.url).href)
const { drawCharts } = await inBench("charts.mjs")
const { alternate, compare, median, quantile, spread, verdicts } = await inBench("harness.mjs")

interface Verdict {
  readonly verdict: string
  readonly ratio: string
}

const result = (name: string, value: number, ours = false) => spread(name, [value], ours)

describe("The table of a benchmark", () => {
  const row = (more: object) => ({
    part: "part",
    measure: "measure",
    unit: "/s",
    better: "higher",
    results: [result("this", 90, true), result("that", 10), result("bare", 100)],
    checks: [],
    ...more,
  })
  const verdictOf = (more: object) => verdicts([row(more)]).map(({ verdict, ratio }: Verdict) => [verdict, ratio])

  it("holds ours against a candidate: missed, met, or beyond", () => {
    expect(verdictOf({ checks: [{ against: "that", atLeast: 10 }] })).toEqual([["MISSED", "9.00"]])
    expect(verdictOf({ checks: [{ against: "that", atLeast: 8, stretch: 12 }] })).toEqual([["met", "9.00"]])
    expect(verdictOf({ checks: [{ against: "that", atLeast: 8, stretch: 9 }] })).toEqual([["stretch", "9.00"]])
  })

  it("turns the ratio around where less is better", () => {
    const seconds = { unit: "s", better: "lower", results: [result("this", 2, true), result("that", 5)] }
    expect(verdictOf({ ...seconds, checks: [{ against: "that", atLeast: 2 }] })).toEqual([["met", "2.50"]])
    expect(verdictOf({ ...seconds, checks: [{ against: "that", atLeast: 3 }] })).toEqual([["MISSED", "2.50"]])
  })

  it("holds a figure against a limit, by its name where it has one", () => {
    expect(verdictOf({ checks: [{ ours: "bare", atMost: 99 }] })).toEqual([["MISSED", ""]])
    expect(
      verdictOf({ checks: [{ ours: "bare", atMost: 100 }, { atMost: 90 }] }).map(([verdict]: string[]) => verdict),
    ).toEqual(["met", "met"])
  })

  it("leaves out what was not measured", () => {
    expect(verdictOf({ checks: [{ against: "a program that is missing", atLeast: 1 }] })).toEqual([])
  })
})

describe("The figures of a benchmark", () => {
  it("are medians and quantiles of the values", () => {
    expect(median([5, 1, 9])).toBe(5)
    expect(median([4, 1, 2, 9])).toBe(3)
    expect(quantile([1, 2, 3, 4], 0.99)).toBe(4)
    expect(spread("one", [3, 1, 2])).toEqual({ name: "one", ours: false, median: 2, min: 1, max: 3 })
  })

  it("come from rounds in which the candidates take turns", async () => {
    const order: string[] = []
    const candidates = ["a", "b"].map((name) => ({ name, run: () => order.push(name) }))
    await compare(candidates, { rounds: 2, milliseconds: 0 })
    expect(order.join("")).toBe("ababab")
    const results = await alternate(candidates, 3, async ({ name }: { name: string }) => name.charCodeAt(0))
    expect(results.map(({ median: mid }: { median: number }) => mid)).toEqual([97, 98])
  })
})

describe("The charts of a benchmark", () => {
  it("have a point for each figure, and text that needs no trust", () => {
    const folder = mkdtempSync(join(tmpdir(), "charts-"))
    try {
      const rows = [256, 4096].map((x) => ({
        unit: "/s",
        results: [result("kms-envelope", 100 * x), result("official, <its> frames & all", 10 * x)],
        chart: { name: "size-encrypt", x },
      }))
      const machine = { processors: 2, node: "v20" }
      const [path, ...others] = drawCharts({ rows, machine, date: "2026-01-01" }, folder)
      expect(others).toEqual([])
      const svg = readFileSync(path, "utf8")
      expect(svg.match(/<circle/g)).toHaveLength(4)
      expect(svg.match(/<polyline/g)).toHaveLength(2)
      expect(svg).toContain("official, &#60;its&#62; frames &#38; all")
      expect(svg).not.toMatch(/NaN|undefined|Infinity/)
      expect(svg).toContain("prefers-color-scheme:dark")
    } finally {
      rmSync(folder, { recursive: true })
    }
  })
})
