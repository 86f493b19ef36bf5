import { describe, expect, it } from "vitest"
import {
  decrypt,
  decryptStream,
  encrypt,
  inspect,
  openMessage,
  type RandomAccessSource,
  reencrypt,
} from "../../src/index.ts"
import { writeReference } from "../reference/write.ts"
import { codeOf } from "../support/errors.ts"
import { AES_NAME, AES_NAMESPACE, aesKeyring, counting, pattern } from "../support/keys.ts"
import { chunksOf, run, through } from "../support/streams.ts"

const keyring = aesKeyring()
const wrapUnder = [{ namespace: AES_NAMESPACE, name: AES_NAME, key: counting(32) }]
/** Three frames of 16 bytes and a footer; where each starts. */
const { bytes: message, marks } = writeReference({
  suiteId: 0x0578,
  frameLength: 16,
  plaintext: pattern(44),
  wrapUnder,
})
const footerAt = marks[4]!
const badSignature = message.slice()
badSignature[badSignature.length - 1]! ^= 1

/** Writes a part, waits until nothing moves any more, and tells what has come out so far. */
async function feed(stream: ReturnType<typeof decryptStream>, part: Uint8Array): Promise<void> {
  stream.write(part)
  for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve))
}

describe("requireSigned", () => {
  it("refuses unsigned messages in every way of reading, before the keyring is asked", async () => {
    const unsigned = await encrypt("forged by a reader", { keyring })
    const deaf = { name: "deaf", wrap: keyring.wrap, unwrap: () => expect.unreachable() }
    const options = { keyring: deaf, requireSigned: true }
    expect(await codeOf(() => decrypt(unsigned, options))).toBe("UnsignedMessage")
    expect(await codeOf(() => openMessage(unsigned, options))).toBe("UnsignedMessage")
    expect(await codeOf(() => through(decryptStream(options), [unsigned]))).toBe("UnsignedMessage")
  })

  it("accepts signed ones", async () => {
    expect((await decrypt(message, { keyring, requireSigned: true })).plaintext).toEqual(new Uint8Array(pattern(44)))
  })
})

describe("A signed message", () => {
  // MSG-7.2
  it("decrypted whole is released only with a good signature", async () => {
    expect(Buffer.from((await decrypt(message, { keyring })).plaintext).equals(pattern(44))).toBe(true)
    expect(await codeOf(() => decrypt(badSignature, { keyring }))).toBe("TamperedMessage")
    expect(await codeOf(() => decrypt(message.subarray(0, footerAt), { keyring }))).toBe("TruncatedMessage")
    for (let cut = footerAt + 1; cut < message.length; cut++) {
      expect(await codeOf(() => decrypt(message.subarray(0, cut), { keyring }))).toBe("TruncatedMessage")
    }
  })

  it("is refused by streams unless they are told", async () => {
    for (const options of [{ keyring }, { keyring, signed: "refuse" as const }]) {
      const { output, error, ended } = await run(decryptStream(options), chunksOf(message, 10))
      expect(error).toMatchObject({ code: "SignedMessage" })
      expect([output.length, ended]).toEqual([0, false])
    }
  })

  // MSG-7.3
  it("is refused by streams before the keyring is asked", async () => {
    let asked = 0
    const spy = { ...keyring, unwrap: () => void asked++ as undefined }
    await run(decryptStream({ keyring: spy }), [message])
    expect(asked).toBe(0)
  })

  // MSG-7.3
  it("in a stream holds its final frame until the footer has come and verified", async () => {
    const stream = decryptStream({ keyring, signed: "verify-at-end" })
    const pieces: Buffer[] = []
    stream.on("data", (piece) => pieces.push(piece))
    await feed(stream, message.subarray(0, footerAt))
    expect(Buffer.concat(pieces).equals(pattern(44).subarray(0, 32))).toBe(true)
    await feed(stream, message.subarray(footerAt, -1))
    expect(Buffer.concat(pieces).length).toBe(32)
    await feed(stream, message.subarray(-1))
    expect(Buffer.concat(pieces).equals(pattern(44))).toBe(true)
    stream.end()
    await new Promise((resolve) => stream.once("end", resolve))
  })

  it.each([[1], [7], [1000]])(
    "in a stream with a bad signature never releases its final frame (chunks of %i)",
    async (size) => {
      const stream = decryptStream({ keyring, signed: "verify-at-end" })
      const { output, error, ended } = await run(stream, chunksOf(badSignature, size))
      expect(error).toMatchObject({ code: "TamperedMessage" })
      expect(ended).toBe(false)
      expect(Buffer.from(output).equals(pattern(44).subarray(0, 32))).toBe(true)
    },
  )

  it("in a stream that ends before its footer fails, the final frame held", async () => {
    for (let cut = marks[3]!; cut < message.length; cut++) {
      const { output, error, ended } = await run(decryptStream({ keyring, signed: "verify-at-end" }), [
        message.subarray(0, cut),
      ])
      expect(error).toMatchObject({ code: "TruncatedMessage" })
      expect([output.length, ended]).toEqual([32, false])
    }
  })

  it("in one frame, or not framed, comes out of a stream only when all is verified", async () => {
    for (const frameLength of [0, 100]) {
      const one = writeReference({ suiteId: 0x0378, frameLength, plaintext: pattern(44), wrapUnder }).bytes
      const options = { keyring, signed: "verify-at-end", commitmentPolicy: "RequireEncryptAllowDecrypt" } as const
      expect((await through(decryptStream(options), chunksOf(one, 9))).length).toBe(44)
      const bad = one.slice()
      bad[bad.length - 1]! ^= 1
      const { output, error } = await run(decryptStream(options), chunksOf(bad, 9))
      expect(error).toMatchObject({ code: "TamperedMessage" })
      expect(output.length).toBe(0)
    }
  })

  it.each([[1], [50], [110]])("followed by %i bytes fails in a stream, however late they come", async (count) => {
    for (const chunks of [[message, new Uint8Array(count)], [Buffer.concat([message, new Uint8Array(count)])]]) {
      const { error, ended } = await run(decryptStream({ keyring, signed: "verify-at-end" }), chunks)
      expect(error).toMatchObject({ code: "MalformedMessage" })
      expect(ended).toBe(false)
    }
  })

  it("with a footer that claims more than a signature needs is malformed", async () => {
    const long = message.slice()
    long[footerAt] = 0xff
    const { error } = await run(decryptStream({ keyring, signed: "verify-at-end" }), [long])
    expect(error).toMatchObject({ code: "MalformedMessage" })
  })

  // MSG-7.4
  it("opened for range reads refuses them until verify() succeeded", async () => {
    await using handle = await openMessage(message, { keyring })
    expect(handle.plaintextLength).toBe(44)
    expect(await codeOf(() => handle.read(0, 1))).toBe("SignedMessage")
    await handle.verify()
    expect(Buffer.from(await handle.read(10, 40)).equals(pattern(44).subarray(10, 40))).toBe(true)
  })

  it("opened with a bad signature stays unread, unless the signature is skipped by name", async () => {
    await using handle = await openMessage(badSignature, { keyring })
    expect(await codeOf(() => handle.verify())).toBe("TamperedMessage")
    expect(await codeOf(() => handle.read(0, 1))).toBe("SignedMessage")
    expect(await codeOf(() => handle.verify())).toBe("TamperedMessage")
    await using skipping = await openMessage(badSignature, { keyring, signed: "skip-signature" })
    expect((await skipping.read()).length).toBe(44)
    expect(await codeOf(() => skipping.verify())).toBe("TamperedMessage")
  })

  it("with a changed frame fails verify(), and reads of that frame alone", async () => {
    const changed = message.slice()
    changed[marks[2]! + 20]! ^= 1
    await using handle = await openMessage(changed, { keyring, signed: "skip-signature" })
    expect((await handle.read(0, 16)).length).toBe(16)
    expect((await handle.read(32, 44)).length).toBe(12)
    expect(await codeOf(() => handle.read(16, 17))).toBe("TamperedMessage")
    expect(await codeOf(() => handle.verify())).toBe("TamperedMessage")
  })

  it("is checked again on every read, since a source may change after verify()", async () => {
    const bytes = message.slice()
    const source: RandomAccessSource = {
      size: bytes.length,
      read: (offset, length) => bytes.slice(offset, offset + length),
    }
    await using handle = await openMessage(source, { keyring })
    await handle.verify()
    bytes[marks[1]! + 20]! ^= 1
    expect(await codeOf(() => handle.read(0, 1))).toBe("TamperedMessage")
  })

  // MSG-10.2
  it("re-encrypted needs the same consent, stays signed, and never becomes whole with a bad signature", async () => {
    expect(await codeOf(() => through(reencrypt({ from: { keyring }, to: { keyring } }), [message]))).toBe(
      "SignedMessage",
    )
    const from = { keyring, signed: "verify-at-end" } as const
    const out = await through(reencrypt({ from, to: { keyring } }), chunksOf(message, 13))
    expect(inspect(out).signed).toBe(true)
    expect(Buffer.from((await decrypt(out, { keyring })).plaintext).equals(pattern(44))).toBe(true)
    const { output, error, ended } = await run(
      reencrypt({ from, to: { keyring, frameLength: 4 } }),
      chunksOf(badSignature, 13),
    )
    expect(error).toMatchObject({ code: "TamperedMessage" })
    expect(ended).toBe(false)
    expect(await codeOf(() => decrypt(output, { keyring }))).toBe("TruncatedMessage")
  })

  // MSG-7.1
  it("gets a new key pair each time", async () => {
    const keys = await Promise.all([1, 2].map(async () => inspect(await encrypt("", { keyring, signed: true }))))
    expect(new Set(keys.map(({ encryptionContext }) => encryptionContext["aws-crypto-public-key"])).size).toBe(2)
  })
})
