// The NBD server over memory, beside nbdkit over memory and qemu-nbd over a file in memory: what the protocol alone costs.
import { truncateSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { alternate, KiB, MiB, note, quick, report, spread } from "../harness.mjs"
import { fio, folder, missing, startServer, stopServers } from "../nbd.mjs"

const SIZE = 512 * MiB
const rounds = quick ? 2 : 4
const jobs = [
  { rw: "randread", bs: 4 * KiB, depth: 16 },
  { rw: "randwrite", bs: 4 * KiB, depth: 16 },
  { rw: "randread", bs: 4 * KiB, depth: 1 },
  { rw: "randwrite", bs: 4 * KiB, depth: 1 },
  { rw: "read", bs: MiB, depth: 1 },
  { rw: "read", bs: MiB, depth: 16 },
  { rw: "write", bs: MiB, depth: 1 },
  { rw: "write", bs: MiB, depth: 16 },
]

const none = missing(["fio", "nbdkit", "qemu-nbd"])
if (none.length > 0) note(`nbd: not measured without ${none.join(", ")} (scripts/install-nbd-clients.sh)`)
else {
  const image = join(folder, "image.raw")
  writeFileSync(image, "")
  truncateSync(image, SIZE)
  try {
    const servers = [
      await startServer(
        "serveNbd",
        (socket) => [process.execPath, ["bench/nbd-memory.mjs", socket, String(SIZE)]],
        true,
      ),
      await startServer("nbdkit memory", (socket) => ["nbdkit", ["-f", "-U", socket, "memory", String(SIZE)]]),
      await startServer("qemu-nbd raw", (socket) => ["qemu-nbd", ["-k", socket, "-f", "raw", "-t", "-e", "4", image]]),
    ]
    // Every page there is has been written once before anything is measured.
    for (const server of servers) await fio(server, { rw: "write", bs: MiB, depth: 4, size: SIZE })
    for (const job of jobs) {
      const large = job.bs === MiB
      const costs = new Map(servers.map(({ name }) => [name, []]))
      const results = await alternate(servers, rounds, async (server) => {
        const { rate, processor } = await fio(server, { ...job, size: SIZE })
        costs.get(server.name).push(processor)
        return rate
      })
      const measure = `${job.rw} of ${large ? "1 MiB" : "4 KiB"} at depth ${job.depth}`
      const checks = [{ against: "qemu-nbd raw", atLeast: 1.0 }]
      const scale = large ? { unit: "MB/s", scale: job.bs / 1e6 } : {}
      report({ measure, ...scale, results, checks })
      report({
        measure: `${measure}: processor time of the server for each`,
        unit: "µs",
        better: "lower",
        results: servers.map(({ name, ours }) => spread(name, costs.get(name).slice(1), ours)),
      })
    }
  } finally {
    await stopServers()
  }
}
