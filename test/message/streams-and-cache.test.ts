import { describe, expect, it } from "vitest"
import {
  cachingKeyring,
  decrypt,
  encryptStream,
  type Keyring,
  type MessageStream,
  rawAesKeyring,
} from "../../src/index.ts"

const inner = rawAesKeyring({ keyNamespace: "cache", keyName: "key", wrappingKey: new Uint8Array(32).fill(6) })

/** Keeps what the keyring handed out, to look at after it should be gone. */
function watched(): { keyring: Keyring; dataKeys: Uint8Array[] } {
  const dataKeys: Uint8Array[] = []
  const keyring: Keyring = {
    ...inner,
    async wrap(request) {
      const result = await inner.wrap(request)
      dataKeys.push(result.dataKey)
      return result
    },
  }
  return { keyring, dataKeys }
}

const collect = async (stream: MessageStream): Promise<Uint8Array> => Buffer.concat(await stream.toArray())

describe("64 streams under one cached data key", () => {
  it.each([
    ["the keyring is closed", (keyring: ReturnType<typeof cachingKeyring>) => keyring.close()],
    [
      "another context takes the only place",
      async (keyring: ReturnType<typeof cachingKeyring>) => {
        await collect(encryptStream({ keyring, encryptionContext: { other: "1" } }).end("x"))
      },
    ],
  ])("all end whole when %s in their midst, and the key is overwritten", async (_, evict) => {
    const { keyring, dataKeys } = watched()
    const caching = cachingKeyring(keyring, { maxAgeSeconds: 60, capacity: 1 })
    const streams = Array.from({ length: 64 }, () => encryptStream({ keyring: caching, frameLength: 100 }))
    for (const [i, stream] of streams.entries()) stream.write(Buffer.alloc(250, i))
    await Promise.all(streams.map((stream) => stream.header))
    await evict(caching)
    const messages = await Promise.all(streams.map((stream, i) => collect(stream.end(Buffer.alloc(250, i)))))
    for (const [i, message] of messages.entries()) {
      const { plaintext } = await decrypt(message, { keyring: inner })
      expect(Buffer.compare(plaintext, Buffer.alloc(500, i))).toBe(0)
    }
    expect(dataKeys[0]).toEqual(new Uint8Array(32))
    expect(dataKeys.length).toBeLessThan(3)
    caching.close()
  })
})
