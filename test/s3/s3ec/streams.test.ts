import { mkdtemp, readdir, readFile, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { PassThrough, Readable } from "node:stream"
import { afterEach, beforeEach, describe, expect, test } from "vitest"
import { objectSealer, openedStream, planS3ec, type S3ecOptions, sealedStream } from "../../../src/s3/s3ec/index.ts"
import { codeOf, errorOf } from "../../support/errors.ts"
import { pattern } from "../../support/keys.ts"
import { writeReferenceObject } from "./reference.ts"
import {
  ALL,
  aesKey,
  collect,
  envelopeOf,
  flipped,
  kmsKey,
  type StoredObject,
  streamOf,
  WRAPPING_KEY,
  write,
} from "./support.ts"

const key = aesKey()
const V2 = { commitmentPolicy: "ForbidEncryptAllowDecrypt" } as const
let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "s3ec-"))
})
afterEach(() => rm(folder, { recursive: true }))

const sealing = async (source: AsyncIterable<Uint8Array>, options: Partial<S3ecOptions> = {}, signal?: AbortSignal) => {
  const sealer = await objectSealer(planS3ec({ key, ...options }))
  return { sealer, stream: sealedStream(sealer, source, signal) }
}

async function opening(object: StoredObject, options: Partial<S3ecOptions> = {}, more: object = {}, size = 1000) {
  const plan = planS3ec({ ...ALL, key, ...options })
  return openedStream(plan, await envelopeOf(object), streamOf(object.body, size), more)
}

/** What comes out before a stream fails, and what it fails with. */
async function outcome(stream: Readable): Promise<{ output: Buffer; code: unknown }> {
  const pieces: Uint8Array[] = []
  try {
    for await (const piece of stream) pieces.push(piece)
    return { output: Buffer.concat(pieces), code: undefined }
  } catch (error) {
    return { output: Buffer.concat(pieces), code: (error as { code?: unknown }).code ?? error }
  }
}

describe("Sealed streams", () => {
  test.each([[0], [1], [15], [16], [17], [5000], [300_000]])("%i bytes go through and open", async (length) => {
    for (const policy of [{}, V2]) {
      for (const size of [7, 1000, 1_000_000]) {
        if (length / size > 5000) continue
        const { sealer, stream } = await sealing(streamOf(pattern(length), size), policy)
        const body = await collect(stream)
        expect(body.length).toBe(length + 16)
        const { output, code } = await outcome(
          await opening({ metadata: sealer.metadata, body }, {}, { objectLength: body.length }, size),
        )
        expect([code, output.equals(pattern(length))]).toEqual([undefined, true])
      }
    }
  })

  test("a source that fails fails the stream, and no tag is written", async () => {
    async function* failing() {
      yield pattern(10)
      throw new Error("source")
    }
    const { stream, sealer } = await sealing(failing())
    const { output, code } = await outcome(stream)
    expect(output.length).toBeLessThanOrEqual(10)
    expect((code as Error).message).toBe("source")
    expect(await codeOf(() => sealer.finish())).toBe("Closed")
  })

  test("a chunk that is no bytes fails the stream", async () => {
    const { stream } = await sealing(Readable.from([7]) as never)
    expect((await outcome(stream)).code).toBeInstanceOf(TypeError)
  })

  test("text is its UTF-8", async () => {
    const { stream, sealer } = await sealing(Readable.from(["å", "b"]) as never)
    const body = await collect(stream)
    const { output } = await outcome(await opening({ metadata: sealer.metadata, body }))
    expect(output.toString()).toBe("åb")
  })

  test("destroying the stream, or aborting, ends the source and the sealer, even when nothing was read", async () => {
    for (const how of ["destroyed unread", "destroyed", "aborted"]) {
      const controller = new AbortController()
      const source = new PassThrough()
      source.write(pattern(100))
      const { stream, sealer } = await sealing(source, {}, controller.signal)
      stream.on("error", () => {})
      if (how !== "destroyed unread") stream.resume()
      await new Promise((resolve) => setTimeout(resolve, 5))
      const closed = new Promise((resolve) => stream.once("close", resolve))
      if (how === "aborted") controller.abort()
      else stream.destroy()
      await closed
      expect([how, source.destroyed]).toEqual([how, true])
      expect(await codeOf(() => sealer.finish())).toBe("Closed")
    }
  })

  test("Web streams are sources as well", async () => {
    const { stream, sealer } = await sealing(new Blob([pattern(5000)]).stream() as never)
    const body = await collect(stream)
    const plan = planS3ec({ key })
    const envelope = await envelopeOf({ metadata: sealer.metadata, body })
    const opened = await openedStream(plan, envelope, new Blob([body]).stream() as never)
    expect((await collect(opened)).equals(pattern(5000))).toBe(true)
  })
})

describe("Opened streams hold plaintext back", () => {
  const plaintext = pattern(50_000)

  test("CSE-8.2: not a byte comes out of an object whose last bit is wrong", async () => {
    for (const policy of [{}, V2]) {
      const object = await write(plaintext, { key, ...policy })
      for (const at of [0, 25_000, -1]) {
        const result = await outcome(await opening({ ...object, body: flipped(object.body, at) }))
        expect(result).toEqual({ output: Buffer.alloc(0), code: "TamperedMessage" })
      }
    }
  })

  test("CSE-8.2: nothing comes out while the tag is awaited", async () => {
    const object = await write(plaintext, { key })
    const source = new PassThrough()
    const stream = await openedStream(planS3ec({ key }), await envelopeOf(object), source)
    const seen: Uint8Array[] = []
    stream.on("data", (piece) => seen.push(piece))
    source.write(object.body.subarray(0, -1))
    await new Promise((resolve) => setTimeout(resolve, 20))
    expect(seen).toEqual([])
    source.end(object.body.subarray(-1))
    await new Promise((resolve) => stream.once("end", resolve))
    expect(Buffer.concat(seen).equals(plaintext)).toBe(true)
  })

  test("what was held is overwritten when the tag is wrong", async () => {
    const object = await write(plaintext, { key })
    const held: Uint8Array[] = []
    const { heldBack } = await import("../../../src/s3/s3ec/held-back.ts")
    async function* failing() {
      for (let i = 0; i < 3; i++) {
        const piece = pattern(100)
        held.push(piece)
        yield piece
      }
      throw new Error("tag")
    }
    const gathered = heldBack(failing(), { when: "verified", bufferSize: 1000, spool: undefined }, undefined)
    await expect(gathered.next()).rejects.toThrow("tag")
    expect(held.length).toBe(3)
    expect(held.every((piece) => piece.every((byte) => byte === 0))).toBe(true)
    expect(object.body.length).toBe(50_016)
  })

  test("CSE-8.1: an object above the buffer is LimitExceeded: before a key is asked where the size is known, else on its way", async () => {
    const object = await write(plaintext, { key })
    const options = { bufferSize: 49_999 }
    const asked = { ...key, unwrap: () => expect.unreachable("unwrap") }
    expect(await codeOf(() => opening(object, { ...options, key: asked }, { objectLength: 50_016 }))).toBe(
      "LimitExceeded",
    )
    expect(await outcome(await opening(object, options))).toEqual({ output: Buffer.alloc(0), code: "LimitExceeded" })
    const exactly = await outcome(await opening(object, { bufferSize: 50_000 }, { objectLength: 50_016 }))
    expect(exactly.output.equals(plaintext)).toBe(true)
  })

  test("CSE-8.1: with delayed authentication plaintext comes out before, and the end still fails", async () => {
    const object = await write(plaintext, { key })
    const options = { delayedAuthentication: true }
    expect((await outcome(await opening(object, options))).output.equals(plaintext)).toBe(true)
    const large = await write(pattern(500_000), { key })
    const bad = await outcome(await opening({ ...large, body: flipped(large.body, -1) }, options))
    expect(bad.code).toBe("TamperedMessage")
    expect(bad.output.length).toBeGreaterThan(0)
    expect(bad.output.equals(pattern(500_000).subarray(0, bad.output.length))).toBe(true)
  })

  test("AES-CBC is held back until its padding fits, and released as it is", async () => {
    const cbc = await writeReferenceObject({
      suite: "cbc",
      plaintext,
      wrap: { algorithm: "AES/GCM", key: WRAPPING_KEY },
    })
    expect((await outcome(await opening(cbc))).output.equals(plaintext)).toBe(true)
    const bad = { ...cbc, body: flipped(cbc.body, -1) }
    expect(await outcome(await opening(bad))).toEqual({ output: Buffer.alloc(0), code: "TamperedMessage" })
  })

  test.each([
    ["an object below its tag", 10, "TruncatedMessage"],
    ["an empty object", 0, "TruncatedMessage"],
    ["an object above 2^36 - 32 bytes", 2 ** 36, "LimitExceeded"],
  ])("%s is refused at once", async (_what, objectLength, code) => {
    const object = await write(plaintext, { key })
    expect(await codeOf(() => opening(object, { delayedAuthentication: true }, { objectLength }))).toBe(code)
  })

  test("a source that ends early is TruncatedMessage where the size is known", async () => {
    const object = await write(plaintext, { key })
    const cut = { ...object, body: object.body.subarray(0, 30_000) }
    expect((await outcome(await opening(cut, {}, { objectLength: 50_016 }))).code).toBe("TruncatedMessage")
    expect((await outcome(await opening({ ...object, body: object.body.subarray(0, 9) }))).code).toBe(
      "TruncatedMessage",
    )
  })

  test("an error before the body, destroying and aborting end the source", async () => {
    const object = await write(plaintext, { key })
    const envelope = await envelopeOf(object)
    const refused = new PassThrough()
    const plan = planS3ec({ key })
    const call = { encryptionContext: { a: "b" } }
    expect(await codeOf(() => openedStream(plan, envelope, refused, call))).toBe("ContextMismatch")
    expect(refused.destroyed).toBe(true)
    for (const how of ["destroy", "abort"]) {
      const controller = new AbortController()
      const source = new PassThrough()
      source.write(object.body.subarray(0, 1000))
      const stream = await openedStream(plan, envelope, source, { signal: controller.signal })
      const failed = outcome(stream)
      await new Promise((resolve) => setTimeout(resolve, 5))
      if (how === "destroy") stream.destroy()
      else controller.abort()
      const { output, code } = await failed
      expect([output.length, code === undefined, source.destroyed]).toEqual([0, false, true])
    }
  })

  test("a call that is aborted before or while the key is asked throws the signal's reason", async () => {
    const object = await write(plaintext, { key: kmsKey() })
    const signal = AbortSignal.abort(new Error("enough"))
    await expect(opening(object, { key: kmsKey() }, { signal })).rejects.toThrow("enough")
    await expect(write(plaintext, { key: kmsKey() }, { signal })).rejects.toThrow("enough")
    const controller = new AbortController()
    const never = kmsKey({ send: () => new Promise(() => {}) })
    const waiting = opening(object, { key: never }, { signal: controller.signal })
    setTimeout(() => controller.abort(new Error("enough")), 5)
    await expect(waiting).rejects.toThrow("enough")
  })
})

describe("A spool", () => {
  const plaintext = pattern(400_000)
  const spooling = () => ({ bufferSize: 1000, spool: folder })

  test("holds what does not fit the buffer, and leaves nothing behind", async () => {
    for (const policy of [{}, V2]) {
      const object = await write(plaintext, { key, ...policy })
      for (const more of [{}, { objectLength: 400_016 }]) {
        const { output, code } = await outcome(await opening(object, spooling(), more))
        expect([code, output.equals(plaintext)]).toEqual([undefined, true])
        expect(await readdir(folder)).toEqual([])
      }
    }
  })

  test("is not touched by what fits", async () => {
    const object = await write(pattern(1000), { key })
    const options = { bufferSize: 1000, spool: join(folder, "missing") }
    expect((await outcome(await opening(object, options))).output.equals(pattern(1000))).toBe(true)
  })

  test("CSE-8.2: gives nothing out of an object that was changed, and leaves nothing behind", async () => {
    const object = await write(plaintext, { key })
    for (const at of [0, 200_000, -1]) {
      const bad = { ...object, body: flipped(object.body, at) }
      expect(await outcome(await opening(bad, spooling()))).toEqual({
        output: Buffer.alloc(0),
        code: "TamperedMessage",
      })
      expect(await readdir(folder)).toEqual([])
    }
  })

  test("leaves nothing behind when it is destroyed or aborted, writing or reading", async () => {
    const object = await write(plaintext, { key })
    for (const phase of ["writing", "reading"]) {
      for (const how of ["destroy", "abort"]) {
        const controller = new AbortController()
        const source = new PassThrough({ highWaterMark: 1_000_000 })
        source.write(object.body.subarray(0, -1))
        if (phase === "reading") source.end(object.body.subarray(-1))
        const plan = planS3ec({ key, ...spooling() })
        const stream = await openedStream(plan, await envelopeOf(object), source, { signal: controller.signal })
        stream.on("error", () => {})
        if (phase === "reading") await new Promise((resolve) => stream.once("readable", resolve))
        else {
          stream.read(1)
          await new Promise((resolve) => setTimeout(resolve, 30))
        }
        const closed = new Promise((resolve) => stream.once("close", resolve))
        if (how === "destroy") stream.destroy()
        else controller.abort()
        await closed
        expect(await readdir(folder)).toEqual([])
      }
    }
  })

  test("a folder that is missing fails the stream with the system's error", async () => {
    const object = await write(plaintext, { key })
    const options = { bufferSize: 1000, spool: join(folder, "missing") }
    expect(await outcome(await opening(object, options))).toEqual({ output: Buffer.alloc(0), code: "ENOENT" })
  })

  test.skipIf(process.platform !== "linux")("CSE-8.2: its file has no name, and holds no plaintext", async () => {
    const marked = Buffer.alloc(300_000, "plaintext of this very test ")
    const object = await write(marked, { key })
    const source = new PassThrough({ highWaterMark: 1_000_000 })
    source.write(object.body.subarray(0, -1))
    const stream = await openedStream(planS3ec({ key, ...spooling() }), await envelopeOf(object), source)
    stream.read(1)
    let content: Uint8Array = Buffer.alloc(0)
    for (let i = 0; i < 100 && content.length < 262_144; i++) {
      await new Promise((resolve) => setTimeout(resolve, 10))
      content = await unnamedFile(folder)
    }
    expect(content.length).toBeGreaterThan(200_000)
    expect(Buffer.from(content).includes("plaintext of this very test")).toBe(false)
    expect(await readdir(folder)).toEqual([])
    source.end(object.body.subarray(-1))
    expect((await collect(stream)).equals(marked)).toBe(true)
  })
})

/** What this process has open in a folder without a name. */
async function unnamedFile(folder: string): Promise<Buffer> {
  const { readlink } = await import("node:fs/promises")
  for (const fd of await readdir("/proc/self/fd")) {
    const target = await readlink(`/proc/self/fd/${fd}`).catch(() => "")
    if (target.startsWith(folder) && target.endsWith("(deleted)")) return readFile(`/proc/self/fd/${fd}`)
  }
  return Buffer.alloc(0)
}

test("errors of streams are of this library or the source's own", async () => {
  const object = await write(pattern(100), { key })
  expect(await errorOf(() => opening(object, {}, { encryptionContext: 5 }))).toBeInstanceOf(TypeError)
})
