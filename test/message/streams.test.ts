import { PassThrough, Readable, Transform, Writable } from "node:stream"
import { finished, pipeline } from "node:stream/promises"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { concatBytes } from "../../src/core/index.ts"
import { decrypt, decryptStream, decryptTransform, encrypt, encryptStream, encryptTransform } from "../../src/index.ts"
import { errorOf } from "../support/errors.ts"
import { aesKeyring, pattern } from "../support/keys.ts"
import { chunksOf, run, through } from "../support/streams.ts"

const keyring = aesKeyring()
const tick = () => new Promise((resolve) => setTimeout(resolve, 2))

const unhandled: unknown[] = []
const note = (reason: unknown) => void unhandled.push(reason)
beforeAll(() => void process.on("unhandledRejection", note))
afterAll(async () => {
  await tick()
  process.off("unhandledRejection", note)
  expect(unhandled).toEqual([])
})

describe("Back-pressure", () => {
  it("stops a producer while nobody reads", async () => {
    let produced = 0
    const chunk = new Uint8Array(64 * 1024)
    const source = Readable.from(
      (function* () {
        for (let i = 0; i < 1000; i++) {
          produced += chunk.length
          yield chunk
        }
      })(),
      { objectMode: false, highWaterMark: 64 * 1024 },
    )
    const stream = encryptStream({ keyring })
    source.pipe(stream)
    for (let i = 0; i < 20; i++) await tick()
    expect(produced).toBeLessThan(8 * 1024 * 1024)
    stream.destroy()
    source.destroy()
  })

  it("holds back what one large chunk yields", async () => {
    const plaintext = new Uint8Array(20 * 1024 * 1024)
    const message = await encrypt(plaintext, { keyring })
    for (const [stream, input] of [
      [encryptStream({ keyring }), plaintext],
      [decryptStream({ keyring }), message],
    ] as const) {
      stream.write(input)
      for (let i = 0; i < 20; i++) await tick()
      // About a megabyte is ready, not twenty.
      expect(stream.readableLength).toBeLessThan(4 * 1024 * 1024)
      let length = 0
      stream.on("data", (piece: Uint8Array) => {
        length += piece.length
      })
      stream.end()
      await finished(stream)
      expect(length).toBeGreaterThanOrEqual(plaintext.length)
    }
  })

  it("lets a slow reader have everything, in order", async () => {
    const plaintext = pattern(3_000_000)
    const pieces: Uint8Array[] = []
    const slow = new Writable({
      highWaterMark: 1024,
      write(piece, _encoding, callback) {
        pieces.push(piece)
        setImmediate(callback)
      },
    })
    const source = Readable.from(chunksOf(plaintext, 100_000), { objectMode: false })
    await pipeline(source, encryptStream({ keyring, frameLength: 5000 }), decryptStream({ keyring }), slow)
    expect(Buffer.from(concatBytes(pieces)).equals(plaintext)).toBe(true)
  })
})

describe("A stream", () => {
  it("yields nothing and fails when it is given nothing to decrypt", async () => {
    const { output, error, ended } = await run(decryptStream({ keyring }), [])
    expect(error).toMatchObject({ code: "TruncatedMessage" })
    expect([output.length, ended]).toEqual([0, false])
  })

  it("encrypts nothing into a message", async () => {
    for (const chunks of [[], [new Uint8Array(0)], [new Uint8Array(0), new Uint8Array(0)]]) {
      const message = await through(encryptStream({ keyring }), chunks)
      expect((await decrypt(message, { keyring })).plaintext.length).toBe(0)
      expect((await through(decryptStream({ keyring }), [message])).length).toBe(0)
    }
  })

  it("gives the header of what it writes", async () => {
    const stream = encryptStream({ keyring, encryptionContext: { a: "b" }, signed: true })
    const seen: unknown[] = []
    stream.on("header", (header) => seen.push(header))
    const message = await through(stream, [pattern(10)])
    const header = await stream.header
    expect(seen).toEqual([header])
    expect((await decrypt(message, { keyring })).header).toEqual(header)
  })

  it("may be written with strings, in their encoding", async () => {
    const stream = encryptStream({ keyring })
    const pieces: Uint8Array[] = []
    stream.on("data", (piece) => pieces.push(piece))
    stream.write("grüße ")
    stream.write("c3a9", "hex")
    stream.end()
    await finished(stream)
    expect((await decrypt(concatBytes(pieces), { keyring })).text()).toBe("grüße é")
  })

  it("is read with for await, and closed when the loop is left", async () => {
    const message = await encrypt(pattern(5_000_000), { keyring })
    const stream = decryptStream({ keyring })
    stream.end(message)
    let length = 0
    for await (const piece of stream) {
      length += piece.length
      if (length > 100_000) break
    }
    expect(stream.destroyed).toBe(true)
  })

  it("fails its pipeline, and whoever stands before and after it is destroyed", async () => {
    const message = await encrypt(pattern(100_000), { keyring, frameLength: 1000 })
    message[50_000]! ^= 1
    const source = Readable.from(chunksOf(message, 700), { objectMode: false })
    const sink = new PassThrough()
    sink.resume()
    expect(await errorOf(() => pipeline(source, decryptStream({ keyring }), sink))).toMatchObject({
      code: "TamperedMessage",
    })
    expect([source.destroyed, sink.destroyed]).toEqual([true, true])
  })

  it("is destroyed by a source that fails, and its output does not end", async () => {
    const failing = new Transform({
      transform(chunk, _encoding, callback) {
        this.push(chunk)
        callback(new Error("the disk is gone"))
      },
    })
    failing.write(pattern(50))
    const pieces: Uint8Array[] = []
    const sink = new Writable({
      write(piece, _encoding, callback) {
        pieces.push(piece)
        callback()
      },
    })
    const error = await errorOf(() => pipeline(failing, encryptStream({ keyring, frameLength: 16 }), sink))
    expect(error.message).toBe("the disk is gone")
    expect(await errorOf(() => decrypt(concatBytes(pieces), { keyring }))).toMatchObject({ code: "TruncatedMessage" })
  })

  it("stops waiting for a reader when it is destroyed", async () => {
    const stream = encryptStream({ keyring })
    const error = new Error("stop")
    const failed = errorOf(() => finished(stream))
    stream.write(new Uint8Array(10 * 1024 * 1024))
    await tick()
    stream.destroy(error)
    expect(await failed).toBe(error)
  })

  it("reports what the keyring throws", async () => {
    const broken = {
      name: "broken",
      wrap: () => Promise.reject(new Error("no key today")),
      unwrap: () => Promise.reject(new Error("no key today")),
    }
    const message = await encrypt("x", { keyring })
    for (const stream of [encryptStream({ keyring: broken }), decryptStream({ keyring: broken })]) {
      const { error, output } = await run(stream, [message])
      expect(error?.message).toBe("no key today")
      expect(output.length).toBe(0)
      expect(await errorOf(() => stream.header)).toBe(error)
    }
  })

  it("leaves no listener on the signal", async () => {
    const controller = new AbortController()
    const { signal } = controller
    let listeners = 0
    const { addEventListener, removeEventListener } = signal
    signal.addEventListener = function (this: AbortSignal, ...args: Parameters<typeof addEventListener>) {
      listeners++
      return addEventListener.apply(signal, args)
    } as never
    signal.removeEventListener = function (this: AbortSignal, ...args: Parameters<typeof removeEventListener>) {
      listeners--
      return removeEventListener.apply(signal, args)
    } as never
    for (let i = 0; i < 3; i++) {
      const source = new Blob([
        pattern(100) as Uint8Array<ArrayBuffer>,
      ]).stream() as unknown as ReadableStream<Uint8Array>
      const out = source
        .pipeThrough(encryptTransform({ keyring, signal }))
        .pipeThrough(decryptTransform({ keyring, signal }))
      await new Response(out).arrayBuffer()
    }
    expect(listeners).toBe(0)
  })
})

describe("A Web stream", () => {
  it("passes errors to both sides", async () => {
    const message = await encrypt(pattern(100), { keyring, frameLength: 16 })
    message[message.length - 1]! ^= 1
    const transform = decryptTransform({ keyring })
    const writer = transform.writable.getWriter()
    writer.closed.catch(() => {})
    const writing = errorOf(() => writer.write(message).then(() => writer.close()))
    const reader = transform.readable.getReader()
    const reading = errorOf(async () => {
      for (;;) if ((await reader.read()).done) return
    })
    const [a, b] = await Promise.all([writing, reading])
    expect(a).toMatchObject({ code: "TamperedMessage" })
    expect(b).toMatchObject({ code: "TamperedMessage" })
  })

  it("that is cut fails at its end", async () => {
    const message = await encrypt(pattern(100), { keyring })
    const source = new Blob([
      message.subarray(0, -1) as Uint8Array<ArrayBuffer>,
    ]).stream() as unknown as ReadableStream<Uint8Array>
    const error = await errorOf(() => new Response(source.pipeThrough(decryptTransform({ keyring }))).arrayBuffer())
    expect(error).toMatchObject({ code: "TruncatedMessage" })
  })

  it("takes strings and buffers of any kind", async () => {
    const transform = encryptTransform({ keyring })
    const writer = transform.writable.getWriter()
    const writing = (async () => {
      await writer.write("a")
      await writer.write(Buffer.from("b"))
      await writer.write(new TextEncoder().encode("c").buffer as ArrayBuffer)
      await writer.close()
    })()
    const message = new Uint8Array(await new Response(transform.readable).arrayBuffer())
    await writing
    expect((await decrypt(message, { keyring })).text()).toBe("abc")
  })
})
