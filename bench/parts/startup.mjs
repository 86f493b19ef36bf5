// What it takes to start: import time, memory after the import, the command's help. `npm run size` has the bundles.
import { writeFileSync } from "node:fs"
import { fileURLToPath, pathToFileURL } from "node:url"
import { temporaryFolder, timeProgram } from "../files.mjs"
import { alternate, quick, report } from "../harness.mjs"

const at = temporaryFolder()
const root = (path) => fileURLToPath(new URL(`../../${path}`, import.meta.url))
const imports = {
  nothing: "",
  "kms-envelope": `await import(${JSON.stringify(pathToFileURL(root("dist/index.js")).href)})`,
  "@aws-crypto/client-node": `await import(${JSON.stringify(import.meta.resolve("@aws-crypto/client-node"))})`,
}
const say = "\nconsole.log(process.memoryUsage().rss / 1048576)"
const scripts = Object.entries(imports).map(([name, code], i) => {
  writeFileSync(at(`${i}.mjs`), code + say)
  return { name, args: [at(`${i}.mjs`)], ours: name === "kms-envelope" }
})
const help = { name: "envelope --help", args: [root("dist/cli.js"), "--help"], ours: true }
const rounds = quick ? 7 : 21

const [empty, ...others] = await alternate([...scripts, help], rounds, async ({ args }) => {
  const { seconds } = await timeProgram(process.execPath, args)
  return seconds * 1000
})
const over = ({ median, min, max, ...rest }) => ({
  ...rest,
  median: median - empty.median,
  min: min - empty.min,
  max: max - empty.median,
})
report({
  measure: `import, over an empty script (${empty.median.toFixed(0)} ms)`,
  unit: "ms",
  better: "lower",
  results: others.slice(0, 2).map(over),
})
report({
  measure: "envelope --help, over an empty script",
  unit: "ms",
  better: "lower",
  results: others.slice(2).map(over),
  checks: [{ atMost: 40 }],
})
report({
  measure: "resident memory after the import",
  unit: "MiB",
  better: "lower",
  results: await alternate(scripts, rounds, async ({ args }) =>
    Number((await timeProgram(process.execPath, args)).stdout),
  ),
})
