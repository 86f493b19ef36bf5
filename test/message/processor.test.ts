import { describe, expect, it } from "vitest"
import { decrypt, encrypt } from "../../src/index.ts"
import { decryptor } from "../../src/message/decryptor.ts"
import { encryptor } from "../../src/message/encryptor.ts"
import { planRead } from "../../src/message/open.ts"
import { planWrite } from "../../src/message/write.ts"
import { codeOf } from "../support/errors.ts"
import { headerOf } from "../support/header.ts"
import { aesKeyring, pattern } from "../support/keys.ts"

const keyring = aesKeyring()

describe("A processor that is closed", () => {
  it("seals nothing any more: its key is overwritten", async () => {
    const first = encryptor(planWrite({ keyring, frameLength: 1024 * 1024 }), undefined)
    const pieces = first.write(new Uint8Array(3 * 1024 * 1024))
    expect((await pieces.next()).done).toBe(false)
    expect((await pieces.next()).done).toBe(false)
    first.close()
    const after = await pieces.next().catch((error) => error.code)
    expect(after === "Closed" || after.done).toBe(true)
    expect(await codeOf(() => first.end().next())).toBe("Closed")

    const second = encryptor(planWrite({ keyring, frameLength: 16 }), undefined)
    for await (const _ of second.write(pattern(50)));
    second.close()
    expect(await codeOf(() => second.write(pattern(50)).next())).toBe("Closed")
    expect(await codeOf(() => second.end().next())).toBe("Closed")
  })

  it("opens nothing any more", async () => {
    const message = await encrypt(pattern(64), { keyring, frameLength: 16 })
    const { length } = headerOf(message)
    const processor = decryptor(planRead({ keyring }), "refuse")
    const pieces = processor.write(message.subarray(0, length + 96))
    expect((await pieces.next()).value?.length).toBe(16)
    processor.close()
    expect(await pieces.next()).toEqual({ done: true, value: undefined })
    expect(await codeOf(() => processor.end().next())).toBe("TruncatedMessage")
  })

  it("was never closed: the same steps make a message", async () => {
    const processor = encryptor(planWrite({ keyring, frameLength: 16 }), 50)
    const parts: Uint8Array[] = []
    for await (const piece of processor.write(pattern(50))) parts.push(piece)
    for await (const piece of processor.end()) parts.push(piece)
    expect((await decrypt(Buffer.concat(parts), { keyring })).plaintext.length).toBe(50)
  })
})
