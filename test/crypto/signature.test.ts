import { createPublicKey, createVerify } from "node:crypto"
import { describe, expect, it } from "vitest"
import { createSigner, createVerifier, decodePublicKey, findSuite, generateSigningKey } from "../../src/crypto/index.ts"
import { codeOf } from "../support/errors.ts"

const algorithms = [findSuite(0x0214)!.signature!, findSuite(0x0578)!.signature!]

describe.each(algorithms)("ECDSA on $curve", (algorithm) => {
  const text = new TextEncoder().encode("header and body")

  it("signs so that OpenSSL and our verifier accept, in DER within the bound", () => {
    for (let i = 0; i < 40; i++) {
      const key = generateSigningKey(algorithm)
      const signer = createSigner(algorithm, key)
      signer.update(text.subarray(0, 5))
      signer.update(text.subarray(5))
      const signature = signer.finish()
      expect(signature.length).toBeLessThanOrEqual(algorithm.maxSignatureLength)
      const publicKey = createPublicKey(key.privateKey)
      expect(createVerify(algorithm.hash).update(text).verify(publicKey, signature)).toBe(true)
      expect(decodePublicKey(algorithm, key.publicKey).equals(publicKey)).toBe(true)
      const verifier = createVerifier(algorithm, key.publicKey)
      verifier.update(text)
      verifier.finish(signature)
    }
  })

  it("refuses other texts, other keys and signatures that are none", async () => {
    const key = generateSigningKey(algorithm)
    const signer = createSigner(algorithm, key)
    signer.update(text)
    const signature = signer.finish()
    const verify = (publicKey: string, bytes: Uint8Array, given: Uint8Array) => () => {
      const verifier = createVerifier(algorithm, publicKey)
      verifier.update(bytes)
      verifier.finish(given)
    }
    const changed = signature.slice()
    changed[changed.length - 1]! ^= 1
    const other = generateSigningKey(algorithm)
    for (const attempt of [
      verify(key.publicKey, text.subarray(1), signature),
      verify(other.publicKey, text, signature),
      verify(key.publicKey, text, changed),
      verify(key.publicKey, text, new Uint8Array(0)),
      verify(key.publicKey, text, new Uint8Array(70)),
      verify(key.publicKey, text, Buffer.concat([signature, Buffer.alloc(1)])),
    ]) {
      expect(await codeOf(attempt)).toBe("TamperedMessage")
    }
  })

  it("refuses public keys that are no compressed point in canonical base64", async () => {
    const { publicKey } = generateSigningKey(algorithm)
    const point = Buffer.from(publicKey, "base64")
    const uncompressed = Buffer.alloc(1 + 2 * algorithm.coordinateLength, 4)
    const noPoint = Buffer.alloc(point.length, 0xff)
    noPoint[0] = 2
    for (const bad of [
      "",
      publicKey.slice(0, -4),
      ` ${publicKey}`,
      `${publicKey}\n`,
      Buffer.concat([point, Buffer.alloc(1)]).toString("base64"),
      uncompressed.toString("base64"),
      noPoint.toString("base64"),
      Buffer.concat([Buffer.from([5]), point.subarray(1)]).toString("base64"),
      "*".repeat(publicKey.length),
    ]) {
      expect(await codeOf(() => decodePublicKey(algorithm, bad)), JSON.stringify(bad)).toBe("TamperedMessage")
    }
  })
})
