// One end of a pipe: `node pipe.mjs library.mjs encrypt BYTES`, `... reencrypt` or `... decrypt BYTES`. Says on standard
// error, as JSON, how many bytes of plaintext passed and the peak of its resident memory.
import { readFileSync } from "node:fs"
import { Readable, Writable } from "node:stream"
import { pipeline } from "node:stream/promises"
import { pathToFileURL } from "node:url"

const [library, mode, size = "0", signed = "unsigned"] = process.argv.slice(2)
const { rawAesKeyring, encryptStream, decryptStream, reencrypt } = await import(pathToFileURL(library).href)
const keyring = rawAesKeyring({ keyNamespace: "pipe", keyName: "k", wrappingKey: new Uint8Array(32).fill(5) })
const bytes = Number(size)
const block = Buffer.alloc(1024 * 1024)
for (let i = 0; i < block.length; i++) block[i] = (i * 31 + (i >> 8)) % 251

let passed = 0

function* source() {
  for (; passed < bytes; passed += block.length) yield block.subarray(0, Math.min(block.length, bytes - passed))
  passed = bytes
}

const sink = new Writable({
  write(chunk, _encoding, callback) {
    for (let at = 0; at < chunk.length; ) {
      const offset = passed % block.length
      const length = Math.min(chunk.length - at, block.length - offset)
      if (block.compare(chunk, at, at + length, offset, offset + length) !== 0)
        return callback(new Error("other bytes"))
      at += length
      passed += length
    }
    callback()
  },
})

const read = { keyring, signed: "verify-at-end" }
if (mode === "encrypt") {
  await pipeline(
    Readable.from(source(), { objectMode: false }),
    encryptStream({ keyring, signed: signed === "signed" }),
    process.stdout,
  )
} else if (mode === "reencrypt") {
  await pipeline(process.stdin, reencrypt({ from: read, to: { keyring } }), process.stdout)
} else {
  await pipeline(process.stdin, decryptStream(read), sink)
  if (passed !== bytes) throw new Error(`${passed} bytes came out of ${bytes}`)
}

// The kernel's high-water mark of this process alone; getrusage would count what its parent had at the fork.
const status = process.platform === "linux" ? readFileSync("/proc/self/status", "utf8") : ""
const peak = /VmHWM:\s+(\d+) kB/.exec(status)?.[1] ?? process.resourceUsage().maxRSS
process.stderr.write(JSON.stringify({ mode, passed, peakMiB: Number(peak) / 1024 }))
