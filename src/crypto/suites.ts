import type { CommitmentPolicy, SuiteInfo } from "../core/index.ts"
import { EnvelopeError } from "../core/index.ts"

/** One row of the specification's table (framework/algorithm-suites). IV is 12 bytes and tag 16 in every suite. */
export interface Suite extends SuiteInfo {
  readonly formatVersion: 1 | 2
  readonly cipher: "aes-128-gcm" | "aes-192-gcm" | "aes-256-gcm"
  readonly messageIdLength: 16 | 32
  /** Bytes of algorithm suite data in the header: the key commitment of version 2. */
  readonly suiteDataLength: 0 | 32
  readonly hkdfHash: "sha256" | "sha384" | "sha512" | undefined
  readonly signature: SignatureAlgorithm | undefined
}

export interface SignatureAlgorithm {
  readonly curve: "prime256v1" | "secp384r1"
  readonly hash: "sha256" | "sha384"
  /** Bytes of one coordinate. */
  readonly coordinateLength: 32 | 48
  /** The largest DER signature, in bytes. */
  readonly maxSignatureLength: number
}

export const IV_LENGTH = 12
export const TAG_LENGTH = 16

const p256: SignatureAlgorithm = { curve: "prime256v1", hash: "sha256", coordinateLength: 32, maxSignatureLength: 72 }
const p384: SignatureAlgorithm = { curve: "secp384r1", hash: "sha384", coordinateLength: 48, maxSignatureLength: 104 }

const v1 = (
  id: number,
  dataKeyLength: 16 | 24 | 32,
  hkdfHash?: "sha256" | "sha384",
  signature?: SignatureAlgorithm,
): Suite => ({
  id,
  formatVersion: 1,
  cipher: `aes-${(dataKeyLength * 8) as 128 | 192 | 256}-gcm`,
  dataKeyLength,
  messageIdLength: 16,
  suiteDataLength: 0,
  hkdfHash,
  signature,
  derivesKey: hkdfHash !== undefined,
  commitsKey: false,
  signed: signature !== undefined,
})

const v2 = (id: number, signature?: SignatureAlgorithm): Suite => ({
  id,
  formatVersion: 2,
  cipher: "aes-256-gcm",
  dataKeyLength: 32,
  messageIdLength: 32,
  suiteDataLength: 32,
  hkdfHash: "sha512",
  signature,
  derivesKey: true,
  commitsKey: true,
  signed: signature !== undefined,
})

// MSG-1.2: these and no other.
const suites: ReadonlyMap<number, Suite> = /* @__PURE__ */ new Map(
  /* @__PURE__ */ [
    v1(0x0014, 16),
    v1(0x0046, 24),
    v1(0x0078, 32),
    v1(0x0114, 16, "sha256"),
    v1(0x0146, 24, "sha256"),
    v1(0x0178, 32, "sha256"),
    v1(0x0214, 16, "sha256", p256),
    v1(0x0346, 24, "sha384", p384),
    v1(0x0378, 32, "sha384", p384),
    v2(0x0478),
    v2(0x0578, p384),
  ].map((suite) => [suite.id, suite]),
)

export const findSuite = (id: number): Suite | undefined => suites.get(id)

/** Any suite whose cipher takes keys of this many bytes, for wrapping keys. @throws RangeError */
export function suiteOfWrappingKey(wrappingKey: Uint8Array): Suite {
  const id = { 16: 0x0014, 24: 0x0046, 32: 0x0078 }[wrappingKey.length]
  if (id === undefined) throw new RangeError(`wrappingKey must be 16, 24 or 32 bytes, not ${wrappingKey.length}`)
  return suites.get(id)!
}

export const suiteName = (id: number): string => `0x${id.toString(16).padStart(4, "0")}`

const policies: readonly CommitmentPolicy[] = [
  "RequireEncryptRequireDecrypt",
  "RequireEncryptAllowDecrypt",
  "ForbidEncryptAllowDecrypt",
]

/** @throws TypeError for anything but the three policies */
export function checkPolicy(policy: CommitmentPolicy | undefined): CommitmentPolicy {
  const chosen = policy ?? "RequireEncryptRequireDecrypt"
  if (!policies.includes(chosen)) throw new TypeError(`commitmentPolicy must be one of ${policies.join(", ")}`)
  return chosen
}

/**
 * The suite to write: 0x0478 and 0x0578 where commitment is required, 0x0178 and 0x0378 where it is forbidden (MSG-1.3).
 *
 * @throws TypeError for an unknown suite id
 * @throws EnvelopeError `CommitmentPolicy` when policy and suite disagree
 */
export function suiteToWrite(policy: CommitmentPolicy, signed: boolean, id?: number): Suite {
  const commits = policy !== "ForbidEncryptAllowDecrypt"
  const suite = findSuite(id ?? (commits ? (signed ? 0x0578 : 0x0478) : signed ? 0x0378 : 0x0178))
  if (suite === undefined) throw new TypeError(`suiteId ${id} is not an algorithm suite of the AWS Encryption SDK`)
  if (suite.commitsKey !== commits) {
    throw new EnvelopeError(
      "CommitmentPolicy",
      `commitment policy ${policy} does not write suite ${suiteName(suite.id)}, which ${suite.commitsKey ? "commits" : "does not commit"} to its key`,
    )
  }
  return suite
}

/** MSG-1.4. @throws EnvelopeError `CommitmentPolicy` for a suite without key commitment under the strictest policy */
export function checkSuiteToRead(policy: CommitmentPolicy, suite: Suite): void {
  if (policy === "RequireEncryptRequireDecrypt" && !suite.commitsKey) {
    throw new EnvelopeError(
      "CommitmentPolicy",
      `the message uses suite ${suiteName(suite.id)}, which does not commit to its key; to read it, set commitmentPolicy to "RequireEncryptAllowDecrypt"`,
    )
  }
}
