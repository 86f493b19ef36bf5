import { join } from "node:path"
import { describe, expect, it } from "vitest"
import { serveNbd } from "../../src/nbd/index.ts"
import { attachVolume, createVolume } from "../../src/volume/index.ts"
import { aesKeyring } from "../support/keys.ts"
import { CMD, connectNbd, E, FLAG } from "../support/nbd-client.ts"
import { seeded } from "../support/random.ts"
import { attached, served, temporaryFolder } from "./served.ts"

const MiB = 1024 * 1024
const SIZE = 64 * MiB
const keyring = aesKeyring()

/** A new volume, attached. */
async function volume() {
  const path = join(temporaryFolder(), "disk.vol")
  await createVolume(path, { size: SIZE, keyring })
  return { path, volume: await attachVolume(path, { keyring }) }
}

describe("A volume over NBD", () => {
  it("is a block device by its shape: reads, writes, zeroes, trims, tells its holes", async () => {
    await using disk = (await volume()).volume
    const server = await served(disk)
    const client = await attached(server, { status: true })
    expect([client.size, client.flags]).toEqual([SIZE, 0x0ded])
    const data = Buffer.from(seeded(5).bytes(300_001))
    const requests = [
      { type: CMD.write, offset: 4097, data },
      { type: CMD.write, offset: 1_000_000, data: Buffer.from("durable"), flags: FLAG.fua },
      { type: CMD.zeroes, offset: 8192, length: 4096 },
      { type: CMD.zeroes, offset: 100, length: 8, flags: FLAG.noHole },
      { type: CMD.trim, offset: 16_384, length: 8192 },
      { type: CMD.cache, offset: 0, length: MiB },
      { type: CMD.flush },
    ]
    for (const request of requests) expect((await client.request(request)).error).toBe(0)
    data.fill(0, 8192 - 4097, 12_288 - 4097)
    data.fill(0, 16_384 - 4097, 24_576 - 4097)
    const back = await client.request({ type: CMD.read, offset: 4097, length: data.length })
    expect(back.data.equals(data)).toBe(true)
    const fast = await client.request({ type: CMD.zeroes, offset: 1, length: 4096, flags: FLAG.fastZero })
    expect(fast.error).toBe(E.notsup)
    const { chunks } = await client.request({ type: CMD.status, offset: 0, length: SIZE })
    const first = chunks[0]!.payload
    expect([first.readUInt32BE(4), first.readUInt32BE(8), first.readUInt32BE(12), first.readUInt32BE(16)]).toEqual([
      8192, 0, 4096, 3,
    ])
    await server.close()
  })

  it("has everything that was answered, after the server and the volume are closed", async () => {
    const { path, volume: disk } = await volume()
    const server = await serveNbd(disk, { unix: join(temporaryFolder(), "s") })
    const client = await connectNbd(server.address)
    await client.go()
    const blocks = Array.from({ length: 64 }, (_, i) => Buffer.alloc(4096, i + 1))
    const writes = blocks.map((data, i) => client.request({ type: CMD.write, offset: i * 8192, data }))
    expect((await Promise.all(writes)).every(({ error }) => error === 0)).toBe(true)
    await server.close()
    await disk.detach()
    await using again = await attachVolume(path, { keyring, readOnly: true })
    const other = await attached(await served(again))
    expect(other.flags & 2).toBe(2)
    for (const [i, data] of blocks.entries())
      expect((await other.request({ type: CMD.read, offset: i * 8192, length: 4096 })).data.equals(data)).toBe(true)
  })

  it("says that it shuts down where the volume is detached under it", async () => {
    const { volume: disk } = await volume()
    const client = await attached(await served(disk))
    await disk.detach()
    expect((await client.request({ type: CMD.read, length: 512 })).error).toBe(E.shutdown)
  })
})
