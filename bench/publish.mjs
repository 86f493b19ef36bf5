/**
 * What a run leaves in the project: `results/reference.json`, the charts, and the tables of the documents, which stand
 * between `<!-- figures: list PART [PATTERN] -->` or `<!-- figures: matrix PART [PATTERN] -->` and `<!-- /figures -->`.
 * A run of some parts replaces those alone.
 */
import { existsSync, readFileSync, writeFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { drawCharts } from "./charts.mjs"
import { number, ratioOf } from "./harness.mjs"

const inProject = (path) => fileURLToPath(new URL(`../${path}`, import.meta.url))
const REFERENCE = inProject("bench/results/reference.json")
const CHARTS = inProject("docs/charts")
const DOCUMENTS = [
  "README.md",
  "docs/guide/performance.md",
  "docs/adr/0003-frame-length.md",
  "docs/adr/0006-free-temporaries-no-lanes-in-memory.md",
  "docs/adr/0007-lanes.md",
].map(inProject)

/** @returns the paths of what was written */
export function publish(record) {
  const before = existsSync(REFERENCE) ? JSON.parse(readFileSync(REFERENCE, "utf8")).rows : []
  const parts = new Set(record.rows.map(({ part }) => part))
  const { date, effort, clock } = record
  const fresh = record.rows.map((row) => ({ ...row, date, effort, clock }))
  const rows = [...before.filter(({ part }) => !parts.has(part)), ...fresh]
  const reference = { date, machine: record.machine, rows }
  writeFileSync(REFERENCE, `${JSON.stringify(reference, rounded, 1)}\n`)
  const written = [REFERENCE, ...drawCharts(reference, CHARTS)]
  for (const path of DOCUMENTS.filter((document) => existsSync(document))) {
    const text = readFileSync(path, "utf8")
    const filled = text.replace(BLOCK, (block, begin, how, part, pattern, end) => {
      const chosen = rows.filter((row) => row.part === part && (!pattern || new RegExp(pattern).test(row.measure)))
      if (chosen.length === 0) return block
      return `${begin}\n${TABLES[how](chosen)}\n${end}`
    })
    if (filled === text) continue
    writeFileSync(path, filled)
    written.push(path)
  }
  return written
}

const BLOCK = /(<!-- figures: (list|matrix) ([a-z]+)(?: (.+?))? -->)[\s\S]*?(<!-- \/figures -->)/g

const rounded = (_key, value) =>
  typeof value === "number" && !Number.isInteger(value) ? Number(value.toPrecision(4)) : value

const cells = (...texts) => `| ${texts.join(" | ")} |`

/** One line a measure: ours, and how many times better that is than each of the others. */
function list(rows) {
  const line = ({ measure, unit, better, results }) => {
    const ours = results.find((result) => result.ours)
    const others = results
      .filter((result) => result !== ours)
      .map((result) => {
        const ratio = ours === undefined ? "" : `: ${number(ratioOf({ better }, ours, result))} times`
        return `${result.name} ${number(result.median)} ${unit}${ratio}`
      })
    return cells(measure, ours === undefined ? "" : `${number(ours.median)} ${unit}`, others.join("; "))
  }
  return [cells("", "ours", "beside it"), "|---|---|---|", ...rows.map(line)].join("\n")
}

/** One line a candidate, one column a measure. */
function matrix(rows) {
  const names = [...new Set(rows.flatMap(({ results }) => results.map(({ name }) => name)))]
  const figure = ({ results, unit }, name) => {
    const result = results.find((one) => one.name === name)
    return result === undefined ? "" : `${number(result.median)} ${unit}`
  }
  const head = cells("", ...rows.map(({ measure }) => measure))
  const lines = names.map((name) => cells(name, ...rows.map((row) => figure(row, name))))
  return [head, `|---${"|---".repeat(rows.length)}|`, ...lines].join("\n")
}

const TABLES = { list, matrix }
