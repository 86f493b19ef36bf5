import { describe, expect, it, vi } from "vitest"
import { type BlockDevice, serveNbd } from "../../src/nbd/index.ts"
import { errorOf } from "../support/errors.ts"
import { memoryDevice } from "../support/memory-device.ts"
import { CMD, optionBytes, requestBytes } from "../support/nbd-client.ts"
import { attached, connected, served } from "./served.ts"

const KiB = 1024
const MiB = 1024 * KiB

/** A device whose reads wait until they are let go, with the most that were under way at once. */
function heldDevice(size: number) {
  const held: (() => void)[] = []
  let [now, most] = [0, 0]
  const device: BlockDevice = {
    ...memoryDevice(size),
    async read(_offset, length) {
      most = Math.max(most, ++now)
      await new Promise<void>((resolve) => held.push(resolve))
      now--
      return new Uint8Array(length)
    },
  }
  return {
    device,
    get most() {
      return most
    },
    get now() {
      return now
    },
    release: () => {
      for (const go of held.splice(0)) go()
    },
  }
}

const pause = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds))

describe("A connection", () => {
  it("NBD-5.1: has as many requests under way as allowed, and then the others", async () => {
    const held = heldDevice(MiB)
    const server = await served(held.device, { maxRequestsInFlight: 5 })
    const client = await attached(server)
    const replies = Array.from({ length: 23 }, () => client.request({ type: CMD.read, length: 512 }))
    await vi.waitFor(() => expect(held.now).toBe(5))
    const letGo = setInterval(held.release, 5)
    expect((await Promise.all(replies)).every(({ error }) => error === 0)).toBe(true)
    clearInterval(letGo)
    expect(held.most).toBe(5)
    await vi.waitFor(() => expect(server.stats.inFlight).toBe(0))
  })

  it("NBD-5.1: has as many bytes under way as allowed, and then the others", async () => {
    const held = heldDevice(MiB)
    const client = await attached(await served(held.device, { maxBytesInFlight: 100 * KiB }))
    const replies = Array.from({ length: 12 }, () => client.request({ type: CMD.read, length: 40 * KiB }))
    await vi.waitFor(() => expect(held.now).toBe(3))
    await pause(50)
    const letGo = setInterval(held.release, 5)
    await Promise.all(replies)
    clearInterval(letGo)
    expect(held.most).toBe(3)
  })

  it("NBD-5.1: a client that reads no replies gets no more read, and all of them later", async () => {
    const device = memoryDevice(4 * MiB)
    const server = await served(device, { maxBytesInFlight: 4 * MiB })
    const client = await attached(server)
    client.socket.pause()
    const replies = Array.from({ length: 200 }, () => client.request({ type: CMD.read, length: MiB }))
    await pause(200)
    const { reads } = server.stats
    expect(reads).toBeLessThan(20)
    await pause(100)
    expect(server.stats.reads).toBe(reads)
    client.socket.resume()
    expect((await Promise.all(replies)).every(({ data }) => data.length === MiB)).toBe(true)
  })

  it("NBD-5.2: requests overtake each other", async () => {
    const held = heldDevice(MiB)
    const client = await attached(await served(held.device))
    const order: string[] = []
    const slow = client.request({ type: CMD.read, length: 512 }).then(() => order.push("read"))
    await vi.waitFor(() => expect(held.now).toBe(1))
    await client.request({ type: CMD.write, data: Buffer.alloc(512) }).then(() => order.push("write"))
    held.release()
    await slow
    expect(order).toEqual(["write", "read"])
  })

  it("NBD-5.3: sees what another connection of the export has written", async () => {
    const server = await served(memoryDevice(MiB))
    const [one, other] = [await attached(server), await attached(server)]
    expect(one.flags & 0x100).toBe(0x100)
    await one.request({ type: CMD.write, offset: 5, data: Buffer.from("hello") })
    expect((await other.request({ type: CMD.flush })).error).toBe(0)
    expect((await other.request({ type: CMD.read, offset: 5, length: 5 })).data.toString()).toBe("hello")
  })

  it("NBD-5.5: there are as many as allowed", async () => {
    const server = await served(memoryDevice(MiB), { maxConnections: 2 })
    const [first, second] = [await attached(server), await attached(server)]
    await expect(connected(server)).rejects.toThrow("ended")
    first.close()
    await vi.waitFor(() => expect(server.stats.connections).toBe(1))
    const third = await attached(server)
    for (const client of [second, third]) expect((await client.request({ type: CMD.flush })).error).toBe(0)
  })

  it("NBD-4.2: that is lost amid requests disturbs no other", async () => {
    const held = heldDevice(MiB)
    const released: unknown[] = []
    const server = await served({ ...held.device, release: (data) => void released.push(data) })
    const [doomed, other] = [await attached(server), await attached(server)]
    for (let i = 0; i < 3; i++) doomed.request({ type: CMD.read, length: 100 * KiB }).catch(() => {})
    doomed.send(requestBytes({ type: CMD.write, data: Buffer.alloc(MiB) }, 1n).subarray(0, MiB / 2))
    await vi.waitFor(() => expect([held.now, server.stats.inFlight]).toEqual([3, 4]))
    doomed.socket.destroy()
    await pause(20)
    const reply = other.request({ type: CMD.read, length: 512 })
    await vi.waitFor(() => expect(held.now).toBe(4))
    held.release()
    expect((await reply).error).toBe(0)
    await vi.waitFor(() => expect(server.stats).toMatchObject({ inFlight: 0, connections: 1 }))
    expect(released).toHaveLength(4)
  })

  it("NBD-4.2: ends, and says why, where a device breaks its promises", async () => {
    const errors: unknown[] = []
    let gone = false
    const device = {
      ...memoryDevice(MiB),
      get size() {
        if (gone) throw new Error("no size any more")
        return MiB
      },
    }
    const exports = { broken: device, good: memoryDevice(MiB) }
    const server = await served({ exports }, { onError: (error) => void errors.push(error) })
    const [broken, good] = [await attached(server, { name: "broken" }), await attached(server, { name: "good" })]
    gone = true
    await expect(broken.request({ type: CMD.read, length: 512 })).rejects.toThrow("ended")
    expect((await good.request({ type: CMD.read, length: 512 })).error).toBe(0)
    await vi.waitFor(() => expect(server.stats).toMatchObject({ connections: 1, inFlight: 0 }))
    expect(errors).toMatchObject([{ message: "no size any more" }])
  })

  it("receives payloads into memory of their own", async () => {
    const seen: number[] = []
    const write = (_offset: number, data: Uint8Array) => void seen.push(data.buffer.byteLength)
    const client = await attached(await served({ ...memoryDevice(MiB), write }))
    await client.request({ type: CMD.write, data: Buffer.alloc(300 * KiB) })
    expect(seen).toEqual([512 * KiB])
  })
})

describe("Closing the server", () => {
  it("NBD-5.4: answers what is under way, then flushes each device once", async () => {
    const held = heldDevice(MiB)
    const order: string[] = []
    const device = { ...held.device, flush: () => void order.push("flush") }
    const readOnly = { ...memoryDevice(MiB, { readOnly: true }), flush: () => void order.push("never") }
    const server = await served({ exports: { a: device, b: { device }, c: readOnly } })
    const client = await attached(server, { name: "a" })
    const reply = client.request({ type: CMD.read, length: 512 }).then(({ error }) => order.push(`reply ${error}`))
    await vi.waitFor(() => expect(held.now).toBe(1))
    const closed = server.close()
    expect(server.close()).toBe(closed)
    const late = client.request({ type: CMD.read, length: 512 })
    late.catch(() => {})
    await expect(connected(server)).rejects.toThrow()
    await pause(30)
    held.release()
    await Promise.all([reply, closed, client.ended])
    await expect(late).rejects.toThrow("ended")
    expect(order.sort()).toEqual(["flush", "reply 0"])
  })

  it("NBD-5.4: waits no longer than it is told", async () => {
    const held = heldDevice(MiB)
    const server = await served(held.device)
    const client = await attached(server)
    client.request({ type: CMD.read, length: 512 }).catch(() => {})
    await vi.waitFor(() => expect(held.now).toBe(1))
    await server.close({ graceSeconds: 0.05 })
    await client.ended
    held.release()
    await vi.waitFor(() => expect(server.stats.inFlight).toBe(0))
  })

  it("NBD-5.4: ends clients that are idle or in the handshake", async () => {
    const server = await served(memoryDevice(MiB))
    const [idle, halfway, handshake] = [await attached(server), await attached(server), await connected(server)]
    halfway.send(requestBytes({ type: CMD.write, data: Buffer.alloc(MiB) }, 1n).subarray(0, MiB / 2))
    handshake.send(optionBytes(3).subarray(0, 5))
    await vi.waitFor(() => expect(server.stats.inFlight).toBe(1))
    await server.close()
    await Promise.all([idle.ended, halfway.ended, handshake.ended])
    expect(server.stats).toMatchObject({ connections: 0, inFlight: 0, writes: 0 })
  })

  it("NBD-5.4: tells what a flush fails with, after all were tried", async () => {
    const flushed: string[] = []
    const bad = { ...memoryDevice(MiB), flush: () => Promise.reject(new Error("disk gone")) }
    const shut = { ...memoryDevice(MiB), flush: () => Promise.reject(Object.assign(new Error(), { code: "Closed" })) }
    const good = { ...memoryDevice(MiB), flush: () => void flushed.push("good") }
    const server = await serveNbd({ exports: { bad, shut, good } }, { port: 0 })
    expect((await errorOf(() => server.close())).message).toBe("disk gone")
    expect(flushed).toEqual(["good"])
    await (await serveNbd({ exports: { shut } }, { port: 0 })).close()
  })

  it("is done by await using", async () => {
    const flushed: string[] = []
    const device = { ...memoryDevice(MiB), flush: () => void flushed.push("flush") }
    {
      await using server = await serveNbd(device, { port: 0 })
      expect(server.stats.connections).toBe(0)
    }
    expect(flushed).toEqual(["flush"])
  })
})
