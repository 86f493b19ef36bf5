import {
  createPublicKey,
  createSign,
  createVerify,
  generateKeyPairSync,
  type KeyObject,
  type Sign,
  type Verify,
} from "node:crypto"
import type { SigningKey } from "../core/index.ts"
import { concatBytes, tampered, viewBytes } from "../core/index.ts"
import type { SignatureAlgorithm } from "./suites.ts"

/** Bytes that DER puts before a compressed point in a SubjectPublicKeyInfo (RFC 5480, section 2). */
const SPKI_PREFIX = {
  prime256v1: "3039301306072a8648ce3d020106082a8648ce3d030107032200",
  secp384r1: "3046301006072a8648ce3d020106052b81040022033200",
} as const

/** An ephemeral key pair of one message, or of one cache entry. */
export function generateSigningKey(algorithm: SignatureAlgorithm): SigningKey {
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: algorithm.curve })
  // A JWK is a hundred times cheaper to export than DER.
  const { x, y } = publicKey.export({ format: "jwk" })
  return { privateKey, publicKey: compress(x!, y!) }
}

/** SEC 1, section 2.3.3: 02 or 03 by the parity of y, then x; in base64. */
function compress(x: string, y: string): string {
  const parity = Buffer.from(y, "base64url").at(-1)! & 1
  const point = concatBytes([Uint8Array.of(2 + parity), Buffer.from(x, "base64url")])
  return Buffer.from(point.buffer).toString("base64")
}

/**
 * Importing a key costs a third of a verification, and messages written under one cached data key share theirs. Public
 * keys only.
 */
const imported = /* @__PURE__ */ new Map<string, KeyObject>()
const MAX_IMPORTED = 64

/** @throws EnvelopeError `TamperedMessage` when the context's public key is no point of the suite's curve */
export function decodePublicKey(algorithm: SignatureAlgorithm, publicKey: string): KeyObject {
  const id = `${algorithm.curve} ${publicKey}`
  const key = imported.get(id) ?? importPublicKey(algorithm, publicKey)
  imported.delete(id)
  imported.set(id, key)
  if (imported.size > MAX_IMPORTED) imported.delete(imported.keys().next().value!)
  return key
}

function importPublicKey(algorithm: SignatureAlgorithm, publicKey: string): KeyObject {
  const point = Buffer.from(publicKey, "base64")
  if (point.length !== 1 + algorithm.coordinateLength || point.toString("base64") !== publicKey) throw tampered()
  try {
    const der = concatBytes([Buffer.from(SPKI_PREFIX[algorithm.curve], "hex"), point])
    return createPublicKey({ key: Buffer.from(der.buffer), format: "der", type: "spki" })
  } catch {
    throw tampered()
  }
}

/** MSG-7.1: signs header and body as they are written; `finish` gives the DER signature. */
export interface Signer {
  update(bytes: Uint8Array): void
  finish(): Uint8Array
}

export function createSigner(algorithm: SignatureAlgorithm, key: SigningKey): Signer {
  const sign: Sign = createSign(algorithm.hash)
  return {
    update: (bytes) => void sign.update(bytes),
    finish: () => viewBytes(sign.sign(key.privateKey), "signature"),
  }
}

export interface Verifier {
  update(bytes: Uint8Array): void
  /** @throws EnvelopeError `TamperedMessage` */
  finish(signature: Uint8Array): void
}

export function createVerifier(algorithm: SignatureAlgorithm, publicKey: string): Verifier {
  const key = decodePublicKey(algorithm, publicKey)
  const verify: Verify = createVerify(algorithm.hash)
  return {
    update: (bytes) => void verify.update(bytes),
    finish: (signature) => {
      if (!verify.verify(key, signature)) throw tampered()
    },
  }
}
