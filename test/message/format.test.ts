import { describe, expect, it } from "vitest"
import { decrypt, encrypt, inspect, type Keyring, openMessage, reencrypt } from "../../src/index.ts"
import { writeReference } from "../reference/write.ts"
import { codeOf } from "../support/errors.ts"
import { headerOf } from "../support/header.ts"
import { AES_NAME, AES_NAMESPACE, aesKeyring, counting, pattern } from "../support/keys.ts"
import { readers } from "../support/readers.ts"
import { through } from "../support/streams.ts"

// What docs/spec/message.md says and no other test shows by itself.

const FRAME = 16
const v1 = { suiteId: 0x0178, commitmentPolicy: "ForbidEncryptAllowDecrypt" } as const
const readV1 = { keyring: aesKeyring(), commitmentPolicy: "RequireEncryptAllowDecrypt" } as const
const wrapUnder = [{ namespace: AES_NAMESPACE, name: AES_NAME, key: counting(32) }]

/** Regular frames of FRAME bytes, until the marker of the final one. */
function frameCount(message: Uint8Array): number {
  const bytes = Buffer.from(message)
  let count = 1
  for (let at = headerOf(message).length; bytes.readUInt32BE(at) !== 0xffffffff; at += FRAME + 32) count++
  return count
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex")

describe("A written message", () => {
  it("MSG-2.5: has a header iv of zeros, where version 1 stores it; another one is read", async () => {
    const header = headerOf(await encrypt("x", { keyring: aesKeyring(), ...v1 }))
    expect(hex(header.iv)).toBe("00".repeat(12))
    const plaintext = pattern(20)
    const { bytes } = writeReference({ ...v1, plaintext, frameLength: FRAME, wrapUnder, randomHeaderIv: true })
    expect(hex(headerOf(bytes).iv)).not.toBe("00".repeat(12))
    for (const reader of readers) expect(hex(await reader.read(bytes, readV1))).toBe(hex(plaintext))
  })

  it("MSG-2.4: is framed, and MSG-6.1, MSG-6.2, MSG-6.5: its frames stand as specified, each under its number as iv", async () => {
    const message = await encrypt(pattern(2 * FRAME + 5), { keyring: aesKeyring(), frameLength: FRAME })
    const header = headerOf(message)
    const body = hex(message.subarray(header.length))
    const iv = (number: number) => number.toString(16).padStart(24, "0")
    expect(header.contentType).toBe("framed")
    const any = (bytes: number) => `[0-9a-f]{${2 * bytes}}`
    const regular = (number: number) => `0000000${number}${iv(number)}${any(FRAME)}${any(16)}`
    expect(body).toMatch(new RegExp(`^${regular(1)}${regular(2)}ffffffff00000003${iv(3)}00000005${any(5)}${any(16)}$`))
  })

  it.each([0, 1, FRAME - 1, FRAME, FRAME + 1, 2 * FRAME, 2 * FRAME + 1])(
    "MSG-6.3: of %i bytes fills its frames, and its final one unless there is nothing",
    async (length) => {
      const message = await encrypt(pattern(length), { keyring: aesKeyring(), frameLength: FRAME })
      expect(frameCount(message)).toBe(Math.max(1, Math.ceil(length / FRAME)))
    },
  )

  it("MSG-6.3: may end with an empty final frame when another writer made it", async () => {
    const plaintext = pattern(2 * FRAME)
    const { bytes } = writeReference({
      suiteId: 0x0478,
      plaintext,
      frameLength: FRAME,
      wrapUnder,
      emptyFinalFrame: true,
    })
    expect(frameCount(bytes)).toBe(3)
    for (const reader of readers) {
      expect(hex(await reader.read(bytes, { keyring: aesKeyring() }))).toBe(hex(plaintext))
    }
  })
})

describe("A body that claims too much is refused", () => {
  it("MSG-6.2: a final frame longer than the frame length", async () => {
    const message = await encrypt(pattern(FRAME), { keyring: aesKeyring(), frameLength: FRAME })
    const { length } = headerOf(message)
    new DataView(message.buffer, message.byteOffset).setUint32(length + 20, FRAME + 1)
    for (const reader of readers) {
      expect(await codeOf(() => reader.read(message, { keyring: aesKeyring() })), reader.name).toMatch(
        /^(MalformedMessage|TruncatedMessage)$/,
      )
    }
    expect(await codeOf(() => decrypt(message, { keyring: aesKeyring() }))).toBe("MalformedMessage")
  })

  it("MSG-6.7: a non-framed body above 2^36 - 32 bytes", async () => {
    const { bytes } = writeReference({ suiteId: 0x0478, plaintext: pattern(5), frameLength: 0, wrapUnder })
    const { length } = headerOf(bytes)
    new DataView(bytes.buffer, bytes.byteOffset).setBigUint64(length + 12, 2n ** 36n - 31n)
    for (const reader of readers) {
      expect(await codeOf(() => reader.read(bytes, { keyring: aesKeyring() })), reader.name).toBe("MalformedMessage")
    }
  })

  it("MSG-6.4: frames out of order, missing or repeated", async () => {
    const message = await encrypt(pattern(3 * FRAME), { keyring: aesKeyring(), frameLength: FRAME })
    const { length } = headerOf(message)
    const frame = (i: number) => message.subarray(length + i * (FRAME + 32), length + (i + 1) * (FRAME + 32))
    const final = message.subarray(length + 2 * (FRAME + 32))
    const bodies = [
      [frame(1), frame(0), final],
      [frame(1), final],
      [frame(0), frame(0), final],
      [final, frame(0)],
    ]
    for (const body of bodies) {
      const bytes = new Uint8Array(Buffer.concat([message.subarray(0, length), ...body]))
      expect(await codeOf(() => decrypt(bytes, { keyring: aesKeyring() }))).toBe("MalformedMessage")
    }
  })
})

describe("Data keys", () => {
  it("MSG-4.2: of the wrong length are refused on both sides", async () => {
    const inner = aesKeyring()
    const cut: Keyring = {
      name: "cut",
      async wrap(request) {
        const { dataKey, wrappedKeys } = await inner.wrap(request)
        return { dataKey: dataKey.slice(1), wrappedKeys }
      },
      unwrap: async (request) => (await inner.unwrap(request))?.slice(1),
    }
    expect(await codeOf(() => encrypt("x", { keyring: cut }))).toBe("WrapFailed")
    const message = await encrypt("x", { keyring: inner })
    for (const reader of readers)
      expect(await codeOf(() => reader.read(message, { keyring: cut }))).toBe("UnwrapFailed")
  })
})

describe("Random access", () => {
  it("MSG-8.3: fetches header, final frame and the frames of the range, and no byte more", async () => {
    const message = await encrypt(pattern(100 * 1000), { keyring: aesKeyring(), frameLength: 1000 })
    const headerLength = headerOf(message).length
    const fetched: [start: number, end: number][] = []
    const source = {
      size: message.length,
      read(offset: number, length: number) {
        fetched.push([offset, offset + length])
        return message.subarray(offset, offset + length)
      },
    }
    await using handle = await openMessage(source, { keyring: aesKeyring() })
    const final = headerLength + 99 * 1032
    expect(fetched[0]![0]).toBe(0)
    expect(fetched.slice(1).every(([start]) => start >= final)).toBe(true)
    fetched.length = 0
    expect(hex(await handle.read(41_990, 43_010))).toBe(hex(pattern(100_000).subarray(41_990, 43_010)))
    expect(fetched).toEqual([[headerLength + 41 * 1032, headerLength + 44 * 1032]])
    fetched.length = 0
    await handle.read(99_500, 100_000)
    expect(fetched).toEqual([])
  })

  it("MSG-8.3: tells no length before the final frame is authentic", async () => {
    const message = await encrypt(pattern(100), { keyring: aesKeyring(), frameLength: 10 })
    const shorter = message.subarray(0, message.length - 42)
    message[message.length - 1]! ^= 1
    expect(await codeOf(() => openMessage(message, { keyring: aesKeyring() }))).toBe("TamperedMessage")
    expect(await codeOf(() => openMessage(shorter, { keyring: aesKeyring() }))).toMatch(
      /^(Malformed|Truncated)Message$/,
    )
  })
})

describe("Re-encryption", () => {
  it("MSG-10.1: gives another data key and message id, also to the same keyring", async () => {
    const message = await encrypt(pattern(50), { keyring: aesKeyring(), encryptionContext: { a: "1" } })
    const again = await through(reencrypt({ from: { keyring: aesKeyring() }, to: { keyring: aesKeyring() } }), [
      message,
    ])
    const [before, after] = [headerOf(message), headerOf(again)]
    expect(hex(after.messageId)).not.toBe(hex(before.messageId))
    const dataKey = async (header: typeof before) => hex((await aesKeyring().unwrap(header))!)
    expect(await dataKey(after)).not.toBe(await dataKey(before))
    expect(inspect(again).encryptionContext).toEqual(inspect(message).encryptionContext)
    expect(hex((await decrypt(again, { keyring: aesKeyring() })).plaintext)).toBe(hex(pattern(50)))
  })
})
