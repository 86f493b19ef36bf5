import { describe, expect, it, vi } from "vitest"
import { memoryDevice } from "../support/memory-device.ts"
import { CMD, connectTo, infoData, metaData, optionBytes, requestBytes, u32 } from "../support/nbd-client.ts"
import { type Random, runSeed, seeded } from "../support/random.ts"
import { attached, served } from "./served.ts"

/** Broken conversations; `NBD_FUZZ_CASES` sets another number, `TEST_SEED` the first seed. */
const CASES = Number(process.env.NBD_FUZZ_CASES ?? 400)
const SIZE = 1024 * 1024
const AT_ONCE = 8

function request(random: Random): Buffer {
  const length = random.pick([0, 1, 512, 4096, 70_000, 0xffff_ffff])
  const type = random.int(9)
  const isWrite = type === CMD.write && length < SIZE
  return requestBytes(
    {
      type,
      flags: random.chance(0.7) ? 0 : random.int(64),
      offset: random.pick([0, 512, SIZE - 512, SIZE, 2 ** 40]),
      length,
      ...(isWrite && { data: Buffer.alloc(length, 0x25) }),
    },
    BigInt(random.int(1000)),
  )
}

const option = (random: Random): Buffer => {
  const name = random.pick(["", "x", "y".repeat(5000)])
  const data = random.pick([Buffer.alloc(0), infoData(name, [1, 2, 3]), metaData(name, ["base:allocation"])])
  return optionBytes(random.int(13), data)
}

/** A conversation that makes sense, in which some bytes are then changed, left out or repeated. */
function conversation(random: Random): Buffer {
  const flags = u32(random.chance(0.9) ? 3 : random.int(16))
  const options = Array.from({ length: random.int(6) }, () => option(random))
  const requests = Array.from({ length: random.int(20) }, () => request(random))
  const sane = Buffer.concat([flags, ...options, optionBytes(8), optionBytes(7, infoData("")), ...requests])
  let bytes = sane
  for (let changes = random.int(4); changes > 0; changes--) {
    const at = random.int(bytes.length)
    const length = random.pick([1, 2, 4, 28])
    if (random.chance(0.4)) bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + length)])
    else if (random.chance(0.5))
      bytes = Buffer.concat([bytes.subarray(0, at), random.bytes(length), bytes.subarray(at)])
    else bytes = Buffer.concat([bytes.subarray(0, at), random.bytes(length), bytes.subarray(at + length)])
  }
  return bytes
}

describe("Broken conversations", () => {
  it(`NBD-4.2: end at worst their own connection, and leave nothing behind (${CASES} cases)`, {
    timeout: 60_000 + CASES * 100,
  }, async () => {
    const errors: unknown[] = []
    const server = await served(memoryDevice(SIZE), { onError: (error) => void errors.push(error), maxConnections: 32 })
    const witness = await attached(server)
    const first = runSeed()
    const run = async (seed: number): Promise<void> => {
      const random = seeded(seed)
      const socket = connectTo(server.address)
      socket.on("error", () => {})
      socket.resume()
      const bytes = conversation(random)
      const cut = random.int(bytes.length)
      socket.write(bytes.subarray(0, cut))
      await new Promise((resolve) => setImmediate(resolve))
      socket.end(bytes.subarray(cut))
      if (random.chance(0.2)) socket.destroy()
      await new Promise((resolve) => socket.once("close", resolve))
    }
    for (let i = 0; i < CASES; i += AT_ONCE) {
      await Promise.all(Array.from({ length: AT_ONCE }, (_, j) => run(first + i + j)))
      const reply = await witness.request({ type: CMD.read, offset: 0, length: 4096 })
      if (reply.error !== 0) throw new Error(`the other client is disturbed, seeds from ${first + i}`)
    }
    await vi.waitFor(() => expect(server.stats).toMatchObject({ connections: 1, inFlight: 0 }), 5000)
    expect(errors).toEqual([])
  })
})
