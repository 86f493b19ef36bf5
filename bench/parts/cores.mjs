// What more lanes bring from file to file, beside what OpenSSL does with as many processes; and where they begin to pay.
import { availableParallelism } from "node:os"
import { encryptFile } from "kms-envelope"
import { runJob, temporaryFolder, writeFileOf } from "../files.mjs"
import { alternate, compare, effort, KiB, MiB, quick, report, spread } from "../harness.mjs"
import { findOpenssl, opensslSpeed } from "../peers.mjs"
import { keyring } from "../subjects.mjs"

const size = (quick ? 128 : 1024) * MiB
const rounds = quick ? 1 : 5
const at = temporaryFolder()
await writeFileOf(at("plain"), size)
await runJob({ kind: "encryptFile", from: at("plain"), to: at("sealed") })
const openssl = findOpenssl()

const most = availableParallelism()
const counts = [...new Set([1, 2, 4, 8, 16, 32, most])].filter((lanes) => lanes <= most).sort((a, b) => a - b)
for (const lanes of counts) {
  const jobs = [
    { name: "encryptFile", ours: true, request: { kind: "encryptFile", from: at("plain"), to: at("sealed2"), lanes } },
    { name: "decryptFile", request: { kind: "decryptFile", from: at("sealed"), to: at("opened"), lanes } },
  ]
  const results = await alternate(jobs, rounds, async ({ request }) => size / (await runJob(request)).seconds, 0)
  if (openssl !== undefined) {
    const speed = () => opensslSpeed(openssl, { bytes: 256 * KiB, seconds: 1, processes: lanes })
    results.push(spread("openssl speed, no files", Array.from({ length: rounds }, speed)))
  }
  report({
    measure: `${lanes} ${lanes === 1 ? "lane" : "lanes"}, ${size / MiB} MiB`,
    unit: "MB/s",
    scale: 1e-6,
    results,
    chart: { name: "cores", x: lanes },
  })
}

for (const mebibytes of [32, 128]) {
  await writeFileOf(at("plain"), mebibytes * MiB)
  const run = (lanes) => () => encryptFile(at("plain"), at("sealed"), { keyring, lanes, overwrite: true })
  const results = await compare(
    [
      { name: `${most} lanes`, ours: true, run: run(most) },
      { name: "this thread alone", run: run(0) },
    ],
    effort,
  )
  report({ measure: `encryptFile, ${mebibytes} MiB`, unit: "MB/s", scale: (mebibytes * MiB) / 1e6, results })
}
