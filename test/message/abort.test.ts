import { describe, expect, it } from "vitest"
import type { Keyring } from "../../src/core/index.ts"
import {
  decrypt,
  decryptStream,
  decryptTransform,
  encrypt,
  encryptStream,
  encryptTransform,
  openMessage,
  type RandomAccessSource,
  reencrypt,
} from "../../src/index.ts"
import { codeOf, errorOf } from "../support/errors.ts"
import { headerOf } from "../support/header.ts"
import { aesKeyring, pattern } from "../support/keys.ts"
import { run, through } from "../support/streams.ts"

const keyring = aesKeyring()
const message = await encrypt(pattern(60), { keyring, frameLength: 16 })
const reason = new Error("enough")

/** Aborts while the keyring is asked, which then answers as if nothing had happened. */
function abortingKeyring(): { keyring: Keyring; signal: AbortSignal } {
  const controller = new AbortController()
  const late = async <T>(answer: () => T): Promise<Awaited<T>> => {
    controller.abort(reason)
    await new Promise((resolve) => setImmediate(resolve))
    return await answer()
  }
  return {
    signal: controller.signal,
    keyring: {
      name: "aborting",
      wrap: (request) => late(() => keyring.wrap(request)),
      unwrap: (request) => late(() => keyring.unwrap(request)),
    },
  }
}

describe("A signal", () => {
  it("that is aborted before fails every call with its reason, and no keyring is asked", async () => {
    const signal = AbortSignal.abort(reason)
    let asked = 0
    const spy: Keyring = {
      name: "spy",
      wrap: (request) => {
        asked++
        return keyring.wrap(request)
      },
      unwrap: () => void asked++ as undefined,
    }
    const options = { keyring: spy, signal }
    for (const call of [
      () => encrypt("x", options),
      () => decrypt(message, options),
      () => openMessage(message, options),
      () => through(encryptStream(options), []),
      () => through(decryptStream(options), [message]),
      () => encryptTransform(options),
      () => decryptTransform(options),
      () => reencrypt({ from: options, to: { keyring } }),
      () => reencrypt({ from: { keyring }, to: options }),
    ]) {
      expect(await errorOf(call)).toBe(reason)
    }
    expect(asked).toBe(0)
  })

  it("that is aborted during fails every call with its reason", async () => {
    for (const call of [
      (options: ReturnType<typeof abortingKeyring>) => encrypt("x", options),
      (options: ReturnType<typeof abortingKeyring>) => decrypt(message, options),
      (options: ReturnType<typeof abortingKeyring>) => openMessage(message, options),
    ]) {
      expect(await errorOf(() => call(abortingKeyring()))).toBe(reason)
    }
  })

  it("that is aborted during fails streams, with its reason as cause, and nothing comes out", async () => {
    for (const make of [encryptStream, decryptStream]) {
      const { output, error, ended } = await run(make(abortingKeyring()), [message])
      expect(error === reason || error?.cause === reason, String(error)).toBe(true)
      expect([output.length, ended]).toEqual([0, false])
    }
  })

  it("that is aborted during fails Web streams with its reason", async () => {
    for (const make of [encryptTransform, decryptTransform]) {
      const transform = make(abortingKeyring())
      const writer = transform.writable.getWriter()
      writer.closed.catch(() => {})
      writer.write(message).catch(() => {})
      expect(await errorOf(() => transform.readable.getReader().read())).toBe(reason)
      expect(await errorOf(() => transform.header)).toBe(reason)
    }
  })

  it("that is aborted after changes nothing", async () => {
    const controller = new AbortController()
    const options = { keyring, signal: controller.signal }
    const written = await encrypt("x", options)
    const result = await decrypt(written, options)
    const streamed = await through(encryptStream(options), [pattern(5)])
    await using handle = await openMessage(written, { keyring })
    controller.abort(reason)
    expect(result.text()).toBe("x")
    expect((await decrypt(streamed, { keyring })).plaintext.length).toBe(5)
    expect((await handle.read()).length).toBe(1)
  })

  it("is handed to the keyring", async () => {
    const { signal } = new AbortController()
    const seen: unknown[] = []
    const spy: Keyring = {
      name: "spy",
      wrap: (request) => {
        seen.push(request.signal)
        return keyring.wrap(request)
      },
      unwrap: (request) => {
        seen.push(request.signal)
        return keyring.unwrap(request)
      },
    }
    const written = await encrypt("x", { keyring: spy, signal })
    await decrypt(written, { keyring: spy, signal })
    await through(decryptStream({ keyring: spy, signal }), [written])
    await (await openMessage(written, { keyring: spy, signal })).close()
    expect(seen).toEqual([signal, signal, signal, signal])
  })

  it("stops reads and verifications of a handle one by one, and is handed to the source", async () => {
    const seen: unknown[] = []
    let during = () => {}
    const source: RandomAccessSource = {
      size: message.length,
      read(offset, length, signal) {
        seen.push(signal)
        during()
        return message.subarray(offset, offset + length)
      },
    }
    await using handle = await openMessage(source, { keyring })
    expect(await errorOf(() => handle.read(0, 1, { signal: AbortSignal.abort(reason) }))).toBe(reason)
    const controller = new AbortController()
    during = () => controller.abort(reason)
    expect(await errorOf(() => handle.read(0, 1, { signal: controller.signal }))).toBe(reason)
    expect(seen.at(-1)).toBe(controller.signal)
    during = () => {}
    expect((await handle.read(0, 1)).length).toBe(1)
  })
})

describe("An encryption that is aborted", () => {
  const controllers = {
    "destroyed without an error": (stream: ReturnType<typeof encryptStream>) => stream.destroy(),
    "destroyed with an error": (stream: ReturnType<typeof encryptStream>) => stream.destroy(reason),
  }

  // MSG-10.2
  it.each(Object.entries(controllers))("never looks complete (%s)", async (_, stop) => {
    for (const signed of [false, true]) {
      for (const length of [0, 5, 16, 50]) {
        const stream = encryptStream({ keyring, frameLength: 16, signed })
        const pieces: Uint8Array[] = []
        stream.on("data", (piece) => pieces.push(piece))
        stream.on("error", () => {})
        stream.write(pattern(length))
        if (length > 0) await stream.header
        await new Promise((resolve) => setImmediate(resolve))
        const closed = new Promise((resolve) => stream.once("close", resolve))
        let ended = false
        stream.on("end", () => {
          ended = true
        })
        stop(stream)
        await closed
        expect(ended).toBe(false)
        expect(await codeOf(() => decrypt(Buffer.concat(pieces), { keyring }))).toBe("TruncatedMessage")
      }
    }
  })

  it("never looks complete when the length was announced and is not met", async () => {
    for (const [announced, written] of [
      [10, 9],
      [10, 11],
      [0, 1],
      [40, 16],
    ] as const) {
      const stream = encryptStream({ keyring, frameLength: 16, plaintextLength: announced })
      const { output, error, ended } = await run(stream, [pattern(written)])
      expect(error).toBeInstanceOf(RangeError)
      expect(ended).toBe(false)
      expect(await codeOf(() => decrypt(output, { keyring }))).toBe("TruncatedMessage")
    }
  })

  it("never looks complete as a Web stream", async () => {
    for (const how of ["abort", "signal"] as const) {
      const controller = new AbortController()
      const transform = encryptTransform({ keyring, frameLength: 16, signal: controller.signal })
      const [writer, reader] = [transform.writable.getWriter(), transform.readable.getReader()]
      writer.closed.catch(() => {})
      reader.closed.catch(() => {})
      const writing = writer.write(pattern(50)).catch(() => {})
      const pieces: Uint8Array[] = []
      // The header, then the first frames.
      for (let i = 0; i < 2; i++) pieces.push((await reader.read()).value!)
      if (how === "abort") await writer.abort(reason)
      else controller.abort(reason)
      await writing
      expect(await errorOf(() => reader.read())).toBe(reason)
      expect(await codeOf(() => decrypt(Buffer.concat(pieces), { keyring }))).toBe("TruncatedMessage")
    }
  })
})

describe("A decryption that is destroyed", () => {
  it("releases nothing more", async () => {
    const { length } = headerOf(message)
    const stream = decryptStream({ keyring })
    const pieces: Uint8Array[] = []
    stream.on("data", (piece) => pieces.push(piece))
    stream.write(message.subarray(0, length + 48))
    while (pieces.length === 0) await new Promise((resolve) => setImmediate(resolve))
    stream.destroy()
    await new Promise((resolve) => setTimeout(resolve, 5))
    expect(Buffer.concat(pieces).equals(pattern(16))).toBe(true)
  })
})
