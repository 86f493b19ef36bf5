/**
 * All parts of the benchmark in one run: `npm run bench [-- PART...] [-- --quick] [-- --cpu] [-- --publish]`.
 * Each part has a process of its own, so that none pays for the heap of another. At the end one table says what is held
 * against what; the figures go into .cache/bench/latest.json and, with `--publish`, into the project (`publish.mjs`).
 */
import { fork } from "node:child_process"
import { once } from "node:events"
import { mkdirSync, readdirSync, writeFileSync } from "node:fs"
import { availableParallelism, cpus, totalmem } from "node:os"
import { dirname } from "node:path"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import { quick, verdicts } from "./harness.mjs"
import { publish } from "./publish.mjs"

const parts = readdirSync(new URL("./parts/", import.meta.url)).map((file) => file.replace(".mjs", ""))

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { quick: { type: "boolean" }, publish: { type: "boolean" }, cpu: { type: "boolean" } },
})
const unknown = positionals.filter((name) => !parts.includes(name))
if (unknown.length > 0) throw new Error(`no part ${unknown.join(", ")}: there are ${parts.join(", ")}`)

const flags = process.argv.slice(2).filter((argument) => argument === "--quick" || argument === "--cpu")
const rows = []
const notes = []
const failed = []
for (const part of positionals.length > 0 ? positionals : parts) {
  const started = performance.now()
  console.log(`\n=== ${part}`)
  const child = fork(fileURLToPath(new URL(`./parts/${part}.mjs`, import.meta.url)), flags, {
    // Collecting between candidates must not make V8 forget the code of the others.
    execArgv: ["--expose-gc", "--no-flush-bytecode"],
  })
  child.on("message", (message) => {
    if ("note" in message) notes.push(message.note)
    else rows.push({ part, ...message })
  })
  const [code] = await once(child, "exit")
  if (code !== 0) failed.push(part)
  console.log(`\n(${part}: ${((performance.now() - started) / 1000).toFixed(0)} s)`)
}

const lines = verdicts(rows)
printTable(lines)
for (const text of new Set(notes)) console.log(text)

const machine = {
  node: process.version,
  processor: cpus()[0]?.model,
  processors: availableParallelism(),
  memoryGiB: Math.round(totalmem() / 2 ** 30),
}
const effort = quick ? "quick" : "full"
const clock = values.cpu ? "processor" : "wall"
const record = { date: new Date().toISOString().slice(0, 10), effort, clock, machine, verdicts: lines, rows }
const FILE = ".cache/bench/latest.json"
mkdirSync(dirname(FILE), { recursive: true })
writeFileSync(FILE, `${JSON.stringify(record, null, 1)}\n`)
console.log(`\nAll figures: ${FILE}`)
if (values.publish) for (const path of publish(record)) console.log(`Written: ${path}`)
if (failed.length > 0) {
  console.error(`failed: ${failed.join(", ")}`)
  process.exitCode = 1
}

function printTable(lines) {
  const columns = ["part", "measure", "ours", "against", "theirs", "ratio", "target", "verdict"]
  const heads = { ...Object.fromEntries(columns.map((name) => [name, name])), target: "to reach (stretch)" }
  const width = (name) => Math.max(...[heads, ...lines].map((line) => line[name].length))
  const widths = Object.fromEntries(columns.map((name) => [name, width(name)]))
  const print = (line) => console.log(`| ${columns.map((name) => line[name].padEnd(widths[name])).join(" | ")} |`)
  console.log()
  print(heads)
  console.log(`|${columns.map((name) => "-".repeat(widths[name] + 2)).join("|")}|`)
  for (const line of lines) print(line)
  const missed = lines.filter(({ verdict }) => verdict === "MISSED").length
  console.log(`\n${lines.length - missed} of ${lines.length} met`)
}
