import { parentPort, workerData } from "node:worker_threads"
import { EnvelopeError } from "../core/index.ts"
import { runAt, runBuffers, runCount, workFileRun } from "./file-job.ts"
import type { LaneData, LaneError, LaneReport } from "./file-lanes.ts"

// The entry of a worker thread: takes runs until there are none, with its own reads and writes.

const { job, state } = workerData as LaneData
parentPort!.postMessage(workRuns())

function workRuns(): LaneReport {
  const buffers = runBuffers(job)
  try {
    const count = runCount(job)
    for (;;) {
      const index = Atomics.add(state, 0, 1)
      if (index >= count || Atomics.load(state, 1) !== 0) return { done: true }
      workFileRun(job, runAt(job, index), buffers)
    }
  } catch (error) {
    return { done: false, error: toLaneError(error as NodeJS.ErrnoException) }
  }
}

function toLaneError(error: NodeJS.ErrnoException): LaneError {
  if (error instanceof EnvelopeError) return { message: error.message, envelopeCode: error.code }
  const { code, errno, syscall } = error
  return { message: error.message, system: { code, errno, syscall } }
}
