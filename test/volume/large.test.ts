import { expect, test } from "vitest"
import { ENTRY_LENGTH, present, writeEntry } from "../../src/volume/entry.ts"
import { geometryOf, levelsFor } from "../../src/volume/geometry.ts"
import { decodeHeader, encodeHeader } from "../../src/volume/header.ts"
import { Domain, volumeKeys } from "../../src/volume/keys.ts"
import { aesKeyring } from "../support/keys.ts"
import { simDisk } from "./sim-disk.ts"
import { attach, MiB, newVolume } from "./support.ts"

const BLOCK = 4096
const GIB = 2 ** 30
/** Of a volume whose data is only said to be there; `VOLUME_LARGE_GIB=100` for the full run. */
const WRITTEN = Number(process.env.VOLUME_LARGE_GIB ?? 2)
const NODE = 128 * ENTRY_LENGTH

/**
 * The files of a clean volume of so many bytes, all of whose blocks are said to be written: the whole map, and of the data
 * only the first and the last block.
 */
async function writtenVolume(size: number): Promise<Map<string, Uint8Array>> {
  const disk = await newVolume({ size })
  await (await attach(disk)).detach()
  const files = disk.copy()
  const { header } = decodeHeader(files.get("header.1")!)
  const dataKey = (await aesKeyring().unwrap({
    suite: { id: 0x0478, dataKeyLength: 32, derivesKey: true, commitsKey: true, signed: false },
    encryptionContext: header.encryptionContext,
    wrappedKeys: header.wrappedKeys,
  }))!
  const keys = volumeKeys(dataKey, geometryOf(header.volumeId, size, BLOCK))
  keys.use(keys.propose())
  const blocks = size / BLOCK
  const first = keys.seal(Domain.block, keys.blockAad(0), new Uint8Array(BLOCK).fill(1))
  let entries = new Uint8Array(0)
  for (let level = 0, count = blocks; level < levelsFor(blocks); level++) {
    const nodes = Math.ceil(count / 128)
    const above = new Uint8Array(nodes * ENTRY_LENGTH)
    const file = new Uint8Array(nodes * NODE)
    const node = new Uint8Array(NODE)
    for (let i = 0; i < nodes; i++) {
      if (level > 0) {
        node.fill(0)
        node.set(entries.subarray(i * NODE, (i + 1) * NODE))
      } else {
        for (let j = 0; j < 128; j++) writeEntry(node, j * ENTRY_LENGTH, { state: present(0), ...first })
      }
      const sealed = keys.seal(Domain.node, keys.nodeAad(level, i), node)
      file.set(sealed.ciphertext, i * NODE)
      writeEntry(above, i * ENTRY_LENGTH, { state: present(0), ...sealed })
    }
    files.set(`map.${level}.a`, file)
    entries = above
    count = nodes
  }
  files.set("data.a", first.ciphertext)
  const next = { ...header, generation: 2, root: entries, epochs: keys.epochs }
  const body = encodeHeader(next)
  files.set("header.0", Buffer.concat([body, keys.mac(body)]))
  return files
}

// VOL-4.2
test(`a volume with ${WRITTEN} GiB written is attached without its map, of which memory holds as much as it may`, async () => {
  const disk = simDisk(await writtenVolume(WRITTEN * GIB))
  const leaves = (WRITTEN * GIB) / BLOCK / 128
  const maxMapBytes = WRITTEN > 64 ? 64 * MiB : 2 * MiB
  const before = process.memoryUsage()
  const volume = await attach(disk, { maxMapBytes })
  expect((await volume.read(0, BLOCK)).every((byte) => byte === 1)).toBe(true)
  expect((await volume.info()).mapNodes).toBeLessThan(10)
  for (let i = 0; i < Math.min(leaves, 30_000); i++) {
    const [extent] = await volume.blockStatus(((i * 7919) % leaves) * 128 * BLOCK, BLOCK)
    expect(extent!.hole).toBe(false)
  }
  expect((await volume.info()).mapNodes).toBeLessThan(maxMapBytes / NODE + leaves / 100 + 10)
  const after = process.memoryUsage()
  expect(after.heapUsed + after.arrayBuffers - before.heapUsed - before.arrayBuffers).toBeLessThan(300 * MiB)
  await volume.detach()
}, 600_000)
