/**
 * One job in a process of its own: `node job.mjs '{"kind":"encryptFile","from":…,"to":…}'`. Prints as JSON how long it
 * took and the peak of its resident memory.
 */
import { createReadStream, createWriteStream, readFileSync } from "node:fs"
import { pipeline } from "node:stream/promises"
import { MiB } from "./harness.mjs"

const request = JSON.parse(process.argv[2])
const started = performance.now()
const peers = () => import("./subjects.mjs")
const { decryptFile, decryptStream, encryptFile, encryptStream, rawAesKeyring } = request.kind.startsWith("official")
  ? {}
  : await import("kms-envelope")
const keyring = rawAesKeyring?.({
  keyNamespace: "bench",
  keyName: "key",
  wrappingKey: new Uint8Array(32).fill(7),
})

const highWaterMark = MiB
const through = (stream) =>
  pipeline(createReadStream(request.from, { highWaterMark }), stream, createWriteStream(request.to, { highWaterMark }))
const { signed = false, frameLength } = request
const lanes = request.lanes === undefined ? {} : { lanes: request.lanes }
const jobs = {
  empty: async () => {},
  encryptFile: () => encryptFile(request.from, request.to, { keyring, signed, overwrite: true, ...lanes }),
  decryptFile: () => decryptFile(request.from, request.to, { keyring, overwrite: true, ...lanes }),
  encryptStream: () => through(encryptStream({ keyring, signed })),
  decryptStream: () => through(decryptStream({ keyring, signed: "verify-at-end" })),
  async officialEncrypt() {
    const { official, officialKeyring, suiteId } = await peers()
    await through(official.encryptStream(officialKeyring, { suiteId, frameLength }))
  },
  async officialDecrypt() {
    const { official, officialKeyring } = await peers()
    await through(official.decryptStream(officialKeyring))
  },
}
await jobs[request.kind]()
const seconds = (performance.now() - started) / 1000

// The kernel's high-water mark of this process alone; getrusage would count what its parent had at the fork.
const status = process.platform === "linux" ? readFileSync("/proc/self/status", "utf8") : ""
const peak = /VmHWM:\s+(\d+) kB/.exec(status)?.[1] ?? process.resourceUsage().maxRSS
console.log(JSON.stringify({ seconds, peakMiB: Number(peak) / 1024 }))
