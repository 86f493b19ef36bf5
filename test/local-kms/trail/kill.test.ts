import { spawn } from "node:child_process"
import { once } from "node:events"
import { createRequire } from "node:module"
import { join } from "node:path"
import { setTimeout as delay } from "node:timers/promises"
import { pathToFileURL } from "node:url"
import { build } from "esbuild"
import { expect, test } from "vitest"
import { LocalKms, verifyDelivery } from "../../../src/local-kms/index.ts"
import { temporaryFolder } from "../helpers.ts"

const ROUNDS = 6

/** The worker as one JavaScript file, since Node 20 reads no TypeScript. */
async function buildWorker(): Promise<string> {
  const outfile = join(await temporaryFolder(), "worker.mjs")
  const lmdb = pathToFileURL(createRequire(import.meta.url).resolve("lmdb")).href
  await build({
    entryPoints: [new URL("kill-worker.ts", import.meta.url).pathname],
    outfile,
    bundle: true,
    platform: "node",
    format: "esm",
    alias: { lmdb },
    external: [lmdb],
  })
  return outfile
}

test("AUD-5.6: two processes that write and deliver, killed at any moment, leave a whole trail and no event twice", async () => {
  const [script, dir, logs] = [await buildWorker(), await temporaryFolder(), await temporaryFolder()]
  await (await LocalKms.open(dir)).close()
  let delivered = 0
  for (let round = 0; round < ROUNDS; round++) {
    const workers = [0, 1].map(() =>
      spawn(process.execPath, [script, dir, logs], { stdio: ["ignore", "pipe", "inherit"] }),
    )
    for (const { stdout } of workers)
      stdout!.setEncoding("utf8").on("data", (text: string) => {
        // The last line may be cut.
        for (const line of text.split("\n").slice(0, -1)) delivered = Math.max(delivered, Number(line))
      })
    await Promise.all(workers.map(({ stdout }) => once(stdout!, "data")))
    await delay(150 * Math.random())
    for (const worker of workers) worker.kill("SIGKILL")
    await Promise.all(workers.map((worker) => once(worker, "close")))
    const kms = await LocalKms.open(dir)
    const { problems, last, signedUpTo } = await kms.verifyAudit()
    expect(problems).toEqual([])
    expect(signedUpTo).toBeGreaterThanOrEqual(delivered)
    expect(last).toBeGreaterThanOrEqual(signedUpTo)
    await kms.deliverAudit(logs)
    expect(await verifyDelivery(logs, await kms.auditPublicKey())).toMatchObject({ problems: [], events: last })
    await kms.close()
  }
  expect(delivered).toBeGreaterThan(ROUNDS * 20)
}, 60_000)
