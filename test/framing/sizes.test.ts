import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { findSuite } from "../../src/crypto/index.ts"
import {
  bodyLengthOf,
  frameOffset,
  frameOpener,
  layoutOfBody,
  layoutOfPlaintext,
  scanBody,
} from "../../src/framing/index.ts"
import { encrypt, inspect } from "../../src/index.ts"
import { codeOf } from "../support/errors.ts"
import { headerOf } from "../support/header.ts"
import { aesKeyring, pattern } from "../support/keys.ts"

const lengths = fc.integer({ min: 0, max: 2 ** 50 })
const frameLengths = fc.oneof(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 2 ** 32 - 1 }))
const fits = (length: number, frameLength: number) => length / frameLength < 2 ** 32 - 2

describe("The sizes of a body", () => {
  it("follow from the plaintext's length and lead back to it", () => {
    fc.assert(
      fc.property(lengths, frameLengths, (length, frameLength) => {
        fc.pre(fits(length, frameLength))
        const layout = layoutOfPlaintext(length, frameLength)
        expect(layout.regularFrames * frameLength + layout.finalLength).toBe(length)
        expect(layout.finalLength).toBeLessThanOrEqual(frameLength)
        if (length > 0) expect(layout.finalLength).toBeGreaterThan(0)
        expect(layoutOfBody(bodyLengthOf(layout, frameLength), frameLength)).toEqual(layout)
      }),
    )
  })

  it("tell the one layout that fits, or that none does", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 400 }), fc.integer({ min: 1, max: 40 }), (bodyLength, frameLength) => {
        const fitting = []
        for (let regularFrames = 0; regularFrames < 15; regularFrames++) {
          for (let finalLength = 0; finalLength <= frameLength; finalLength++) {
            if (bodyLengthOf({ regularFrames, finalLength }, frameLength) === bodyLength) {
              fitting.push({ regularFrames, finalLength })
            }
          }
        }
        expect(fitting.length).toBeLessThanOrEqual(1)
        expect(layoutOfBody(bodyLength, frameLength)).toEqual(fitting[0])
      }),
      { numRuns: 500 },
    )
  })

  it("are those of real messages, frame by frame", async () => {
    const keyring = aesKeyring()
    for (const frameLength of [1, 2, 7, 16]) {
      for (let length = 0; length <= 3 * frameLength + 1; length++) {
        const message = await encrypt(pattern(length), { keyring, frameLength })
        const header = headerOf(message)
        const layout = layoutOfPlaintext(length, frameLength)
        expect(message.length - header.length).toBe(bodyLengthOf(layout, frameLength))
        expect(inspect(message).plaintextLength).toBe(length)
        const scan = scanBody(message, header.length, header, false)
        expect(scan).toEqual({
          plaintextLength: length,
          frameCount: layout.regularFrames + 1,
          end: message.length,
        })
        for (let index = 0; index < layout.regularFrames; index++) {
          const at = header.length + frameOffset(index, frameLength)
          expect(Buffer.from(message).readUInt32BE(at)).toBe(index + 1)
        }
        const final = header.length + frameOffset(layout.regularFrames, frameLength)
        expect(Buffer.from(message).readUInt32BE(final)).toBe(0xffffffff)
      }
    }
  })

  // MSG-6.4
  it("stop at 2^32 - 1 frames", async () => {
    const most = 2 ** 32 - 1
    expect(layoutOfPlaintext(most, 1)).toEqual({ regularFrames: most - 1, finalLength: 1 })
    expect(await codeOf(() => layoutOfPlaintext(most + 1, 1))).toBe("LimitExceeded")
    expect(layoutOfPlaintext(most * 100, 100).regularFrames).toBe(most - 1)
    expect(await codeOf(() => layoutOfPlaintext(most * 100 + 1, 100))).toBe("LimitExceeded")
    expect(layoutOfBody(bodyLengthOf({ regularFrames: most, finalLength: 1 }, 1), 1)).toBe(undefined)
  })

  it("are shown by inspect for the message's whole length, where only its start is at hand", async () => {
    const message = await encrypt(pattern(100_000), { keyring: aesKeyring(), frameLength: 1000 })
    const start = message.subarray(0, 300)
    expect(inspect(start, { messageLength: message.length }).plaintextLength).toBe(100_000)
    const signed = await encrypt(pattern(10), { keyring: aesKeyring(), signed: true })
    expect(inspect(signed).plaintextLength).toBe(undefined)
  })
})

describe("The frame opener", () => {
  // MSG-6.6, MSG-6.8
  it("opens frames in any order, each only in its own place", async () => {
    const keyring = aesKeyring()
    const message = await encrypt(pattern(64), {
      keyring,
      suiteId: 0x0078,
      commitmentPolicy: "ForbidEncryptAllowDecrypt",
      frameLength: 16,
    })
    const header = headerOf(message)
    const { wrappedKeys, encryptionContext, messageId } = header
    // Without key derivation the data key seals the frames.
    const key = await keyring.unwrap({ suite: header.suite, wrappedKeys, encryptionContext })
    const opener = frameOpener(findSuite(0x0078)!, key!, messageId)
    for (const index of [2, 0, 1]) {
      const at = header.length + frameOffset(index, 16)
      const parts = {
        kind: "regular" as const,
        sequenceNumber: index + 1,
        ivAt: at + 4,
        dataAt: at + 16,
        dataLength: 16,
        end: at + 48,
      }
      expect(Buffer.from(opener.open(message, parts)).equals(pattern(64).subarray(index * 16, index * 16 + 16))).toBe(
        true,
      )
      expect(await codeOf(() => opener.open(message, { ...parts, sequenceNumber: index + 2 }))).toBe("TamperedMessage")
      expect(await codeOf(() => opener.open(message, { ...parts, kind: "final" }))).toBe("TamperedMessage")
      expect(await codeOf(() => opener.open(message, { ...parts, dataLength: 15, end: at + 47 }))).toBe(
        "TamperedMessage",
      )
    }
  })
})
