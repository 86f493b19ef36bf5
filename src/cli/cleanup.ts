import { unlinkSync } from "node:fs"

const signals = ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT"] as const
const tasks = new Set<() => void>()
let isArmed = false

/**
 * Runs a synchronous task when the process ends in any way that can be caught: normally, by an uncaught exception, or by
 * a signal, which then ends the process as it would have without us.
 *
 * @returns takes the task back
 */
export function onExit(task: () => void): () => void {
  arm()
  tasks.add(task)
  return () => {
    tasks.delete(task)
  }
}

/** Removes a file when the process ends, unless taken back. */
export const removeOnExit = (path: string): (() => void) => onExit(() => unlinkSync(path))

function arm(): void {
  if (isArmed) return
  isArmed = true
  process.on("exit", runTasks)
  for (const signal of signals) process.once(signal, () => endBy(signal))
}

function endBy(signal: NodeJS.Signals): void {
  runTasks()
  // Our listener is gone by now: the signal has its default effect, and a shell sees what really happened.
  process.kill(process.pid, signal)
}

function runTasks(): void {
  for (const task of tasks) {
    try {
      task()
    } catch {
      // One that fails must not keep the others from running.
    }
  }
  tasks.clear()
}
