import { describe, expect, it } from "vitest"
import { readU16 } from "../../src/format/index.ts"
import { scanBody } from "../../src/framing/index.ts"
import { startVerifier } from "../../src/message/open.ts"
import { dafnyVectors } from "../support/dafny-vectors.ts"
import { codeOf } from "../support/errors.ts"
import { headerOf, reencodedHeader } from "../support/header.ts"
import { describeVectors } from "../support/vectors.ts"

/** Their data keys are out of reach, but their signatures verify with the public key in the header. */
describeVectors("Published signed messages under KMS keys", () => {
  const signed = dafnyVectors().filter(({ kind, message }) => kind === "kms" && headerOf(message()).suite.signed)

  it("are 40", () => {
    expect(signed.length).toBe(40)
  })

  describe.each(signed)("$description $id", (vector) => {
    const message = vector.message()
    const header = headerOf(message)
    const { end } = scanBody(message, header.length, header, true)
    const signature = message.subarray(end + 2)
    const verifier = () => startVerifier(header)!

    // MSG-7.1
    it("has a signature that verifies over header and body", () => {
      expect(readU16(message, end)).toBe(signature.length)
      const verify = verifier()
      verify.update(message.subarray(header.length, end))
      verify.finish(signature)
      expect(Buffer.from(reencodedHeader(header)).equals(message.subarray(0, header.length))).toBe(true)
    })

    it("has a signature that does not verify over another body", async () => {
      const body = message.slice(header.length, end)
      body[body.length >> 1]! ^= 1
      const verify = verifier()
      verify.update(body)
      expect(await codeOf(() => verify.finish(signature))).toBe("TamperedMessage")
    })
  })
})
