import { Readable, Writable } from "node:stream"
import { pipeline } from "node:stream/promises"
import { describe, expect, it } from "vitest"
import { AT_ONCE, takeTurn } from "../../src/framing/index.ts"
import { decrypt, decryptStream, encrypt, encryptStream } from "../../src/index.ts"
import { aesKeyring } from "../support/keys.ts"

const keyring = aesKeyring()
const MIB = 1024 * 1024

/** @returns how many turns of the event loop there were while the work was done */
async function turnsDuring(work: () => Promise<unknown>): Promise<number> {
  let turns = 0
  let running = true
  const count = () => {
    turns++
    if (running) setImmediate(count)
  }
  setImmediate(count)
  await work()
  running = false
  return turns
}

const block = new Uint8Array(64 * 1024)
function* source(bytes: number) {
  for (let at = 0; at < bytes; at += block.length) yield block
}
const sink = () => new Writable({ write: (_chunk, _encoding, done) => done() })

describe("The event loop gets a turn after each megabyte", () => {
  it("of a stream whose source and target never wait", async () => {
    const there = () =>
      pipeline(Readable.from(source(16 * MIB)), encryptStream({ keyring }), decryptStream({ keyring }), sink())
    expect(await turnsDuring(there)).toBeGreaterThanOrEqual(16)
  })

  it("of all streams together", async () => {
    const one = () => pipeline(Readable.from(source(4 * MIB)), encryptStream({ keyring }), sink())
    expect(await turnsDuring(() => Promise.all(Array.from({ length: 8 }, one)))).toBeGreaterThanOrEqual(24)
  })

  it("of a message in memory", async () => {
    const plaintext = new Uint8Array(16 * MIB)
    const turns = await turnsDuring(async () => decrypt(await encrypt(plaintext, { keyring }), { keyring }))
    expect(turns).toBeGreaterThanOrEqual(24)
  })
})

describe("What is worked in turns", () => {
  it("goes in the order in which it came, a megabyte a turn", async () => {
    await new Promise(setImmediate)
    const order: number[] = []
    const perTurn: number[] = []
    let inTurn = 0
    const tick = () => {
      perTurn.push(inTurn)
      inTurn = 0
      if (order.length < 8) setImmediate(tick)
    }
    const jobs = Array.from({ length: 8 }, async (_, i) => {
      await takeTurn(AT_ONCE / 2)
      order.push(i)
      inTurn++
    })
    setImmediate(tick)
    await Promise.all(jobs)
    expect(order).toEqual([0, 1, 2, 3, 4, 5, 6, 7])
    expect(Math.max(...perTurn)).toBeLessThanOrEqual(2)
  })

  it("may be longer than a turn allows, by itself", async () => {
    await takeTurn(3 * AT_ONCE)
    expect(takeTurn(1)).toBeInstanceOf(Promise)
  })
})
