import { describe, expect, it } from "vitest"
import type { BlockDevice } from "../../src/nbd/index.ts"
import { memoryDevice } from "../support/memory-device.ts"
import { CMD, E, FLAG, requestBytes } from "../support/nbd-client.ts"
import { seeded } from "../support/random.ts"
import { attached, served } from "./served.ts"

const MiB = 1024 * 1024
const pattern = (length: number): Uint8Array => seeded(1).bytes(length)
/** `toEqual` takes seconds for a megabyte. */
const same = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0

describe.each([
  ["simple", false],
  ["structured", true],
])("Requests with %s replies", (_name, structured) => {
  const start = async (device: BlockDevice) => attached(await served(device), { structured })

  it.each([1, 511, 4096, 70_000, 3 * MiB])("NBD-3.2 NBD-3.3: write and read %i bytes at odd places", async (length) => {
    const device = memoryDevice(4 * MiB)
    const client = await start(device)
    const data = pattern(length)
    expect((await client.request({ type: CMD.write, offset: 777, data })).error).toBe(0)
    expect(same(device.bytes.subarray(777, 777 + length), data)).toBe(true)
    const reply = await client.request({ type: CMD.read, offset: 777, length })
    expect(same(reply.data, data)).toBe(true)
    expect(reply.chunks).toHaveLength(structured ? 1 : 0)
  })

  it("NBD-3.12: reads keep their forms, also where they fail", async () => {
    const device = { ...memoryDevice(MiB), read: () => Promise.reject(new Error("bad sector")) }
    const client = await start(device)
    const read = await client.request({ type: CMD.read, offset: 0, length: 512 })
    expect([read.error, read.chunks.length]).toEqual([E.io, structured ? 1 : 0])
    const write = await client.request({ type: CMD.write, offset: MiB, data: pattern(512) })
    expect([write.error, write.chunks.length]).toEqual([E.nospc, 0])
  })

  it("NBD-3.11: a length of 0 succeeds and does not reach the device", async () => {
    const device = memoryDevice(MiB, { log: true })
    const client = await start(device)
    for (const type of [CMD.read, CMD.write, CMD.trim, CMD.cache, CMD.zeroes])
      expect((await client.request({ type, offset: 4096, length: 0 })).error).toBe(0)
    expect(device.calls).toEqual([])
  })

  it("NBD-3.2: data may come in pieces of any size", async () => {
    const bytes = pattern(200_000)
    const cuts = [0, 1, 5000, 5001, 60_000, 199_999, 200_000]
    const read = () => cuts.slice(1).map((end, i) => bytes.subarray(cuts[i], end))
    const released: unknown[] = []
    const client = await start({ ...memoryDevice(MiB), read, release: (data: unknown) => void released.push(data) })
    const reply = await client.request({ type: CMD.read, offset: 0, length: 200_000 })
    expect(same(reply.data, bytes)).toBe(true)
    expect(released).toHaveLength(1)
  })

  it("NBD-3.2: a device that reads too little or too much is an I/O error", async () => {
    const client = await start({ ...memoryDevice(MiB), read: (_offset, length) => new Uint8Array(length - 1) })
    expect((await client.request({ type: CMD.read, offset: 0, length: 512 })).error).toBe(E.io)
    expect((await client.request({ type: CMD.flush })).error).toBe(0)
  })
})

describe("Requests", () => {
  it("NBD-3.1: refuse commands and flags that there are not", async () => {
    const device = memoryDevice(MiB, { log: true })
    const client = await attached(await served(device))
    const wrong = [
      { type: 8 },
      { type: 0xffff, length: 4096 },
      { type: CMD.read, length: 512, flags: FLAG.noHole },
      { type: CMD.read, length: 512, flags: 0x20 },
      { type: CMD.write, data: pattern(70_000), flags: FLAG.df },
      { type: CMD.flush, flags: FLAG.reqOne },
      { type: CMD.zeroes, length: 512, flags: 0x8000 },
      { type: CMD.status, length: 512 },
    ]
    for (const request of wrong) expect((await client.request(request)).error).toBe(E.inval)
    expect(device.calls).toEqual([])
  })

  it("NBD-3.1: refuse DF without structured replies, and what the device cannot do", async () => {
    const { size, read, write, flush } = memoryDevice(MiB)
    const client = await attached(await served({ size, read, write, flush }), { structured: false })
    for (const request of [
      { type: CMD.read, length: 512, flags: FLAG.df },
      { type: CMD.trim, length: 512 },
      { type: CMD.zeroes, length: 512 },
      { type: CMD.status, length: 512 },
    ])
      expect((await client.request(request)).error).toBe(E.inval)
    expect((await client.request({ type: CMD.cache, length: 512 })).error).toBe(0)
  })

  it("NBD-3.1: a wrong magic number ends the connection", async () => {
    const server = await served(memoryDevice(MiB))
    const client = await attached(server)
    client.send(Buffer.alloc(28, 0x25))
    await client.ended
    expect(server.stats.connectionsFailed).toBe(1)
  })

  it("NBD-3.2: 32 MiB is the most that is read at once, with and without DF", async () => {
    const client = await attached(await served(memoryDevice(40 * MiB)))
    const most = await client.request({ type: CMD.read, length: 32 * MiB, flags: FLAG.df })
    expect([most.error, most.data.length]).toEqual([0, 32 * MiB])
    expect((await client.request({ type: CMD.read, length: 32 * MiB + 1 })).error).toBe(E.inval)
    expect((await client.request({ type: CMD.read, length: 32 * MiB + 1, flags: FLAG.df })).error).toBe(E.overflow)
  })

  it("NBD-3.2: leaves runs of zeros out where sparse reads are on, and not with DF", async () => {
    const device = memoryDevice(MiB)
    await device.write(8192, pattern(5000), {})
    const client = await attached(await served({ exports: { d: { device, sparseReads: true } } }))
    const sparse = await client.request({ type: CMD.read, offset: 100, length: 50_000 })
    expect(sparse.chunks.map(({ type }) => type)).toEqual([2, 1, 2])
    expect(same(sparse.data, device.bytes.subarray(100, 50_100))).toBe(true)
    const whole = await client.request({ type: CMD.read, offset: 100, length: 50_000, flags: FLAG.df })
    expect(whole.chunks.map(({ type }) => type)).toEqual([1])
    expect(same(whole.data, sparse.data)).toBe(true)
  })

  it("NBD-3.2: gives back what was read of a sparse read that fails", async () => {
    const bytes = memoryDevice(MiB)
    const released: unknown[] = []
    const device: BlockDevice = {
      ...bytes,
      blockStatus: (_offset, length) => [
        { length: 512, hole: false, zero: false },
        { length: 512, hole: true, zero: true },
        { length: length - 1024, hole: false, zero: false },
      ],
      read: async (offset, length) => {
        if (offset > 0) throw new Error("bad sector")
        return bytes.read(offset, length)
      },
      release: (data) => void released.push(data),
    }
    const client = await attached(await served({ exports: { d: { device, sparseReads: true } } }))
    expect((await client.request({ type: CMD.read, length: 4096 })).error).toBe(E.io)
    expect(released).toHaveLength(1)
  })

  it("NBD-3.3: 32 MiB is the most that is written at once; more ends the connection", async () => {
    const device = memoryDevice(40 * MiB)
    const client = await attached(await served(device))
    expect((await client.request({ type: CMD.write, offset: 5, data: Buffer.alloc(32 * MiB, 9) })).error).toBe(0)
    expect([device.bytes[4], device.bytes[5], device.bytes[32 * MiB + 4]]).toEqual([0, 9, 9])
    client.send(requestBytes({ type: CMD.write, length: 32 * MiB + 1 }, 1n))
    await client.ended
  })

  it.each([100, 70_000, 5 * MiB])("NBD-3.3: the %i bytes of a refused write are dropped", async (length) => {
    const device = memoryDevice(MiB, { readOnly: true, log: true })
    const client = await attached(await served(device))
    const replies = await Promise.all([
      client.request({ type: CMD.write, data: Buffer.alloc(length, 0x25) }),
      client.request({ type: CMD.read, offset: 512, length: 512 }),
    ])
    expect(replies.map(({ error }) => error)).toEqual([E.perm, 0])
    expect(device.calls).toEqual(["read 512 512"])
  })

  it("NBD-3.4 NBD-3.5 NBD-3.6 NBD-3.7 NBD-3.9: reach the device with their flags", async () => {
    const device = memoryDevice(8 * MiB, { log: true })
    const client = await attached(await served(device))
    const both = FLAG.noHole | FLAG.fastZero
    const requests = [
      { type: CMD.flush },
      { type: CMD.flush, flags: FLAG.fua },
      { type: CMD.trim, offset: 3, length: 10_000 },
      { type: CMD.trim, offset: 0, length: 4096, flags: FLAG.fua },
      { type: CMD.cache, offset: 1, length: 2 },
      { type: CMD.zeroes, offset: 1, length: 6 * MiB },
      { type: CMD.zeroes, offset: 0, length: 4096, flags: both | FLAG.fua },
      { type: CMD.write, offset: 9, data: pattern(3) },
      { type: CMD.write, offset: 9, data: pattern(3), flags: FLAG.fua },
      { type: CMD.read, offset: 9, length: 3, flags: FLAG.fua },
    ]
    for (const request of requests) expect((await client.request(request)).error).toBe(0)
    expect(device.calls).toEqual([
      "flush",
      "flush",
      "trim 3 10000",
      "trim 0 4096 fua",
      "cache 1 2",
      "zero 1 6291456",
      "zero 0 4096 fua noHole fast",
      "write 9 3",
      "write 9 3 fua",
      "read 9 3",
    ])
    expect((await client.request({ type: CMD.flush, offset: 512 })).error).toBe(E.inval)
    expect((await client.request({ type: CMD.flush, length: 512 })).error).toBe(E.inval)
  })

  it("NBD-3.7: zeroes more than 32 MiB, and says where it would be slow", async () => {
    const errors: unknown[] = []
    const slow = Object.assign(new Error("slow"), { code: "ENOTSUP" })
    const device: BlockDevice = {
      ...memoryDevice(80 * MiB),
      writeZeroes: (_offset, _length, { fast }) => {
        if (fast) throw slow
      },
    }
    const client = await attached(await served(device, { onError: (error) => void errors.push(error) }))
    expect((await client.request({ type: CMD.zeroes, length: 80 * MiB })).error).toBe(0)
    expect((await client.request({ type: CMD.zeroes, length: 512, flags: FLAG.fastZero })).error).toBe(E.notsup)
    expect(errors).toEqual([])
  })

  const extentsOf = (payload: Buffer) =>
    Array.from({ length: (payload.length - 4) / 8 }, (_, i) => [
      payload.readUInt32BE(4 + 8 * i),
      payload.readUInt32BE(8 + 8 * i),
    ])

  it("NBD-3.8: tells holes and data, joined and cut to the request", async () => {
    const device = memoryDevice(MiB)
    await device.write(8192, pattern(4096), {})
    await device.write(12_288, pattern(1), {})
    const client = await attached(await served(device), { status: true })
    const ask = async (offset: number, length: number, flags = 0) => {
      const { error, chunks } = await client.request({ type: CMD.status, offset, length, flags })
      expect([error, chunks.map(({ type, flags: done }) => [type, done])]).toEqual([0, [[5, 1]]])
      expect(chunks[0]!.payload.readUInt32BE(0)).toBe(1)
      return extentsOf(chunks[0]!.payload)
    }
    expect(await ask(0, MiB)).toEqual([
      [8192, 3],
      [8192, 0],
      [MiB - 16_384, 3],
    ])
    expect(await ask(100, 9000)).toEqual([
      [8092, 3],
      [908, 0],
    ])
    expect(await ask(0, MiB, FLAG.reqOne)).toEqual([[8192, 3]])
    expect((await client.request({ type: CMD.status, offset: 0, length: 0 })).error).toBe(E.inval)
    expect((await client.request({ type: CMD.status, offset: 1, length: MiB })).error).toBe(E.inval)
  })

  it("NBD-3.8: sends 8192 extents at most, whatever the device says", async () => {
    const status = (_offset: number, length: number) =>
      Array.from({ length: length / 512 }, (_, i) => ({ length: 512, hole: i % 2 === 0, zero: false }))
    const client = await attached(await served({ ...memoryDevice(8 * MiB), blockStatus: status }), { status: true })
    const { chunks } = await client.request({ type: CMD.status, length: 8 * MiB })
    expect(extentsOf(chunks[0]!.payload)).toHaveLength(8192)
    const nothing = { ...memoryDevice(MiB), blockStatus: () => [{ length: 0, hole: true, zero: true }] }
    const other = await attached(await served(nothing), { status: true })
    const reply = await other.request({ type: CMD.status, length: 512 })
    expect(extentsOf(reply.chunks[0]!.payload)).toEqual([[512, 0]])
  })

  it("NBD-3.10: DISC ends the connection after what is under way is answered", async () => {
    let answer = (): void => {}
    const device = {
      ...memoryDevice(MiB),
      flush: () =>
        new Promise<void>((resolve) => {
          answer = resolve
        }),
    }
    const client = await attached(await served(device))
    const flushed = client.request({ type: CMD.flush })
    client.request({ type: CMD.disc }).catch(() => {})
    const late = client.request({ type: CMD.read, length: 512 })
    late.catch(() => {})
    await new Promise((resolve) => setTimeout(resolve, 50))
    answer()
    expect((await flushed).error).toBe(0)
    await client.ended
    await expect(late).rejects.toThrow("ended")
    device.flush = () => Promise.resolve()
  })

  it("NBD-3.10: whatever follows DISC costs no reply", async () => {
    const client = await attached(await served(memoryDevice(MiB), { port: 0 }))
    const replies = Array.from({ length: 100 }, () => client.request({ type: CMD.read, length: 10_000 }))
    client.request({ type: CMD.disc }).catch(() => {})
    client.send(Buffer.alloc(4 * MiB, 1))
    expect((await Promise.all(replies)).every(({ error }) => error === 0)).toBe(true)
    await client.ended
  })

  it("NBD-3.10: a client that closes its side gets its answers", async () => {
    const client = await attached(await served(memoryDevice(MiB)))
    const reply = client.request({ type: CMD.read, offset: 0, length: MiB })
    client.socket.end()
    expect((await reply).data).toHaveLength(MiB)
    await client.ended
  })

  it("NBD-3.11: refuse what lies behind the end, and whatever writes to a read-only export", async () => {
    const device = memoryDevice(MiB, { log: true })
    const server = await served({ exports: { rw: device, ro: { device, readOnly: true } } })
    const client = await attached(server, { name: "rw", status: true })
    const behind = async (type: number, offset: number | bigint) =>
      (await client.request({ type, offset, length: 2, ...(type === CMD.write && { data: pattern(2) }) })).error
    for (const offset of [MiB - 1, MiB, 2 ** 53, 2n ** 63n, 2n ** 64n - 1n]) {
      for (const type of [CMD.read, CMD.trim, CMD.cache, CMD.status]) expect(await behind(type, offset)).toBe(E.inval)
      for (const type of [CMD.write, CMD.zeroes]) expect(await behind(type, offset)).toBe(E.nospc)
    }
    const reader = await attached(server, { name: "ro" })
    for (const type of [CMD.write, CMD.trim, CMD.zeroes])
      expect((await reader.request({ type, data: pattern(type === CMD.write ? 9 : 0), length: 9 })).error).toBe(E.perm)
    expect((await reader.request({ type: CMD.flush })).error).toBe(0)
    expect(device.calls).toEqual([])
  })

  it.each([
    ["EPERM", E.perm],
    ["EROFS", E.perm],
    ["ENOSPC", E.nospc],
    ["EINVAL", E.inval],
    ["EOVERFLOW", E.overflow],
    ["ENOTSUP", E.notsup],
    ["ESHUTDOWN", E.shutdown],
    ["Closed", E.shutdown],
    ["TamperedMessage", E.io],
    ["toString", E.io],
    [undefined, E.io],
  ])("NBD-4.1: a device's error with the code %s is %i", async (code, errno) => {
    const error = Object.assign(new Error("secret detail"), { code })
    const errors: unknown[] = []
    const write = (offset: number) => {
      if (offset === 0) throw error
      return Promise.reject(error)
    }
    const server = await served({ ...memoryDevice(MiB), write }, { onError: (each) => void errors.push(each) })
    const client = await attached(server)
    for (const offset of [0, 512])
      expect((await client.request({ type: CMD.write, offset, data: pattern(512) })).error).toBe(errno)
    expect(errors).toEqual(code === "ENOTSUP" ? [] : [error, error])
    expect(server.stats.errors).toBe(2)
  })
})
