import { createHash } from "node:crypto"
import { crc32 } from "node:zlib"
import { S3Fault } from "./fault.ts"

export type ChecksumName = "crc32" | "crc32c" | "sha1" | "sha256"

export const CHECKSUMS: readonly ChecksumName[] = ["crc32", "crc32c", "sha1", "sha256"]

export interface RunningChecksum {
  update(chunk: Uint8Array): void
  /** In base64, as it stands in a header. */
  digest(): string
}

export function runningChecksum(name: string): RunningChecksum {
  if (name === "sha1" || name === "sha256" || name === "md5") {
    const hash = createHash(name)
    return { update: (chunk) => void hash.update(chunk), digest: () => hash.digest("base64") }
  }
  if (name === "crc32" || name === "crc32c") {
    const step = name === "crc32" ? (chunk: Uint8Array, value: number) => crc32(chunk, value) : crc32c
    let value = 0
    return {
      update: (chunk) => {
        value = step(chunk, value)
      },
      digest: () => {
        const bytes = Buffer.alloc(4)
        bytes.writeUInt32BE(value >>> 0)
        return bytes.toString("base64")
      },
    }
  }
  throw new S3Fault(501, "NotImplemented", `This server computes no ${name} checksum.`)
}

const table = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0x82f63b78 : value >>> 1
  return value
})

/** Castagnoli's polynomial, reflected. */
function crc32c(chunk: Uint8Array, start: number): number {
  let value = ~start
  for (const byte of chunk) value = table[(value ^ byte) & 0xff]! ^ (value >>> 8)
  return ~value >>> 0
}
