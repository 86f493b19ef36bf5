// One thread, WebCrypto on libuv's threads, or worker threads over shared memory: three ways to seal and open a buffer
// into one contiguous output of the caller. The evidence of docs/adr/0006 and 0007; no check, since we chose.
import { once } from "node:events"
import { Worker } from "node:worker_threads"
import { openLoops, sealedLength, sealLoops, webCryptoLoops } from "../bare.mjs"
import { alternate, compare, longEffort, MiB, quick, report } from "../harness.mjs"
import { startSharedLanes } from "../shared-lanes.mjs"

const lanes = [1, 2].map((workers) => startSharedLanes(workers))
for (const mebibytes of quick ? [16] : [4, 16, 256]) {
  const size = mebibytes * MiB
  const plaintext = Buffer.alloc(size, 1)
  const sealed = Buffer.alloc(sealedLength(size), 1)
  const opened = Buffer.alloc(size, 1)
  const directions = [
    ["seal", "encrypt", sealLoops, plaintext, sealed],
    ["open", "decrypt", openLoops, sealed, opened],
  ]
  for (const [verb, direction, loops, from, own] of directions) {
    for (const memory of ["the caller's", "new"]) {
      const out = memory === "new" ? () => Buffer.allocUnsafeSlow(own.length) : () => own
      const all = { ...loops, ...webCryptoLoops(direction) }
      const candidates = Object.entries(all).map(([name, loop]) => ({ name, run: () => loop(from, out()) }))
      for (const { workers, run } of lanes) {
        candidates.push({
          name: `${workers} worker${workers > 1 ? "s" : ""} over shared memory`,
          run: () => run(verb, from, out()),
        })
      }
      // What the one-thread loop seals must open everywhere.
      if (verb === "open") await Object.values(sealLoops)[0](plaintext, sealed)
      const results = await compare(candidates, { ...longEffort, milliseconds: mebibytes > 16 ? 1 : 40 })
      report({ measure: `${verb} ${mebibytes} MiB into ${memory} memory`, unit: "MB/s", scale: size / 1e6, results })
    }
  }
}
for (const { close } of lanes) await close()

report({
  measure: "until a worker thread stands",
  unit: "ms",
  better: "lower",
  results: await alternate([{ name: "a worker of no modules" }], longEffort.rounds, async () => {
    const start = performance.now()
    const worker = new Worker("", { eval: true })
    await once(worker, "online")
    const time = performance.now() - start
    await worker.terminate()
    return time
  }),
})
