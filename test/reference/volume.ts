import { createDecipheriv, createHmac, hkdfSync } from "node:crypto"
import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"

const ENTRY = 24
const NODE = 128 * ENTRY

interface Header {
  readonly id: Buffer
  readonly generation: number
  readonly size: number
  readonly blockSize: number
  readonly clean: boolean
  readonly root: Buffer
  readonly context: Map<string, string>
  readonly wrappedKeys: { readonly provider: string; readonly info: Buffer; readonly ciphertext: Buffer }[]
  readonly epochs: Map<number, Buffer>
  readonly body: Buffer
  readonly mac: Buffer
}

/** Asks whoever holds the wrapping key. */
export type Unwrap = (wrapped: Header["wrappedKeys"][number], context: Map<string, string>) => Buffer

/** Reads a volume that was detached, as docs/spec/volume.md says and no faster than it must. @throws for whatever is wrong */
export function readDetachedVolume(folder: string, unwrap: Unwrap): Buffer {
  const headers = ["header.0", "header.1"]
    .map((name) => join(folder, name))
    .filter(existsSync)
    .map((path) => parseHeader(readFileSync(path)))
    .sort((a, b) => b.generation - a.generation)
  const header = headers[0]!
  const dataKey = unwrap(header.wrappedKeys[0]!, header.context)
  const hkdf = (salt: Buffer, ...info: Buffer[]) =>
    Buffer.from(hkdfSync("sha256", dataKey, salt, Buffer.concat(info), 32))
  const macKey = hkdf(header.id, Buffer.from("kms-envelope volume 1 header"))
  check(createHmac("sha256", macKey).update(header.body).digest().equals(header.mac), "the header's MAC is wrong")
  check(header.clean, "the volume was not detached")
  check(header.context.get("kms-envelope:volume-id") === `vol-${header.id.toString("hex")}`, "another volume's key")

  const open = (domain: number, entry: Buffer, aad: Buffer, ciphertext: Buffer): Buffer => {
    const epoch = entry.readUIntBE(1, 3)
    const key = hkdf(header.epochs.get(epoch)!, Buffer.from("kms-envelope volume 1 epoch"), header.id, u32(epoch))
    const nonce = Buffer.concat([u32(domain), u32(0), entry.subarray(4, 8)])
    const decipher = createDecipheriv("aes-256-gcm", key, nonce, { authTagLength: 16 })
    decipher.setAAD(aad)
    decipher.setAuthTag(entry.subarray(8))
    return Buffer.concat([decipher.update(ciphertext), decipher.final()])
  }
  const piece = (name: string, entry: Buffer, length: number, index: number): Buffer => {
    const file = readFileSync(join(folder, `${name}.${(entry[0]! & 2) === 0 ? "a" : "b"}`))
    return file.subarray(index * length, (index + 1) * length)
  }
  const blocks = Math.ceil(header.size / header.blockSize)
  const all = Buffer.alloc(blocks * header.blockSize)
  const readNode = (level: number, index: number, above: Buffer): void => {
    if ((above[0]! & 1) === 0) return
    const aad = Buffer.concat([Buffer.from("VOLN"), header.id, u32(level), u64(index)])
    const node = open(2, above, aad, piece(`map.${level}`, above, NODE, index))
    for (let i = 0; i < 128; i++) {
      const entry = node.subarray(i * ENTRY, (i + 1) * ENTRY)
      if (level > 0) readNode(level - 1, index * 128 + i, entry)
      else if ((entry[0]! & 1) === 1) readBlock(index * 128 + i, entry)
    }
  }
  const readBlock = (block: number, entry: Buffer): void => {
    const aad = Buffer.concat([Buffer.from("VOLB"), header.id, u64(block), u32(header.blockSize)])
    open(0, entry, aad, piece("data", entry, header.blockSize, block)).copy(all, block * header.blockSize)
  }
  let levels = 1
  while (128 ** levels < blocks) levels++
  readNode(levels - 1, 0, header.root)
  return all.subarray(0, header.size)
}

function parseHeader(bytes: Buffer): Header {
  let at = 0
  const take = (length: number): Buffer => {
    check(at + length <= bytes.length, "the header ends early")
    at += length
    return bytes.subarray(at - length, at)
  }
  const number = (length: number): number => Number(BigInt(`0x${take(length).toString("hex")}`))
  const field = () => take(number(2))
  check(take(8).toString("latin1") === "KMSEVOL\0", "no volume")
  check(number(2) === 1, "another version")
  const id = take(16)
  const generation = number(8)
  take(32 + 8)
  const size = number(8)
  const blockSize = number(4)
  const clean = number(1) === 1
  const root = take(ENTRY)
  take(16)
  const pairs = field()
  const context = new Map<string, string>()
  for (let i = 2; i < pairs.length; ) {
    const [key, value] = [0, 1].map(() => {
      const text = pairs.subarray(i + 2, i + 2 + pairs.readUInt16BE(i))
      i += 2 + text.length
      return text.toString()
    })
    context.set(key!, value!)
  }
  const wrappedKeys = Array.from({ length: number(2) }, () => ({
    provider: field().toString(),
    info: field(),
    ciphertext: field(),
  }))
  const epochs = new Map(Array.from({ length: number(4) }, () => [number(4), take(32)] as const))
  check(number(4) === 0, "an unknown extension")
  const body = bytes.subarray(0, at)
  const mac = take(32)
  check(at === bytes.length, "bytes follow the header")
  return { id, generation, size, blockSize, clean, root, context, wrappedKeys, epochs, body, mac }
}

const u32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}

const u64 = (value: number): Buffer => {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64BE(BigInt(value))
  return bytes
}

function check(condition: boolean, what: string): void {
  if (!condition) throw new Error(what)
}
