import fc from "fast-check"
import { describe, it } from "vitest"
import { concatBytes } from "../../src/core/index.ts"
import { type ByteQueue, byteQueue } from "../../src/framing/index.ts"

/** The queue as one array. */
interface Model {
  bytes: Uint8Array
}

const same = (a: Uint8Array, b: Uint8Array): void => {
  if (Buffer.compare(a, b) !== 0)
    throw new Error(`${Buffer.from(a).toString("hex")} is not ${Buffer.from(b).toString("hex")}`)
}

const command = (name: string, run: (model: Model, queue: ByteQueue) => void): fc.Command<Model, ByteQueue> => ({
  check: () => true,
  run(model, queue) {
    run(model, queue)
    if (queue.length !== model.bytes.length) throw new Error(`length ${queue.length} is not ${model.bytes.length}`)
  },
  toString: () => name,
})

const push = fc.uint8Array({ maxLength: 20 }).map((chunk) =>
  command(`push ${chunk.length}`, (model, queue) => {
    queue.push(chunk)
    model.bytes = concatBytes([model.bytes, chunk])
  }),
)
/** A fraction of what is there, so that every command is valid. */
const part = fc.double({ min: 0, max: 1, noNaN: true })
const peek = part.map((fraction) =>
  command(`peek ${fraction}`, (model, queue) => {
    const count = Math.floor(model.bytes.length * fraction)
    same(queue.peek(count), model.bytes.subarray(0, count))
  }),
)
const take = part.map((fraction) =>
  command(`take ${fraction}`, (model, queue) => {
    const count = Math.floor(model.bytes.length * fraction)
    same(queue.take(count), model.bytes.subarray(0, count))
    model.bytes = model.bytes.subarray(count)
  }),
)
const clear = fc.constant(
  command("clear", (model, queue) => {
    queue.clear()
    model.bytes = new Uint8Array(0)
  }),
)

describe("The byte queue", () => {
  it("behaves like one array", () => {
    fc.assert(
      fc.property(fc.commands([push, push, push, peek, take, clear], { maxCommands: 200, size: "max" }), (commands) => {
        fc.modelRun(() => ({ model: { bytes: new Uint8Array(0) }, real: byteQueue() }), commands)
      }),
      { numRuns: 300 },
    )
  })

  it("behaves like one array through thousands of one-byte chunks", () => {
    const queue = byteQueue()
    for (let i = 0; i < 10_000; i++) {
      queue.push(Uint8Array.of(i & 255))
      if (i % 3 === 2) same(queue.take(2), Uint8Array.of(((i / 3) | 0) * 2, ((i / 3) | 0) * 2 + 1))
    }
    if (queue.length !== 10_000 - 6_666) throw new Error(`length ${queue.length}`)
  })

  it("leaves the chunks that it was given as they were", () => {
    const chunks = [Uint8Array.of(1, 2, 3), Uint8Array.of(4, 5), Uint8Array.of(6)]
    const queue = byteQueue()
    for (const chunk of chunks) queue.push(chunk)
    queue.take(1)
    queue.peek(4)
    queue.take(5)
    same(concatBytes(chunks), Uint8Array.of(1, 2, 3, 4, 5, 6))
  })
})
