// The peak of resident memory of jobs on files, each in a process of its own.
import { rmSync } from "node:fs"
import { runJob, temporaryFolder, writeFileOf } from "../files.mjs"
import { alternate, GiB, MiB, quick, report } from "../harness.mjs"

const LIMIT = 150
const at = temporaryFolder()
const once = async ({ request }) => (await runJob(request)).peakMiB

for (const size of quick ? [256 * MiB] : [64 * MiB, GiB, 2 * GiB]) {
  await writeFileOf(at("plain"), size)
  const rounds = quick || size > GiB ? 1 : 3
  const jobs = []
  for (const how of ["File", "Stream"]) {
    for (const signed of [false, true]) {
      const sealed = at(`sealed-${how}-${signed}`)
      jobs.push(
        { name: `encrypt${how}${signed ? ", signed" : ""}`, request: { from: at("plain"), to: sealed } },
        { name: `decrypt${how}${signed ? ", signed" : ""}`, request: { from: sealed, to: at("opened") } },
      )
      for (const job of jobs.slice(-2)) job.request = { kind: job.name.replace(", signed", ""), signed, ...job.request }
    }
  }
  const results = []
  for (const job of jobs) {
    results.push(...(await alternate([job], rounds, once, 0)))
    // What was read is not needed any more: the files stand in memory.
    if (job.name.startsWith("decrypt")) rmSync(job.request.from)
  }
  report({
    measure: `peak memory with ${size / MiB} MiB`,
    unit: "MiB",
    better: "lower",
    results: [...results, ...(await alternate([{ name: "no job", request: { kind: "empty" } }], 3, once, 0))],
    checks: results.map(({ name }) => ({ ours: name, atMost: LIMIT })),
  })
}
