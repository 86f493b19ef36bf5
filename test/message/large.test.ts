import { describe, expect, it } from "vitest"
import { decrypt, decryptStream, encrypt, openMessage } from "../../src/index.ts"
import { readReference } from "../reference/read.ts"
import { codeOf, errorOf } from "../support/errors.ts"
import { headerOf } from "../support/header.ts"
import { AES_NAME, AES_NAMESPACE, aesKeyring, counting } from "../support/keys.ts"
import { readers } from "../support/readers.ts"
import { run } from "../support/streams.ts"

/** Above a megabyte messages are worked in slices, and with frames this long on several threads. */
const KIB = 1024
const keyring = aesKeyring()
const keys = [{ namespace: AES_NAMESPACE, name: AES_NAME, key: counting(32) }]
const plaintext = new Uint8Array(2300 * KIB + 77)
for (let i = 0; i < plaintext.length; i++) plaintext[i] = (i * 31 + (i >> 8)) % 251
const layouts = { "in slices": 64 * KIB, "on several threads": 128 * KIB, "in one frame": 4096 * KIB }
/** Byte by byte would take long. */
const quick = readers.filter(({ name }) => !/byte by byte/.test(name))

describe.each(Object.entries(layouts))("A message above a megabyte, worked %s,", (_, frameLength) => {
  it("is what the second implementation reads, and comes back in every way", async () => {
    for (const signed of [false, true]) {
      const message = await encrypt(plaintext, { keyring, frameLength, signed })
      expect(Buffer.compare(readReference(message, keys).plaintext, plaintext)).toBe(0)
      for (const reader of quick) {
        expect(Buffer.compare(await reader.read(message, { keyring }), plaintext), reader.name).toBe(0)
      }
    }
  })

  it("fails in every way with one bit changed in any frame", async () => {
    const message = await encrypt(plaintext, { keyring, frameLength })
    const { length } = headerOf(message)
    for (let at = length + 30; at < message.length; at += frameLength + 32) {
      const changed = message.slice()
      changed[at]! ^= 1
      for (const reader of quick)
        expect(await codeOf(() => reader.read(changed, { keyring })), reader.name).toBe("TamperedMessage")
      const { output, ended } = await run(decryptStream({ keyring }), [changed])
      expect(ended).toBe(false)
      expect(Buffer.compare(output, plaintext.subarray(0, output.length))).toBe(0)
      expect(output.length).toBeLessThanOrEqual(at - length)
    }
  })

  it("fails when two frames are exchanged, or one is missing or doubled", async () => {
    if (frameLength > plaintext.length) return
    const message = await encrypt(plaintext, { keyring, frameLength })
    const { length } = headerOf(message)
    const frame = (index: number) =>
      message.subarray(length + index * (frameLength + 32), length + (index + 1) * (frameLength + 32))
    const head = message.subarray(0, length)
    const rest = message.subarray(length + 2 * (frameLength + 32))
    for (const parts of [
      [head, frame(1), frame(0), rest],
      [head, frame(1), rest],
      [head, frame(0), frame(0), rest],
      [head, frame(0), frame(0), frame(1), rest],
    ]) {
      const changed = Buffer.concat(parts)
      for (const reader of quick) await codeOf(() => reader.read(changed, { keyring }))
    }
  })

  it("stops when it is aborted on the way", async () => {
    if (frameLength > plaintext.length) return
    const large = new Uint8Array(8 * 1024 * KIB)
    const message = await encrypt(large, { keyring, frameLength })
    for (const work of [
      (signal: AbortSignal) => encrypt(large, { keyring, frameLength, signal }),
      (signal: AbortSignal) => decrypt(message, { keyring, signal }),
    ]) {
      const controller = new AbortController()
      const working = errorOf(() => work(controller.signal))
      controller.abort(new Error("enough"))
      expect((await working).message).toBe("enough")
    }
  })

  it("overwrites its key when it is done, and a handle that is closed during a read reads no more", async () => {
    const message = await encrypt(plaintext, { keyring, frameLength })
    const handle = await openMessage(message, { keyring })
    const reading = handle.read().then(
      (bytes) => Buffer.compare(bytes, plaintext) === 0,
      (error) => ["Closed", "TamperedMessage"].includes(error.code),
    )
    await handle.close()
    expect(await reading).toBe(true)
  })
})
