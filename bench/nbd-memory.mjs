// Serves memory by NBD on the Unix socket given: node bench/nbd-memory.mjs SOCKET BYTES
import { serveNbd } from "kms-envelope/nbd"

const [unix, size] = process.argv.slice(2)
const bytes = Buffer.alloc(Number(size))
const server = await serveNbd(
  {
    size: bytes.length,
    read: (offset, length) => bytes.subarray(offset, offset + length),
    write: (offset, data) => {
      bytes.set(data, offset)
    },
    flush: () => {},
  },
  { unix },
)
process.once("SIGTERM", () => server.close({ graceSeconds: 0 }))
