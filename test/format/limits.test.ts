import { describe, expect, it } from "vitest"
import { findSuite } from "../../src/crypto/index.ts"
import { decodeHeader, encodeContext, encodeHeader, headerLength, resolveLimits } from "../../src/format/index.ts"
import { codeOf } from "../support/errors.ts"

const KIB = 1024
const MIB = 1024 * KIB

interface Shape {
  readonly keys?: number
  readonly contextLength?: number
  readonly frameLength?: number
  /** Bytes of the header, tag included. */
  readonly length?: number
}

/** A header of suite 0x0478 with this many wrapped keys, bytes of context and bytes in all. */
function headerWith({ keys = 1, contextLength = 0, frameLength = 4096, length }: Shape): Uint8Array {
  const suite = findSuite(0x0478)!
  const fields = (filler: number) => ({
    suite,
    messageId: new Uint8Array(32),
    contextBytes: contextLength === 0 ? new Uint8Array(0) : encodeContext({ k: "x".repeat(contextLength - 7) }),
    wrappedKeys: Array.from({ length: keys }, (_, i) => ({
      providerId: "p",
      providerInfo: new Uint8Array(Math.min(0xffff, Math.max(0, filler - i * 0xffff))),
      ciphertext: new Uint8Array(0),
    })),
    contentType: "framed" as const,
    frameLength,
    suiteData: new Uint8Array(32),
  })
  const filler = length === undefined ? 0 : length - headerLength(fields(0))
  const out = new Uint8Array(headerLength(fields(filler)))
  encodeHeader(fields(filler), out, () => new Uint8Array(16))
  return out
}

const decode = (shape: Shape, options = {}) => decodeHeader(headerWith(shape), resolveLimits(options))

describe("The limits of a header", () => {
  it.each([
    ["16 wrapped keys", { keys: 16 }, { keys: 17 }, /maxWrappedKeys/],
    ["128 KiB in all", { keys: 3, length: 128 * KIB }, { keys: 3, length: 128 * KIB + 1 }, /maxHeaderLength/],
    ["8 KiB of context", { contextLength: 8 * KIB }, { contextLength: 8 * KIB + 1 }, /maxContextLength/],
    ["64 MiB a frame", { frameLength: 64 * MIB }, { frameLength: 64 * MIB + 1 }, /maxFrameLength/],
  ] as const)("are by default %s", async (_, at, above, option) => {
    expect(typeof decode(at)).toBe("object")
    expect(await codeOf(() => decode(above))).toBe("LimitExceeded")
    expect(() => decode(above)).toThrow(option)
  })

  it.each([
    ["maxWrappedKeys", { keys: 2 }, 2],
    ["maxHeaderLength", { keys: 2, length: 300 }, 300],
    ["maxContextLength", { contextLength: 20 }, 20],
    ["maxFrameLength", { frameLength: 100 }, 100],
  ] as const)("move with %s", async (option, shape, size) => {
    expect(typeof decode(shape, { [option]: size })).toBe("object")
    expect(await codeOf(() => decode(shape, { [option]: size - 1 }))).toBe("LimitExceeded")
  })

  it("can be raised above the defaults", () => {
    const most = {
      maxWrappedKeys: 65535,
      maxContextLength: 65535,
      maxFrameLength: 2 ** 32 - 1,
      maxHeaderLength: 2 ** 30,
    }
    expect(typeof decode({ keys: 1000, contextLength: 60000, frameLength: 2 ** 32 - 1, length: MIB }, most)).toBe(
      "object",
    )
  })

  it("are checked before the bytes are there: a lying length asks for nothing", async () => {
    const limits = resolveLimits({})
    const start = headerWith({}).subarray(0, 35)
    // 65,535 bytes of context, none of which have come.
    const context = Buffer.concat([start, Buffer.from([0xff, 0xff])])
    expect(await codeOf(() => decodeHeader(context, limits))).toBe("LimitExceeded")
    // 65,535 wrapped keys.
    const keys = Buffer.concat([start, Buffer.from([0, 0, 0xff, 0xff])])
    expect(await codeOf(() => decodeHeader(keys, limits))).toBe("LimitExceeded")
    // One wrapped key whose fields cannot fit in the header.
    const field = Buffer.concat([start, Buffer.from([0, 0, 0, 1, 0xff, 0xff])])
    expect(await codeOf(() => decodeHeader(field, resolveLimits({ maxHeaderLength: 60_000 })))).toBe("LimitExceeded")
  })
})

describe("Limits as options", () => {
  it("have the documented defaults", () => {
    expect(resolveLimits({})).toEqual({
      maxWrappedKeys: 16,
      maxHeaderLength: 131_072,
      maxContextLength: 8_192,
      maxFrameLength: 67_108_864,
      maxMessageLength: 2_147_483_648,
      maxUnauthenticatedBytes: 67_108_864,
    })
  })

  it.each([[-1], [1.5], [Number.NaN], [2 ** 53], ["16"]])("are a RangeError when they are %j", (value) => {
    expect(() => resolveLimits({ maxWrappedKeys: value as number })).toThrow(RangeError)
  })
})
