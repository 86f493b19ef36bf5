import type { NbdStats } from "../nbd/index.ts"
import type { VolumeInfo } from "../volume/index.ts"
import { note, quiet, setBeforeMessage } from "./messages.ts"
import { formatBytes } from "./text.ts"

const REDRAW_MS = 500

/** What is shown of a served volume, at one time. */
export interface ServedState {
  readonly stats: Pick<NbdStats, "connections" | "reads" | "writes" | "errors" | "bytesRead" | "bytesWritten">
  readonly volume: Pick<VolumeInfo, "unflushedBytes">
  readonly kmsCalls: number
}

/**
 * Shows what a volume does while it is served: on a terminal a line that changes, elsewhere a line now and then while
 * something happens.
 *
 * @param everySeconds between lines where there is no terminal, 0 for never
 * @returns ends it
 */
export function showStatus(read: () => Promise<ServedState>, everySeconds: number): () => void {
  if (quiet()) return () => {}
  const isTerminal = process.stderr.isTTY === true
  if (!isTerminal && everySeconds === 0) return () => {}
  const draw = isTerminal ? redraw : note
  let last: { time: number; state: ServedState } | undefined
  let isOver = false
  const step = async (): Promise<void> => {
    const [state, time] = [await read(), performance.now()]
    if (isOver) return
    const seconds = last === undefined ? 0 : (time - last.time) / 1000
    if (isTerminal || hasChanged(state, last?.state)) draw(statusText(state, last?.state ?? state, seconds))
    last = { time, state }
  }
  const timer = setInterval(() => step().catch(() => {}), isTerminal ? REDRAW_MS : everySeconds * 1000)
  void step().catch(() => {})
  if (isTerminal) setBeforeMessage(erase)
  return () => {
    isOver = true
    clearInterval(timer)
    if (!isTerminal) return
    erase()
    setBeforeMessage(() => {})
  }
}

/** `read 120 MiB/s  written 8.0 MiB/s  9,120 requests/s  2 clients  12 MiB dirty  1 KMS call`. */
export function statusText(now: ServedState, before: ServedState, seconds: number): string {
  const perSecond = (count: (state: ServedState) => number): number =>
    seconds === 0 ? 0 : Math.max(0, Math.round((count(now) - count(before)) / seconds))
  const { stats, volume, kmsCalls } = now
  return [
    `read ${formatBytes(perSecond((state) => state.stats.bytesRead))}/s`,
    `written ${formatBytes(perSecond((state) => state.stats.bytesWritten))}/s`,
    `${perSecond(({ stats }) => stats.reads + stats.writes).toLocaleString("en-US")} requests/s`,
    plural(stats.connections, "client"),
    `${formatBytes(volume.unflushedBytes)} dirty`,
    plural(kmsCalls, "KMS call"),
    ...(stats.errors === 0 ? [] : [plural(stats.errors, "error")]),
  ].join("  ")
}

// --- internal ---

const plural = (count: number, what: string): string =>
  `${count.toLocaleString("en-US")} ${what}${count === 1 ? "" : "s"}`

/** Counts never go down, and who only looks at a disk is no news. */
const hasChanged = ({ stats }: ServedState, before: ServedState | undefined): boolean =>
  before !== undefined && (stats.reads !== before.stats.reads || stats.writes !== before.stats.writes)

const erase = (): void => void process.stderr.write("\r\u001b[K")

function redraw(text: string): void {
  // The terminal echoes ^C behind the line, which must not wrap.
  process.stderr.write(`\r\u001b[K${text.slice(0, Math.max(0, (process.stderr.columns || 80) - 3))}`)
}
