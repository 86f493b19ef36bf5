import { describe, expect, it } from "vitest"
import {
  authenticate,
  constantTimeEqual,
  findSuite,
  open,
  seal,
  verifyAuthentic,
  wipe,
} from "../../src/crypto/index.ts"
import { gcmSeal } from "../reference/crypto.ts"
import { codeOf } from "../support/errors.ts"
import { seeded } from "../support/random.ts"

const random = seeded(7)
const suites = [0x0014, 0x0046, 0x0078].map((id) => findSuite(id)!)

describe("AES-GCM", () => {
  // Test case 16 of "The Galois/Counter Mode of Operation" (McGrew, Viega).
  it("gives the published answer", () => {
    const hex = (text: string) => new Uint8Array(Buffer.from(text, "hex"))
    const key = hex("feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308")
    const plaintext = hex(
      "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
    )
    const aad = hex("feedfacedeadbeeffeedfacedeadbeefabaddad2")
    const { ciphertext, tag } = seal(suites[2]!, key, hex("cafebabefacedbaddecaf888"), aad, plaintext)
    expect(Buffer.concat([ciphertext, tag]).toString("hex")).toBe(
      "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662" +
        "76fc6ece0f4e1768cddf8853bb2d551b",
    )
  })

  it.each(suites)(
    "$cipher seals as the peer does, opens what it sealed, and nothing that was changed",
    async (suite) => {
      for (const length of [0, 1, 15, 16, 17, 1000]) {
        const [key, iv, aad, plaintext] = [suite.dataKeyLength, 12, 30, length].map((n) => random.bytes(n)) as [
          Uint8Array,
          Uint8Array,
          Uint8Array,
          Uint8Array,
        ]
        const { ciphertext, tag } = seal(suite, key, iv, aad, plaintext)
        const sealed = new Uint8Array(Buffer.concat([ciphertext, tag]))
        expect(gcmSeal(key, iv, aad, plaintext).equals(sealed)).toBe(true)
        const openIt = () => open(suite, key, iv, aad, sealed.subarray(0, length), sealed.subarray(length))
        expect(Buffer.from(openIt()).equals(plaintext)).toBe(true)
        for (const part of [iv, aad, sealed, key]) {
          part[part.length >> 1]! ^= 0x10
          expect(await codeOf(openIt)).toBe("TamperedMessage")
          part[part.length >> 1]! ^= 0x10
        }
      }
    },
  )

  // MSG-2.5
  it("authenticates the header alone and checks the tag", async () => {
    const suite = suites[2]!
    const [key, iv, a, b] = [random.bytes(32), random.bytes(12), random.bytes(50), random.bytes(20)]
    const tag = authenticate(suite, key, iv, [a, b])
    expect(gcmSeal(key, iv, Buffer.concat([a, b]), Buffer.alloc(0)).equals(tag)).toBe(true)
    verifyAuthentic(suite, key, iv, [a, b], tag)
    verifyAuthentic(suite, key, iv, [Buffer.concat([a, b])], tag)
    expect(await codeOf(() => verifyAuthentic(suite, key, iv, [b, a], tag))).toBe("TamperedMessage")
    expect(await codeOf(() => verifyAuthentic(suite, key, iv, [a], tag))).toBe("TamperedMessage")
  })
})

describe("Key hygiene", () => {
  it("overwrites and compares", () => {
    const [a, b] = [random.bytes(32), random.bytes(16)]
    expect(constantTimeEqual(a, a.slice())).toBe(true)
    expect(constantTimeEqual(a, b)).toBe(false)
    expect(
      constantTimeEqual(
        a,
        Uint8Array.from(a, (byte, i) => (i === 31 ? byte ^ 1 : byte)),
      ),
    ).toBe(false)
    wipe(a, undefined, b)
    expect([...a, ...b].every((byte) => byte === 0)).toBe(true)
  })
})
