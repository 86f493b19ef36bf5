import { existsSync } from "node:fs"
import { setImmediate } from "node:timers/promises"
import { fileURLToPath } from "node:url"
import type { Worker } from "node:worker_threads"
import { EnvelopeError, type EnvelopeErrorCode } from "../core/index.ts"
import { wipe } from "../crypto/index.ts"
import { type FileJob, runAt, runBuffers, runCount, usefulLanes, workFileRun } from "./file-job.ts"

/** What a lane is given: the job, with its key in shared memory, and how far all lanes have come. */
export interface LaneData {
  readonly job: FileJob
  /** [0] the next run to take, [1] not 0 when the lanes must stop. */
  readonly state: Int32Array
}

/** What a lane answers when it stops. */
export type LaneReport = { readonly done: true } | { readonly done: false; readonly error: LaneError }

/** An error as it crosses threads, which keeps only what structured cloning leaves of an `Error`. */
export interface LaneError {
  readonly message: string
  readonly envelopeCode?: EnvelopeErrorCode
  /** Of system errors: `code`, `errno`, `syscall`. */
  readonly system?: Record<string, unknown>
}

const NEXT = 0
const STOP = 1

/** The lane's code beside ours, as the package is published; absent when everything was bundled into one file. */
const laneFile = (): URL | undefined => {
  try {
    const url = new URL(import.meta.url.endsWith(".cjs") ? "./lane.cjs" : "./lane.js", import.meta.url)
    return existsSync(fileURLToPath(url)) ? url : undefined
  } catch {
    return undefined
  }
}

/**
 * Works a job on worker threads, which share out its runs and read and write the files themselves; on this thread,
 * a run at a time, where the worker's file is not there because everything was bundled into one.
 *
 * @param lanes at most so many; fewer for short files and long frames
 * @param progress called with the bytes of plaintext taken up, about ten times a second
 */
export async function workInLanes(
  job: FileJob,
  lanes: number,
  signal: AbortSignal | undefined,
  progress: ((bytes: number) => void) | undefined,
): Promise<void> {
  signal?.throwIfAborted()
  const file = laneFile()
  if (file === undefined) return workHere(job, signal, progress)
  const { Worker } = await import("node:worker_threads")
  const key = new Uint8Array(new SharedArrayBuffer(job.key.length))
  key.set(job.key)
  const state = new Int32Array(new SharedArrayBuffer(2 * Int32Array.BYTES_PER_ELEMENT))
  const data: LaneData = { job: { ...job, key }, state }
  const stop = () => Atomics.store(state, STOP, 1)
  const timer = progress && setInterval(() => progress(bytesTaken(job, state)), 100)
  signal?.addEventListener("abort", stop, { once: true })
  try {
    const length = Math.min(lanes, usefulLanes(job))
    const workers = Array.from({ length }, () => new Worker(file, { workerData: data }))
    const results = await Promise.allSettled(workers.map((worker) => laneDone(worker, stop)))
    signal?.throwIfAborted()
    for (const result of results) if (result.status === "rejected") throw result.reason
  } finally {
    clearInterval(timer)
    signal?.removeEventListener("abort", stop)
    wipe(key)
  }
}

async function workHere(
  job: FileJob,
  signal: AbortSignal | undefined,
  progress: ((bytes: number) => void) | undefined,
): Promise<void> {
  const buffers = runBuffers(job)
  for (let index = 0; index < runCount(job); index++) {
    signal?.throwIfAborted()
    const run = runAt(job, index)
    workFileRun(job, run, buffers)
    progress?.(run.plaintextAt)
    await setImmediate()
  }
}

const bytesTaken = (job: FileJob, state: Int32Array): number =>
  runAt(job, Math.min(Atomics.load(state, NEXT), runCount(job) - 1)).plaintextAt

function laneDone(worker: Worker, stopOthers: () => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = (error: Error) => {
      stopOthers()
      reject(error)
    }
    let report: LaneReport | undefined
    worker.on("message", (message: LaneReport) => {
      report = message
      if (!message.done) stopOthers()
    })
    worker.on("error", fail)
    worker.on("exit", () => {
      if (report === undefined) fail(new Error("a worker thread ended before its work"))
      else if (report.done) resolve()
      else reject(fromLaneError(report.error))
    })
  })
}

function fromLaneError({ message, envelopeCode, system }: LaneError): Error {
  if (envelopeCode !== undefined) return new EnvelopeError(envelopeCode, message)
  return Object.assign(new Error(message), system)
}
