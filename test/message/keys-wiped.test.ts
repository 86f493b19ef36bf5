import type * as Crypto from "node:crypto"
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest"
import type { Keyring } from "../../src/core/index.ts"
import {
  decrypt,
  decryptStream,
  decryptTransform,
  encrypt,
  encryptStream,
  encryptTransform,
  openMessage,
  reencrypt,
} from "../../src/index.ts"
import { referenceSuites } from "../reference/suites.ts"
import { codeOf, errorOf } from "../support/errors.ts"
import { headerOf } from "../support/header.ts"
import { aesKeyring, pattern } from "../support/keys.ts"
import { run, through } from "../support/streams.ts"

/** Every HMAC output: pseudorandom keys, commitments before they are cut, message keys. */
const digests: Uint8Array[] = []
/** Every key handed to a cipher, apart from wrapping keys. */
const cipherKeys = new Set<Uint8Array>()

vi.mock("node:crypto", async (importOriginal) => {
  const original = await importOriginal<typeof Crypto>()
  const watched =
    <A extends unknown[], R>(create: (algorithm: string, key: Uint8Array, ...rest: A) => R) =>
    (algorithm: string, key: Uint8Array, ...rest: A): R => {
      cipherKeys.add(key)
      return create(algorithm, key, ...rest)
    }
  return {
    ...original,
    createCipheriv: watched(original.createCipheriv as never),
    createDecipheriv: watched(original.createDecipheriv as never),
    createHmac: (hash: string, key: Uint8Array) => {
      const hmac = original.createHmac(hash, key)
      const digest = hmac.digest.bind(hmac)
      return Object.assign(hmac, {
        digest: () => {
          const output = digest()
          digests.push(output)
          return output
        },
      })
    },
  }
})

const wrapping = aesKeyring()
/** Data keys that the keyring handed out, by reference. */
const dataKeys: Uint8Array[] = []
const keyring: Keyring = {
  name: "watched",
  async wrap(request) {
    const result = await wrapping.wrap(request)
    dataKeys.push(result.dataKey)
    return result
  },
  async unwrap(request) {
    const dataKey = await wrapping.unwrap(request)
    if (dataKey !== undefined) dataKeys.push(dataKey)
    return dataKey
  },
}

const isZero = (bytes: Uint8Array): boolean => bytes.every((byte) => byte === 0)
const reset = () => {
  digests.length = 0
  dataKeys.length = 0
  cipherKeys.clear()
}
beforeEach(reset)
afterEach(() => vi.restoreAllMocks())

/** Checks everything that was seen since `reset`, of which there must be something. */
function expectWiped(what: string): void {
  expect(dataKeys.length, `${what}: data keys seen`).toBeGreaterThan(0)
  expect(dataKeys.filter((key) => !isZero(key)).length, `${what}: data keys not overwritten`).toBe(0)
  expect(digests.filter((key) => !isZero(key)).length, `${what}: derived keys not overwritten`).toBe(0)
  // One key is left: the raw AES keyring's own wrapping key.
  expect([...cipherKeys].filter((key) => !isZero(key)).length, `${what}: cipher keys not overwritten`).toBeLessThan(2)
}

const options = { keyring, frameLength: 16, commitmentPolicy: "RequireEncryptAllowDecrypt" } as const
const message = await encrypt(pattern(60), { ...options, keyring: wrapping })
const signed = await encrypt(pattern(60), { ...options, keyring: wrapping, signed: true })
const { length: headerLength } = headerOf(message)
const changedAt = (bytes: Uint8Array, at: number): Uint8Array => {
  const copy = bytes.slice()
  copy.fill(copy[at]! ^ 1, at, at + 1)
  return copy
}
const tick = () => new Promise((resolve) => setTimeout(resolve, 5))

describe("Key buffers are overwritten", () => {
  it("by encrypt and decrypt with every suite", async () => {
    for (const { id, version } of referenceSuites) {
      const commitmentPolicy = version === 1 ? "ForbidEncryptAllowDecrypt" : "RequireEncryptAllowDecrypt"
      reset()
      const written = await encrypt(pattern(60), { ...options, suiteId: id, commitmentPolicy })
      expectWiped(`encrypt ${id}`)
      reset()
      expect((await decrypt(written, { ...options })).plaintext.length).toBe(60)
      expectWiped(`decrypt ${id}`)
    }
  })

  it("by encrypt when it fails after the data key is there", async () => {
    expect(await codeOf(() => encrypt("x", { ...options, maxWrappedKeys: 0 }))).toBe("LimitExceeded")
    expectWiped("too many wrapped keys")
    reset()
    const short: Keyring = {
      ...keyring,
      async wrap(request) {
        return { ...(await keyring.wrap(request)), wrappedKeys: [] }
      },
    }
    expect(await codeOf(() => encrypt("x", { ...options, keyring: short }))).toBe("WrapFailed")
    expectWiped("no wrapped key")
    reset()
    const controller = new AbortController()
    const aborting: Keyring = {
      ...keyring,
      async wrap(request) {
        const result = await keyring.wrap(request)
        controller.abort()
        return result
      },
    }
    expect(
      await errorOf(() => encrypt("x", { ...options, keyring: aborting, signal: controller.signal })),
    ).toMatchObject({
      name: "AbortError",
    })
    expectWiped("abort")
  })

  it.each([
    ["commitment", changedAt(message, headerLength - 17)],
    ["header tag", changedAt(message, headerLength - 1)],
    ["first frame", changedAt(message, headerLength + 20)],
    ["last frame", changedAt(message, message.length - 1)],
    ["signature", changedAt(signed, signed.length - 1)],
    ["end", message.subarray(0, -1)],
  ])("by every way of reading when the %s is wrong", async (what, bad) => {
    await codeOf(() => decrypt(bad, options))
    expectWiped(`decrypt, ${what}`)
    reset()
    const { error } = await run(decryptStream({ ...options, signed: "verify-at-end" }), [
      bad.subarray(0, 250),
      bad.subarray(250),
    ])
    expect(error).toBeDefined()
    expectWiped(`decryptStream, ${what}`)
    reset()
    await errorOf(async () => {
      await using handle = await openMessage(bad, { ...options, signed: "verify-first" })
      await handle.verify()
      await handle.read()
    })
    expectWiped(`openMessage, ${what}`)
  })

  it.each([[64], [128]])("by large messages in frames of %i KiB, done, aborted or tampered with", async (kib) => {
    const large = { keyring, frameLength: kib * 1024 }
    const plaintext = new Uint8Array(3_000_000)
    const written = await encrypt(plaintext, large)
    expectWiped("encrypt")
    reset()
    await decrypt(written, large)
    expectWiped("decrypt")
    for (const at of [1_000_000, written.length - 1]) {
      reset()
      expect(await codeOf(() => decrypt(changedAt(written, at), large))).toBe("TamperedMessage")
      expectWiped("tampered")
    }
    for (const work of [
      (signal: AbortSignal) => encrypt(plaintext, { ...large, signal }),
      (signal: AbortSignal) => decrypt(written, { ...large, signal }),
    ]) {
      reset()
      const controller = new AbortController()
      const working = errorOf(() => work(controller.signal))
      // After the keyring has answered, while frames are under way.
      while (dataKeys.length === 0) await new Promise((resolve) => setImmediate(resolve))
      controller.abort()
      await working.catch(() => {})
      expectWiped("aborted")
    }
  })

  it("by streams at their end", async () => {
    const written = await through(encryptStream(options), [pattern(20), pattern(20)])
    expectWiped("encryptStream")
    reset()
    await through(decryptStream(options), [written])
    expectWiped("decryptStream")
    reset()
    await through(reencrypt({ from: options, to: options }), [written])
    expect(dataKeys.length).toBe(2)
    expectWiped("reencrypt")
  })

  it("by the last frame at the latest, while the stream still waits for its end", async () => {
    const stream = decryptStream(options)
    stream.resume()
    stream.write(message)
    await tick()
    expectWiped("decryptStream")
    stream.destroy()
  })

  it.each([["destroyed"], ["aborted"]])("by streams that are %s half-way", async (how) => {
    const makers = {
      encryptStream: (signal: AbortSignal) => [encryptStream({ ...options, signal }), pattern(50)] as const,
      decryptStream: (signal: AbortSignal) =>
        [decryptStream({ ...options, signal }), message.subarray(0, headerLength + 60)] as const,
      reencrypt: (signal: AbortSignal) =>
        [reencrypt({ from: { ...options, signal }, to: options }), message.subarray(0, headerLength + 60)] as const,
    }
    for (const [name, make] of Object.entries(makers)) {
      reset()
      const controller = new AbortController()
      const [stream, part] = make(controller.signal)
      stream.on("error", () => {})
      stream.resume()
      stream.write(part)
      await stream.header
      expect(dataKeys.length).toBeGreaterThan(0)
      const closed = new Promise((resolve) => stream.once("close", resolve))
      if (how === "destroyed") stream.destroy()
      else controller.abort()
      await closed
      expectWiped(`${name} ${how}`)
    }
  })

  it("by streams that are destroyed while the keyring is asked", async () => {
    for (const make of [() => encryptStream, () => decryptStream]) {
      reset()
      let release = () => {}
      const slow: Keyring = {
        name: "slow",
        wrap: async (request) => {
          await new Promise<void>((resolve) => {
            release = resolve
          })
          return keyring.wrap(request)
        },
        unwrap: async (request) => {
          await new Promise<void>((resolve) => {
            release = resolve
          })
          return keyring.unwrap(request)
        },
      }
      const stream = make()({ ...options, keyring: slow })
      stream.on("error", () => {})
      stream.write(message)
      await tick()
      stream.destroy()
      release()
      await tick()
      expectWiped("destroyed")
    }
  })

  it("by Web streams at their end, on errors, cancellation and abort", async () => {
    const feed = (chunks: readonly unknown[]) =>
      new ReadableStream({
        start(controller) {
          for (const chunk of chunks) controller.enqueue(chunk)
          controller.close()
        },
      })
    const written = new Uint8Array(
      await new Response(feed([pattern(40)]).pipeThrough(encryptTransform(options))).arrayBuffer(),
    )
    expectWiped("encryptTransform")
    reset()
    await new Response(feed([written]).pipeThrough(decryptTransform(options))).arrayBuffer()
    expectWiped("decryptTransform")
    reset()
    const bad = feed([changedAt(written, written.length - 1)]).pipeThrough(decryptTransform(options))
    expect(await errorOf(() => new Response(bad).arrayBuffer())).toBeDefined()
    expectWiped("tampered")
    reset()
    const wrongChunk = feed([pattern(40), 7]).pipeThrough(encryptTransform(options))
    expect(await errorOf(() => new Response(wrongChunk).arrayBuffer())).toBeInstanceOf(TypeError)
    expectWiped("a chunk that is no bytes")

    for (const how of ["cancel", "abort", "signal"] as const) {
      reset()
      const controller = new AbortController()
      const transform = decryptTransform({ ...options, signal: controller.signal })
      const [writer, reader] = [transform.writable.getWriter(), transform.readable.getReader()]
      writer.closed.catch(() => {})
      reader.closed.catch(() => {})
      const writing = writer.write(written.subarray(0, -30)).catch(() => {})
      await reader.read()
      if (how === "cancel") await reader.cancel("enough")
      else if (how === "abort") await writer.abort("enough")
      else controller.abort()
      await writing
      await tick()
      expectWiped(how)
    }
  })

  it("by a message handle when it is closed, whatever came before", async () => {
    const handle = await openMessage(message, options)
    await handle.read(0, 40)
    expect([...cipherKeys].some((key) => !isZero(key))).toBe(true)
    await handle.close()
    expectWiped("close")
    expect(await codeOf(() => handle.read(0, 1))).toBe("Closed")
    expect(await codeOf(() => handle.verify())).toBe("Closed")
    await handle.close()
  })
})
