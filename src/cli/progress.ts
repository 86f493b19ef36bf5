import { onExit } from "./cleanup.ts"
import { quiet, setBeforeMessage } from "./messages.ts"
import { formatBytes, formatDuration } from "./text.ts"

/** Shows on a terminal how far a job has come; elsewhere it only counts. */
export interface Progress {
  add(bytes: number): void
  readonly bytes: number
  /** Takes the line away. */
  end(): void
}

const DELAY_MS = 300
const INTERVAL_MS = 100
const BAR_WIDTH = 24
/** Weight of the newest interval in the rate. */
const SMOOTHING = 0.1

/**
 * @param label for instance `encrypting report.pdf`
 * @param total bytes, where known
 * @param isShown false when the data itself goes to the terminal
 */
export function startProgress(label: string, total: number | undefined, isShown: boolean): Progress {
  let bytes = 0
  const { stderr } = process
  const end = isShown && !quiet() && stderr.isTTY === true ? draw() : () => {}

  function draw(): () => void {
    const started = performance.now()
    let last = { time: started, bytes: 0 }
    let rate: number | undefined
    let isDrawn = false
    const erase = (): void => {
      if (isDrawn) stderr.write("\r\u001b[K")
      isDrawn = false
    }
    const step = (): void => {
      const time = performance.now()
      const current = ((bytes - last.bytes) * 1000) / (time - last.time)
      rate = rate === undefined ? current : rate + SMOOTHING * (current - rate)
      last = { time, bytes }
      if (time - started < DELAY_MS) return
      stderr.write(`\r\u001b[K${progressLine({ label, bytes, total, rate }, stderr.columns ?? 80)}`)
      isDrawn = true
    }
    const timer = setInterval(step, INTERVAL_MS)
    timer.unref()
    const forget = onExit(erase)
    setBeforeMessage(erase)
    return () => {
      clearInterval(timer)
      erase()
      forget()
      setBeforeMessage(() => {})
    }
  }

  return {
    add(count) {
      bytes += count
    },
    get bytes() {
      return bytes
    },
    end,
  }
}

export interface ProgressState {
  readonly label: string
  readonly bytes: number
  readonly total: number | undefined
  /** Bytes a second. */
  readonly rate: number
}

/** `encrypting report.pdf  ████████░░░░  52 %  1.2 GiB of 2.3 GiB  510 MiB/s  0:02 left`, as much as fits. */
export function progressLine({ label, bytes, total, rate }: ProgressState, columns: number): string {
  const parts: string[] = []
  if (total !== undefined && total > 0) {
    const done = Math.min(1, bytes / total)
    const left = rate > 0 ? formatDuration(Math.max(0, total - bytes) / rate) : "-:--"
    parts.push(bar(done), `${String(Math.floor(done * 100)).padStart(3)} %`)
    parts.push(`${formatBytes(rate)}/s`.padStart(11), `${left} left`, `${formatBytes(bytes)} of ${formatBytes(total)}`)
  } else {
    parts.push(formatBytes(bytes).padStart(10), `${formatBytes(rate)}/s`)
  }
  // One column stays free: some terminals wrap when the last one is written.
  const room = columns - 1
  while (parts.length > 1 && width([shorten(label, 12), ...parts]) > room) parts.pop()
  const forLabel = Math.max(0, room - width(parts) - 2)
  return [shorten(label, forLabel), ...parts].join("  ").slice(0, Math.max(0, room))
}

const bar = (done: number): string => {
  const filled = Math.floor(done * BAR_WIDTH)
  const isUtf8 = /utf-?8/i.test(process.env.LC_ALL || process.env.LC_CTYPE || process.env.LANG || "")
  return isUtf8
    ? "█".repeat(filled) + "░".repeat(BAR_WIDTH - filled)
    : `[${"#".repeat(filled)}${"-".repeat(BAR_WIDTH - filled)}]`
}

const width = (parts: readonly string[]): number => parts.join("  ").length

const shorten = (text: string, room: number): string =>
  text.length <= room ? text : `${text.slice(0, Math.max(0, room - 1))}…`
