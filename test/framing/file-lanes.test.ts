import { EventEmitter } from "node:events"
import { describe, expect, it, vi } from "vitest"
import type { FileJob } from "../../src/framing/file-job.ts"
import { type LaneData, type LaneReport, workInLanes } from "../../src/framing/file-lanes.ts"

/** What the threads were given. */
const given: LaneData[] = []
let report: LaneReport = { done: true }

vi.mock("node:fs", async (original) => ({ ...(await original<object>()), existsSync: () => true }))
vi.mock("node:worker_threads", () => ({
  Worker: class extends EventEmitter {
    constructor(_file: URL, { workerData }: { workerData: LaneData }) {
      super()
      given.push(workerData)
      expect(workerData.job.key).toEqual(new Uint8Array(32).fill(9))
      setImmediate(() => {
        this.emit("message", report)
        this.emit("exit", 0)
      })
    }
  },
}))

const job = (): FileJob => ({
  direction: "seal",
  suiteId: 0x0478,
  key: new Uint8Array(32).fill(9),
  messageId: new Uint8Array(32),
  shape: { contentType: "framed", frameLength: 65536 },
  layout: { regularFrames: 1000, finalLength: 1 },
  bodyAt: 100,
  sourceFd: -1,
  targetFd: -1,
})

describe("the lanes of a file", () => {
  it("share one copy of the key, in shared memory, which is overwritten when they are done", async () => {
    given.length = 0
    report = { done: true }
    await workInLanes(job(), 3, undefined, undefined)
    expect(given).toHaveLength(3)
    for (const { job: laneJob } of given) {
      expect(laneJob.key.buffer).toBeInstanceOf(SharedArrayBuffer)
      expect(laneJob.key).toEqual(new Uint8Array(32))
    }
  })

  it("overwrite it after a failure as well, and pass the failure on with its code", async () => {
    given.length = 0
    report = { done: false, error: { message: "no space", system: { code: "ENOSPC" } } }
    await expect(workInLanes(job(), 2, undefined, undefined)).rejects.toMatchObject({ code: "ENOSPC" })
    report = { done: false, error: { message: "bad tag", envelopeCode: "TamperedMessage" } }
    await expect(workInLanes(job(), 2, undefined, undefined)).rejects.toMatchObject({ code: "TamperedMessage" })
    for (const { job: laneJob } of given) expect(laneJob.key).toEqual(new Uint8Array(32))
  })

  it("are fewer where frames are long, so that memory stays the same", async () => {
    report = { done: true }
    const lanesFor = async (frameLength: number) => {
      given.length = 0
      await workInLanes({ ...job(), shape: { contentType: "framed", frameLength } }, 8, undefined, undefined)
      return given.length
    }
    expect(await lanesFor(1)).toBe(1)
    expect(await lanesFor(1024 * 1024)).toBe(8)
    expect(await lanesFor(4_000_000)).toBe(4)
    expect(await lanesFor(64 * 1024 * 1024)).toBe(1)
  })

  it("are not started after an abort", async () => {
    given.length = 0
    await expect(workInLanes(job(), 2, AbortSignal.abort(new Error("enough")), undefined)).rejects.toThrow("enough")
    expect(given).toEqual([])
  })

  it("are no more than there are runs", async () => {
    given.length = 0
    report = { done: true }
    await workInLanes({ ...job(), layout: { regularFrames: 1, finalLength: 1 } }, 8, undefined, undefined)
    expect(given).toHaveLength(1)
  })
})
