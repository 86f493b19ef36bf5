import { describe, expect, it, vi } from "vitest"
import { memoryDevice } from "../support/memory-device.ts"
import {
  ERR,
  infoData,
  metaData,
  OK,
  type OptionReply,
  optionBytes,
  text,
  u16,
  u32,
  u64,
} from "../support/nbd-client.ts"
import { connected, served } from "./served.ts"

const MiB = 1024 * 1024
const errorOf = (replies: readonly OptionReply[]): number => {
  const { type } = replies.at(-1)!
  return type === OK ? 0 : type - 0x8000_0000
}
const [ABORT, LIST, STARTTLS, INFO, GO, STRUCTURED, LIST_META, SET_META] = [2, 3, 5, 6, 7, 8, 9, 10]

const two = () => ({
  exports: {
    disk: memoryDevice(MiB),
    образ: { device: memoryDevice(2 * MiB, { blockSize: 65536 }), description: "the second", readOnly: true },
  },
})

describe("The handshake", () => {
  it("NBD-1.1: greets with FIXED_NEWSTYLE and NO_ZEROES", async () => {
    const client = await connected(await served(memoryDevice(MiB)))
    expect(client.handshakeFlags).toBe(3)
  })

  it.each([0, 2, 7, 0x8000_0001])("NBD-1.1: ends where the client answers with the flags %i", async (flags) => {
    const client = await connected(await served(memoryDevice(MiB)), flags)
    await client.ended
  })

  it("NBD-1.2: refuses data of a wrong form and goes on", async () => {
    const client = await connected(await served(memoryDevice(MiB)))
    const wrong: [number, Buffer][] = [
      [LIST, Buffer.from("x")],
      [STRUCTURED, Buffer.from("x")],
      [INFO, Buffer.alloc(0)],
      [INFO, text("")],
      [INFO, Buffer.concat([u32(5), Buffer.from("abc"), u16(0)])],
      [INFO, Buffer.concat([text(""), u16(2), u16(1)])],
      [INFO, Buffer.concat([infoData("", [1]), Buffer.from([0])])],
      [INFO, Buffer.concat([u32(2), Buffer.from([0xff, 0xfe]), u16(0)])],
      [INFO, infoData("n".repeat(4097))],
      [GO, Buffer.concat([u32(0xffff_ffff), u16(0)])],
    ]
    for (const [option, data] of wrong) expect(errorOf(await client.option(option, data))).toBe(ERR.invalid)
    await client.structured()
    const meta = [
      Buffer.concat([text(""), u32(0xffff_ffff)]),
      Buffer.concat([text(""), u32(1), u32(9)]),
      Buffer.concat([metaData("", ["base:allocation"]), Buffer.from([0])]),
    ]
    for (const data of meta) expect(errorOf(await client.option(SET_META, data))).toBe(ERR.invalid)
    expect((await client.go()).size).toBe(MiB)
  })

  it("NBD-1.2: ends at an option without IHAVEOPT", async () => {
    const client = await connected(await served(memoryDevice(MiB)))
    client.send(Buffer.from("IHAVEOPX\0\0\0\x03\0\0\0\0", "latin1"))
    await client.ended
  })

  it("NBD-1.3: skips data of more than 64 KiB and goes on", async () => {
    const client = await connected(await served(memoryDevice(MiB)))
    expect(errorOf(await client.option(LIST, Buffer.alloc(64 * 1024)))).toBe(ERR.invalid)
    expect(errorOf(await client.option(LIST, Buffer.alloc(64 * 1024 + 1)))).toBe(ERR.tooBig)
    expect(errorOf(await client.option(99, Buffer.alloc(3 * MiB)))).toBe(ERR.tooBig)
    expect((await client.go()).size).toBe(MiB)
  })

  it("NBD-1.3: ends after 128 options", async () => {
    const client = await connected(await served(memoryDevice(MiB)))
    for (let i = 0; i < 128; i++) expect(errorOf(await client.option(LIST))).toBe(0)
    client.send(optionBytes(LIST))
    await client.ended
  })

  it("NBD-1.4: lists the exports and refuses what it does not know", async () => {
    const client = await connected(await served(two()))
    const replies = await client.option(LIST)
    expect(replies.map(({ type }) => type)).toEqual([2, 2, OK])
    expect(replies[0]!.data).toEqual(text("disk"))
    expect(replies[1]!.data).toEqual(Buffer.concat([text("образ"), Buffer.from("the second")]))
    for (const option of [11, 4, 0, 12345]) expect(errorOf(await client.option(option, u32(7)))).toBe(ERR.unsup)
  })

  it("NBD-1.5: takes the empty name for the only export, and for none of several", async () => {
    const one = await connected(await served({ exports: { disk: memoryDevice(MiB) } }))
    expect((await one.go("")).size).toBe(MiB)
    const several = await connected(await served(two()))
    expect(errorOf(await several.option(INFO, infoData("")))).toBe(ERR.unknown)
    expect(errorOf(await several.option(INFO, infoData("Disk")))).toBe(ERR.unknown)
    expect((await several.go("образ")).size).toBe(2 * MiB)
  })

  it.each([
    ["124 zeros", 1, 134],
    ["no zeros where the client wants none", 3, 10],
  ])("NBD-1.6: answers EXPORT_NAME with size, flags and %s", async (_what, flags, length) => {
    const client = await connected(await served(two()), flags)
    client.send(optionBytes(1, Buffer.from("disk")))
    const reply = await client.receive(length)
    expect(reply.subarray(0, 10)).toEqual(Buffer.concat([u64(MiB), u16(0x0d6d)]))
    expect(reply.subarray(10).every((byte) => byte === 0)).toBe(true)
    client.readReplies()
    expect((await client.request({ type: 0, offset: 0, length: 512 })).data).toEqual(Buffer.alloc(512))
  })

  it("NBD-1.6: ends for a name that there is not", async () => {
    const client = await connected(await served(two()))
    client.send(optionBytes(1, Buffer.from("none")))
    await client.ended
  })

  it("NBD-1.7: tells size, flags, block sizes, and what is asked for besides", async () => {
    const client = await connected(await served(two()))
    const plain = await client.option(INFO, infoData("disk"))
    expect(plain.map(({ type }) => type)).toEqual([3, 3, OK])
    expect(plain[0]!.data).toEqual(Buffer.concat([u16(0), u64(MiB), u16(0x0d6d)]))
    expect(plain[1]!.data).toEqual(Buffer.concat([u16(3), u32(1), u32(4096), u32(32 * MiB)]))
    await client.structured()
    const full = await client.option(INFO, infoData("образ", [1, 2, 3, 77]))
    expect(full.map(({ data }) => data)).toEqual([
      Buffer.concat([u16(0), u64(2 * MiB), u16(0x0583)]),
      Buffer.concat([u16(1), Buffer.from("образ")]),
      Buffer.concat([u16(2), Buffer.from("the second")]),
      Buffer.concat([u16(3), u32(1), u32(65536), u32(32 * MiB)]),
      Buffer.alloc(0),
    ])
  })

  it("NBD-1.7: offers only what the device can do", async () => {
    const { size, read, write, flush } = memoryDevice(MiB)
    const bare = { size, read, write, flush }
    const client = await connected(await served({ exports: { bare: { device: bare, multiConnection: false } } }))
    const [info] = await client.option(INFO, infoData("bare"))
    expect(info!.data.readUInt16BE(10)).toBe(0x040d)
    await client.structured()
    expect(await client.option(SET_META, metaData("bare", ["base:allocation"]))).toHaveLength(1)
  })

  it("NBD-1.8: grants structured replies", async () => {
    const client = await connected(await served(memoryDevice(MiB)))
    await client.structured()
    expect((await client.go()).flags).toBe(0x0ded)
  })

  it("NBD-1.9: lists and chooses base:allocation", async () => {
    const client = await connected(await served(two()))
    expect(errorOf(await client.option(LIST_META, metaData("disk", [])))).toBe(ERR.invalid)
    expect(errorOf(await client.option(SET_META, metaData("disk", ["base:allocation"])))).toBe(ERR.invalid)
    await client.structured()
    expect(errorOf(await client.option(SET_META, metaData("none", ["base:allocation"])))).toBe(ERR.unknown)
    const names = async (option: number, queries: string[]) =>
      (await client.option(option, metaData("disk", queries)))
        .slice(0, -1)
        .map(({ data }) => data.toString("latin1", 4))
    for (const queries of [[], ["base:"], ["x:y", "base:allocation"]])
      expect(await names(LIST_META, queries)).toEqual(["base:allocation"])
    for (const queries of [["base"], ["x:y"], ["base:other"]]) expect(await names(LIST_META, queries)).toEqual([])
    for (const queries of [[], ["base:"], ["qemu:dirty-bitmap:x"]]) expect(await names(SET_META, queries)).toEqual([])
    expect(await names(SET_META, ["x:y", "base:allocation"])).toEqual(["base:allocation"])
  })

  it("NBD-1.9: the choice is for the export that was named, and the last one counts", async () => {
    const server = await served(two())
    const status = { type: 7, offset: 0, length: 4096 }
    const chosen = await connected(server)
    await chosen.structured()
    await chosen.option(SET_META, metaData("disk", ["base:allocation"]))
    await chosen.go("образ")
    expect((await chosen.request(status)).error).toBe(22)
    const dropped = await connected(server)
    await dropped.structured()
    await dropped.option(SET_META, metaData("disk", ["base:allocation"]))
    await dropped.option(SET_META, metaData("disk", []))
    await dropped.go("disk")
    expect((await dropped.request(status)).error).toBe(22)
  })

  it("NBD-1.10: acknowledges ABORT and ends", async () => {
    const client = await connected(await served(memoryDevice(MiB)))
    expect(errorOf(await client.option(ABORT))).toBe(0)
    await client.ended
  })

  it("NBD-1.11: ends where a client takes too long, before or between options", async () => {
    const server = await served(memoryDevice(MiB), { handshakeSeconds: 0.2 })
    const [idle, halfway, attached] = await Promise.all([connected(server), connected(server), connected(server)])
    halfway.send(optionBytes(LIST).subarray(0, 9))
    await attached.go()
    await Promise.all([idle.ended, halfway.ended])
    await vi.waitFor(() => expect(server.stats).toMatchObject({ connections: 1, connectionsFailed: 2 }))
    expect((await attached.request({ type: 3 })).error).toBe(0)
  })

  it("NBD-2.1: has no STARTTLS without a certificate", async () => {
    const client = await connected(await served(memoryDevice(MiB)))
    expect(errorOf(await client.option(STARTTLS))).toBe(ERR.policy)
  })
})
