import { onExit } from "./cleanup.ts"
import { quiet, setBeforeMessage } from "./messages.ts"
import { formatBytes, formatDuration } from "./text.ts"

/** Shows on a terminal how far a job has come; elsewhere it only counts. */
export interface Progress {
  add(bytes: number): void
  /** So many bytes in all. */
  reach(bytes: number): void
  readonly bytes: number
  /** Takes the line away. */
  end(): void
}

const DELAY_MS = 300
const INTERVAL_MS = 100
const MIN_LABEL = 16
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
    reach(count) {
      bytes = count
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

/** `encrypting report.pdf  ████████░░░░  52 %  510 MiB/s  0:02 left  1.2 GiB of 2.3 GiB`, as much as fits. */
export function progressLine({ label, bytes, total, rate }: ProgressState, columns: number): string {
  // The terminal echoes ^C behind the line, which must not wrap.
  const room = Math.max(0, columns - 3)
  const speed = `${formatBytes(Math.round(rate))}/s`.padStart(11)
  const layouts = total === undefined || total === 0 ? [[formatBytes(bytes).padStart(9), speed], []] : known()
  const parts = layouts.find((layout) => width(["x".repeat(MIN_LABEL), ...layout]) <= room) ?? layouts.at(-1)!
  return [shorten(label, room - width(["", ...parts])), ...parts].join("  ").slice(0, room)

  function known(): string[][] {
    const done = Math.min(1, bytes / total!)
    const percent = `${Math.floor(done * 100)} %`.padStart(5)
    const left = `${rate > 0 ? formatDuration(Math.max(0, total! - bytes) / rate) : "-:--"} left`
    const of = `${formatBytes(bytes)} of ${formatBytes(total!)}`
    return [
      [bar(done, 24), percent, speed, left, of],
      [bar(done, 24), percent, speed, left],
      [bar(done, 12), percent, speed, left],
      [percent, speed, left],
      [percent, left],
      [percent],
    ]
  }
}

function bar(done: number, length: number): string {
  const filled = Math.floor(done * length)
  const isUtf8 = /utf-?8/i.test(process.env.LC_ALL || process.env.LC_CTYPE || process.env.LANG || "")
  return isUtf8
    ? "█".repeat(filled) + "░".repeat(length - filled)
    : `[${"#".repeat(filled)}${"-".repeat(length - filled)}]`
}

const width = (parts: readonly string[]): number => parts.join("  ").length

const shorten = (text: string, room: number): string =>
  text.length <= room ? text : room < 2 ? "" : `${text.slice(0, room - 1)}…`
