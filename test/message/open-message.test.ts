import { mkdtemp, open, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { pathToFileURL } from "node:url"
import fc from "fast-check"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { encrypt, fromFile, openMessage, type RandomAccessSource } from "../../src/index.ts"
import { writeReference } from "../reference/write.ts"
import { codeOf, errorOf } from "../support/errors.ts"
import { headerOf } from "../support/header.ts"
import { AES_NAME, AES_NAMESPACE, aesKeyring, counting, pattern } from "../support/keys.ts"

const keyring = aesKeyring()
const wrapUnder = [{ namespace: AES_NAMESPACE, name: AES_NAME, key: counting(32) }]

/** A source that notes what is read of it. */
function watched(bytes: Uint8Array) {
  const reads: { offset: number; length: number }[] = []
  let closed = 0
  const source: RandomAccessSource = {
    size: bytes.length,
    async read(offset, length) {
      reads.push({ offset, length })
      return bytes.slice(offset, offset + length)
    },
    close: () => void closed++,
  }
  return { source, reads, closes: () => closed }
}

describe("A message handle", () => {
  const layouts = [
    { frameLength: 16, length: 100 },
    { frameLength: 16, length: 96, emptyFinalFrame: true },
    { frameLength: 16, length: 96 },
    { frameLength: 1, length: 40 },
    { frameLength: 4096, length: 100 },
    { frameLength: 0, length: 100 },
    { frameLength: 16, length: 0 },
  ]

  it.each(layouts)("reads any range as the whole has it (%j)", async ({ length, ...layout }) => {
    const plaintext = pattern(length)
    const { bytes } = writeReference({ suiteId: 0x0478, plaintext, ...layout, wrapUnder })
    await using handle = await openMessage(watched(bytes).source, { keyring })
    expect(handle.plaintextLength).toBe(length)
    expect(handle.header.authenticated).toBe(true)
    await fc.assert(
      fc.asyncProperty(fc.nat(length), fc.nat(length), async (a, b) => {
        const [start, end] = [Math.min(a, b), Math.max(a, b)]
        expect(Buffer.from(await handle.read(start, end)).equals(plaintext.subarray(start, end))).toBe(true)
      }),
    )
    expect((await handle.read()).length).toBe(length)
    expect((await handle.read(length)).length).toBe(0)
  })

  it("fetches the header, the last frame, and then only the frames of a range", async () => {
    const message = await encrypt(pattern(1_000_000), { keyring, frameLength: 1000 })
    const header = headerOf(message).length
    const { source, reads } = watched(message)
    await using handle = await openMessage(source, { keyring })
    const opening = reads.splice(0)
    expect(opening.reduce((sum, { length }) => sum + length, 0)).toBeLessThan(8 * 1024)
    await handle.read(5500, 7500)
    expect(reads.splice(0)).toEqual([{ offset: header + 5 * 1032, length: 3 * 1032 }])
    await handle.read(999_500, 1_000_000)
    expect(reads.splice(0)).toEqual([])
    await handle.read(10, 10)
    expect(reads.splice(0)).toEqual([])
  })

  it("asks the keyring once", async () => {
    let asked = 0
    const counting = {
      ...keyring,
      unwrap: (request: Parameters<typeof keyring.unwrap>[0]) => {
        asked++
        return keyring.unwrap(request)
      },
    }
    const message = await encrypt(pattern(100), { keyring, frameLength: 16 })
    await using handle = await openMessage(message, { keyring: counting })
    await Promise.all([handle.read(0, 50), handle.read(20, 100), handle.verify(), handle.read()])
    expect(asked).toBe(1)
  })

  it.each([
    [-1, 5],
    [5, 4],
    [0, 101],
    [101, 101],
    [0.5, 5],
    [Number.NaN, 5],
    [0, Number.POSITIVE_INFINITY],
  ])("throws a RangeError for %d to %d", async (start, end) => {
    await using handle = await openMessage(await encrypt(pattern(100), { keyring }), { keyring })
    expect(await errorOf(() => handle.read(start, end))).toBeInstanceOf(RangeError)
  })

  it("closes its source once, also when opening fails", async () => {
    const message = await encrypt(pattern(100), { keyring })
    const good = watched(message)
    const handle = await openMessage(good.source, { keyring })
    await handle.close()
    await handle[Symbol.asyncDispose]()
    expect(good.closes()).toBe(1)
    expect(await codeOf(() => handle.read())).toBe("Closed")
    for (const options of [{ keyring: aesKeyring("other") }, { keyring, encryptionContext: { a: "b" } }]) {
      const bad = watched(message)
      await errorOf(() => openMessage(bad.source, options))
      expect(bad.closes()).toBe(1)
    }
    const mistaken = watched(message)
    expect(await errorOf(() => openMessage(mistaken.source, {} as never))).toBeInstanceOf(TypeError)
    expect(mistaken.closes()).toBe(1)
  })

  it("passes on what its source throws, and takes short reads for truncation", async () => {
    const message = await encrypt(pattern(100), { keyring, frameLength: 16 })
    const broken = new Error("the network is gone")
    expect(await errorOf(() => openMessage({ size: 100, read: () => Promise.reject(broken) }, { keyring }))).toBe(
      broken,
    )
    const short = {
      size: message.length,
      read: (offset: number, length: number) => message.subarray(offset, offset + length - 1),
    }
    expect(await codeOf(() => openMessage(short, { keyring }))).toBe("TruncatedMessage")
    const long = {
      size: message.length,
      read: (offset: number, length: number) => message.subarray(offset, offset + length + 1),
    }
    await codeOf(() => openMessage(long, { keyring }))
    for (const size of [0, 1, message.length - 1, message.length + 1]) {
      await codeOf(() =>
        openMessage({ size, read: (offset, length) => message.slice(offset, offset + length) }, { keyring }),
      )
    }
  })

  it("notices a source that changes: frames are checked on every read", async () => {
    const message = await encrypt(pattern(100), { keyring, frameLength: 16 })
    const header = headerOf(message).length
    await using handle = await openMessage(message, { keyring })
    expect((await handle.read(0, 16)).length).toBe(16)
    message[header + 20]! ^= 1
    expect(await codeOf(() => handle.read(0, 16))).toBe("TamperedMessage")
    expect((await handle.read(16, 100)).length).toBe(84)
  })

  it("does not let a final frame of another length pass for the end", async () => {
    // Cut so that the sizes fit: a whole regular frame less, with the final frame kept.
    const { bytes, marks } = writeReference({ suiteId: 0x0478, plaintext: pattern(60), frameLength: 16, wrapUnder })
    const cut = Buffer.concat([bytes.subarray(0, marks[2]), bytes.subarray(marks[3])])
    await codeOf(() => openMessage(cut, { keyring }))
  })
})

describe("fromFile", () => {
  let folder: string
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "open-message-"))
  })
  afterAll(() => rm(folder, { recursive: true }))

  it("reads a message from a file, by path or URL", async () => {
    const path = join(folder, "message")
    await writeFile(path, await encrypt(pattern(5000), { keyring, frameLength: 100 }))
    for (const name of [path, pathToFileURL(path)]) {
      await using handle = await openMessage(await fromFile(name), { keyring })
      expect(Buffer.from(await handle.read(1234, 2345)).equals(pattern(5000).subarray(1234, 2345))).toBe(true)
    }
  })

  it("notices a file that is cut after it was opened", async () => {
    const path = join(folder, "cut")
    await writeFile(path, await encrypt(pattern(5000), { keyring, frameLength: 100 }))
    await using handle = await openMessage(await fromFile(path), { keyring })
    const file = await open(path, "r+")
    await file.truncate(1000)
    await file.close()
    expect(await codeOf(() => handle.read(3000, 3001))).toBe("TruncatedMessage")
  })

  it("throws the errors of the file system", async () => {
    expect(await errorOf(() => fromFile(join(folder, "missing")))).toMatchObject({ code: "ENOENT" })
    await writeFile(join(folder, "empty"), "")
    expect(await codeOf(async () => openMessage(await fromFile(join(folder, "empty")), { keyring }))).toBe(
      "TruncatedMessage",
    )
  })
})
