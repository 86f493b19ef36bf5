/** The bare loop over worker threads: frames are copied into shared memory, worked there, and copied to their place. */
import { once } from "node:events"
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads"
import { FRAME, openFrame, SEALED, sealFrame } from "./bare.mjs"

/** Frames that one worker may have before it. */
const DEPTH = 4
const SLOT = SEALED

/** @returns loops over this many workers, which start once */
export function startSharedLanes(workers) {
  const lanes = Array.from({ length: workers }, () => {
    const input = new Uint8Array(new SharedArrayBuffer(DEPTH * SLOT))
    const output = new Uint8Array(new SharedArrayBuffer(DEPTH * SLOT))
    const worker = new Worker(new URL(import.meta.url), { workerData: { input, output } })
    return { input, output, worker }
  })
  return {
    workers,
    run: (verb, from, out) => work(lanes, verb, from, out),
    close: () => Promise.all(lanes.map(({ worker }) => worker.terminate())),
  }
}

async function work(lanes, verb, from, out) {
  const [step, outStep] = verb === "seal" ? [FRAME, SEALED] : [SEALED, FRAME]
  const count = Math.ceil(from.length / step)
  let next = 0
  const give = ({ input, worker }, slot) => {
    if (next >= count) return false
    const index = next++
    const bytes = from.subarray(index * step, (index + 1) * step)
    input.set(bytes, slot * SLOT)
    worker.postMessage({ verb, index, slot, length: bytes.length })
    return true
  }
  await Promise.all(
    lanes.map(async (lane) => {
      let underWay = 0
      for (let slot = 0; slot < DEPTH; slot++) if (give(lane, slot)) underWay++
      while (underWay > 0) {
        const [{ index, slot, length }] = await once(lane.worker, "message")
        out.set(lane.output.subarray(slot * SLOT, slot * SLOT + length), index * outStep)
        underWay--
        if (give(lane, slot)) underWay++
      }
    }),
  )
}

if (!isMainThread && workerData?.input !== undefined) {
  const { input, output } = workerData
  parentPort.on("message", ({ verb, index, slot, length }) => {
    const at = slot * SLOT
    const work = verb === "seal" ? sealFrame : openFrame
    parentPort.postMessage({ index, slot, length: work(index, input.subarray(at, at + length), output, at) })
  })
}
