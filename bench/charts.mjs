/** The charts of the README, as SVG that reads on light and on dark pages. */
import { mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"

const WIDTH = 720
const HEIGHT = 400
const MARGIN = { top: 48, right: 24, bottom: 92, left: 68 }
const PLOT = { width: WIDTH - MARGIN.left - MARGIN.right, height: HEIGHT - MARGIN.top - MARGIN.bottom }
const COLOURS = ["#2f81f7", "#e5534b", "#8b949e", "#2da44e", "#bf8700", "#a371f7"]
const STYLE = `text{font:13px system-ui,sans-serif;fill:#24292f}.small{font-size:12px;fill:#57606a}.title{font-size:15px;font-weight:600}
.grid{stroke:#8b949e;stroke-opacity:.3}@media(prefers-color-scheme:dark){text{fill:#e6edf3}.small{fill:#9da7b3}}`

/** @typedef {{ name: string, points: { x: number, y: number }[] }} Series */

/**
 * Draws every chart that the rows of a run have figures for.
 *
 * @returns the paths of the files
 */
export function drawCharts({ rows, machine, date }, folder) {
  mkdirSync(folder, { recursive: true })
  const foot = `${machine.processors} processors, Node.js ${machine.node}, ${date}`
  const paths = []
  for (const [name, chart] of Object.entries(CHARTS)) {
    const series = seriesOf(rows, name, chart.keep)
    if (series.length === 0) continue
    const path = join(folder, `${name}.svg`)
    writeFileSync(path, lineChart({ ...chart, series, foot }))
    paths.push(path)
  }
  return paths
}

const bytesLabel = (bytes) =>
  bytes >= 2 ** 30
    ? `${bytes / 2 ** 30} GiB`
    : bytes >= 2 ** 20
      ? `${bytes / 2 ** 20} MiB`
      : bytes >= 1024
        ? `${bytes / 1024} KiB`
        : `${bytes} B`

/** A pattern of names to keep, and how the values read; all values are bytes a second or calls a second. */
const memoryNames = /^(kms-envelope|official, |bare primitives$|createCipheriv, freed|createDecipheriv, freed)/
const CHARTS = {
  "size-encrypt": {
    title: "Encrypting in memory, by size",
    keep: memoryNames,
    xLabel: bytesLabel,
    log: true,
    yTitle: "MB/s",
  },
  "size-decrypt": {
    title: "Decrypting in memory, by size",
    keep: memoryNames,
    xLabel: bytesLabel,
    log: true,
    yTitle: "MB/s",
  },
  cores: { title: "From file to file, by lanes", keep: /./, xLabel: String, log: false, yTitle: "MB/s" },
  "frame-length": {
    title: "What the frame length costs",
    keep: /./,
    xLabel: bytesLabel,
    log: false,
    logX: true,
    yTitle: "MB/s",
  },
  "range-read": {
    title: "Reading 100 bytes anywhere, by frame length",
    keep: /./,
    xLabel: bytesLabel,
    log: true,
    yTitle: "reads a second",
  },
}

/**
 * A row's results are points of as many series at its place on the x axis; or, where the chart names `xs`, one series
 * with a point for each result. Calls a second of messages become megabytes.
 *
 * @returns {Series[]}
 */
function seriesOf(rows, name, keep) {
  const found = new Map()
  const add = (label, x, y) => {
    if (!found.has(label)) found.set(label, [])
    found.get(label).push({ x, y })
  }
  for (const { chart, unit, results } of rows) {
    if (chart?.name !== name) continue
    const scale = unit === "/s" && name.startsWith("size-") ? chart.x / 1e6 : 1
    for (const [i, { name: label, median }] of results.entries()) {
      if (chart.xs !== undefined) add(chart.series, chart.xs[i], median)
      else if (keep.test(label)) add(label, chart.x, median * scale)
    }
  }
  return [...found].map(([label, points]) => ({ name: label, points: points.sort((a, b) => a.x - b.x) }))
}

function lineChart({ title, series, xLabel, log, logX = log, yTitle, foot }) {
  const points = series.flatMap((one) => one.points)
  const xs = [...new Set(points.map(({ x }) => x))].sort((a, b) => a - b)
  const x = scaleOf(xs[0], xs.at(-1), logX, MARGIN.left, PLOT.width)
  const most = Math.max(...points.map(({ y }) => y))
  const least = log ? Math.min(...points.map(({ y }) => y)) : 0
  const ticks = log ? powers(least, most) : steps(most)
  const y = scaleOf(ticks[0], ticks.at(-1), log, MARGIN.top + PLOT.height, -PLOT.height)
  const grid = ticks.map((tick) => {
    const line = `<line class="grid" x1="${MARGIN.left}" x2="${WIDTH - MARGIN.right}" y1="${y(tick)}" y2="${y(tick)}"/>`
    return `${line}<text class="small" x="${MARGIN.left - 8}" y="${y(tick) + 4}" text-anchor="end">${tick.toLocaleString("en")}</text>`
  })
  const labels = xs.map(
    (at) =>
      `<text class="small" x="${x(at)}" y="${MARGIN.top + PLOT.height + 18}" text-anchor="middle">${xLabel(at)}</text>`,
  )
  const lines = series.map((one, i) => drawSeries(one, COLOURS[i % COLOURS.length], x, y))
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${escaped(title)}">
<style>${STYLE}</style>
<text class="title" x="${MARGIN.left}" y="22">${escaped(title)}</text>
<text class="small" x="${MARGIN.left}" y="40">${escaped(yTitle)}</text>
${[...grid, ...labels, ...lines, legend(series)].join("\n")}
<text class="small" x="${WIDTH - MARGIN.right}" y="${HEIGHT - 8}" text-anchor="end">${escaped(foot)}</text>
</svg>
`
}

function drawSeries({ points }, colour, x, y) {
  const places = points.map((point) => `${x(point.x)},${y(point.y)}`)
  const dots = points.map((point) => `<circle cx="${x(point.x)}" cy="${y(point.y)}" r="3.5" fill="${colour}"/>`)
  return `<polyline fill="none" stroke="${colour}" stroke-width="2" points="${places.join(" ")}"/>${dots.join("")}`
}

function legend(series) {
  const perRow = 3
  const step = PLOT.width / perRow
  const entry = ({ name }, i) => {
    const at = MARGIN.left + (i % perRow) * step
    const top = HEIGHT - 54 + Math.floor(i / perRow) * 18
    const swatch = `<rect x="${at}" y="${top - 10}" width="12" height="12" rx="2" fill="${COLOURS[i % COLOURS.length]}"/>`
    return `${swatch}<text class="small" x="${at + 18}" y="${top}">${escaped(name)}</text>`
  }
  return series.map(entry).join("")
}

function scaleOf(first, last, log, start, length) {
  const place = log ? Math.log : (value) => value
  const width = place(last) - place(first) || 1
  return (value) => Math.round((start + ((place(value) - place(first)) / width) * length) * 10) / 10
}

function powers(least, most) {
  const first = Math.floor(Math.log10(least))
  return Array.from({ length: Math.ceil(Math.log10(most)) - first + 1 }, (_, i) => 10 ** (first + i))
}

function steps(most) {
  const size = 10 ** Math.floor(Math.log10(most))
  const step = [0.2, 0.5, 1, 2].map((part) => part * size).find((part) => most / part <= 6) ?? size
  return Array.from({ length: Math.ceil(most / step) + 1 }, (_, i) => i * step)
}

const escaped = (text) => text.replace(/[&<>"]/g, (sign) => `&#${sign.charCodeAt(0)};`)
