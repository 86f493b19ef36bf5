import { generateKeyPairSync } from "node:crypto"
import type { CommitmentPolicy, EncryptionContext, EnvelopeErrorCode } from "../../src/core/index.ts"
import { encrypt, encryptStream } from "../../src/index.ts"
import { multiKeyring, rawAesKeyring, rawRsaKeyring } from "../../src/keyrings/index.ts"
import { hex4, referenceSuites } from "../reference/suites.ts"
import { type ReferenceMessage, writeReference } from "../reference/write.ts"
import { counting, pattern } from "../support/keys.ts"
import { officialEncryptWith } from "../support/official.ts"
import { through } from "../support/streams.ts"

/** One message of `own.json`. Plaintexts are `pattern(plaintextLength)` of test/support/keys.ts. */
export interface OwnVector {
  readonly name: string
  readonly writer: "kms-envelope" | "@aws-crypto/client-node 5.0.2" | "reference"
  readonly encryptionContext: EncryptionContext
  /** Pairs of the context that the header does not store. */
  readonly requiredContextKeys: readonly string[]
  readonly keys: readonly ("aes" | "rsa")[]
  readonly plaintextLength: number
  /** base64 */
  readonly message: string
  /** For messages to refuse. */
  readonly error?: EnvelopeErrorCode
}

export interface OwnVectors {
  readonly about: string
  readonly keys: {
    /** Raw AES: namespace, name, key in base64. */
    readonly aes: { readonly namespace: string; readonly name: string; readonly key: string }
    /** Raw RSA, OAEP with SHA-256: namespace, name, PKCS #8 in base64. A key of these tests alone. */
    readonly rsa: { readonly namespace: string; readonly name: string; readonly privateKey: string }
  }
  readonly vectors: readonly OwnVector[]
}

const CONTEXT = { tenant: "42", purpose: "own vectors", "ключ 🔑": "значение", "": "empty key" }
const AES = { namespace: "own vectors", name: "aes one", key: counting(32, 7) }
const RSA = { namespace: "own vectors", name: "rsa one" }
const FRAME_LENGTH = 16

/** Every run makes other messages: keys, ids and signatures are random. */
export async function generateOwnVectors(): Promise<OwnVectors> {
  const pair = generateKeyPairSync("rsa", { modulusLength: 2048 })
  const privateKey = pair.privateKey.export({ type: "pkcs8", format: "der" })
  const aesKeyring = rawAesKeyring({ keyNamespace: AES.namespace, keyName: AES.name, wrappingKey: AES.key })
  const rsaKeyring = rawRsaKeyring({
    keyNamespace: RSA.namespace,
    keyName: RSA.name,
    publicKey: pair.publicKey,
    padding: "oaep-sha256",
  })
  const both = multiKeyring({ generator: aesKeyring, children: [rsaKeyring] })
  const ours: OwnVector[] = []
  const official: OwnVector[] = []
  for (const { id, version } of referenceSuites) {
    const commitmentPolicy: CommitmentPolicy =
      version === 1 ? "ForbidEncryptAllowDecrypt" : "RequireEncryptRequireDecrypt"
    const options = { suiteId: id, commitmentPolicy, encryptionContext: CONTEXT, frameLength: FRAME_LENGTH }
    const common = { encryptionContext: CONTEXT, requiredContextKeys: [] }
    const message = await encrypt(pattern(40), { ...options, keyring: both })
    ours.push({
      ...common,
      name: `suite ${hex4(id)}, two wrapped keys`,
      writer: "kms-envelope",
      keys: ["aes", "rsa"],
      plaintextLength: 40,
      message: base64(message),
    })
    const plaintextLength = version === 1 ? 32 : 33
    official.push({
      ...common,
      name: `suite ${hex4(id)}`,
      writer: "@aws-crypto/client-node 5.0.2",
      keys: ["aes", "rsa"],
      plaintextLength,
      message: base64(
        await officialEncryptWith(pattern(plaintextLength), { ...options, aes: AES, rsa: { ...RSA, pair } }),
      ),
    })
  }
  ours.push(...(await ourVariants(aesKeyring)))
  return {
    about: "Messages of this project's own: see generate.ts beside this file. UPDATE_VECTORS=1 writes them anew.",
    keys: {
      aes: { namespace: AES.namespace, name: AES.name, key: base64(AES.key) },
      rsa: { ...RSA, privateKey: base64(privateKey) },
    },
    vectors: [...ours, ...official, ...referenceVectors(), ...badVectors()],
  }
}

async function ourVariants(keyring: ReturnType<typeof rawAesKeyring>): Promise<OwnVector[]> {
  const common = { writer: "kms-envelope", keys: ["aes"] } as const
  const streamed = (length: number, signed: boolean) =>
    through(encryptStream({ keyring, signed, frameLength: FRAME_LENGTH }), [pattern(length)])
  const required = { keyring, encryptionContext: CONTEXT, requiredContextKeys: ["tenant", "ключ 🔑"] }
  const empty = { encryptionContext: {}, requiredContextKeys: [] }
  const requiredSigned = await encrypt(pattern(20), { ...required, signed: true })
  return [
    { ...common, ...empty, name: "empty", plaintextLength: 0, message: base64(await encrypt("", { keyring })) },
    { ...common, ...empty, name: "streamed", plaintextLength: 48, message: base64(await streamed(48, false)) },
    { ...common, ...empty, name: "streamed, signed", plaintextLength: 49, message: base64(await streamed(49, true)) },
    {
      ...common,
      name: "required context",
      encryptionContext: CONTEXT,
      requiredContextKeys: required.requiredContextKeys,
      plaintextLength: 20,
      message: base64(await encrypt(pattern(20), required)),
    },
    {
      ...common,
      name: "required context, signed",
      encryptionContext: CONTEXT,
      requiredContextKeys: required.requiredContextKeys,
      plaintextLength: 20,
      message: base64(requiredSigned),
    },
  ]
}

const CONTEXT_PAIRS = Object.entries(CONTEXT)
const reference = (options: Omit<ReferenceMessage, "wrapUnder" | "plaintext">, plaintextLength: number) =>
  writeReference({ context: CONTEXT_PAIRS, ...options, plaintext: pattern(plaintextLength), wrapUnder: [AES] })

/** What no current SDK writes any more, and layouts that only some write. */
function referenceVectors(): OwnVector[] {
  const vector = (name: string, options: Parameters<typeof reference>[0], plaintextLength: number): OwnVector => ({
    name,
    writer: "reference",
    encryptionContext: CONTEXT,
    requiredContextKeys: (options.unstored ?? []).map(([key]) => key),
    keys: ["aes"],
    plaintextLength,
    message: base64(reference(options, plaintextLength).bytes),
  })
  const unstored = CONTEXT_PAIRS.slice(0, 2)
  return [
    ...referenceSuites.map(({ id }) => vector(`suite ${hex4(id)}, non-framed`, { suiteId: id, frameLength: 0 }, 30)),
    vector("non-framed and empty", { suiteId: 0x0478, frameLength: 0 }, 0),
    vector("empty final frame", { suiteId: 0x0478, frameLength: 16, emptyFinalFrame: true }, 32),
    vector("empty final frame, signed", { suiteId: 0x0578, frameLength: 16, emptyFinalFrame: true }, 32),
    vector("random header iv", { suiteId: 0x0378, frameLength: 16, randomHeaderIv: true }, 20),
    vector("required context", { suiteId: 0x0178, frameLength: 16, unstored, context: CONTEXT_PAIRS.slice(2) }, 20),
    vector(
      "context in another order",
      { suiteId: 0x0478, frameLength: 16, editStored: (pairs) => [...pairs].reverse() },
      20,
    ),
  ]
}

/** Messages to refuse, each with the code of its error. */
function badVectors(): OwnVector[] {
  const framed = { suiteId: 0x0478, frameLength: 16 }
  const good = reference(framed, 40)
  const signed = reference({ ...framed, suiteId: 0x0578 }, 40)
  const bad = (name: string, message: Uint8Array, error: EnvelopeErrorCode): OwnVector => ({
    name,
    writer: "reference",
    encryptionContext: {},
    requiredContextKeys: [],
    keys: ["aes"],
    plaintextLength: 0,
    message: base64(message),
    error,
  })
  const part = ({ bytes, marks }: typeof good, index: number) => bytes.subarray(marks[index], marks[index + 1])
  const flipped = ({ bytes }: typeof good, at: number) => {
    const copy = bytes.slice()
    copy[(at + copy.length) % copy.length]! ^= 1
    return copy
  }
  const stored = (editStored: NonNullable<ReferenceMessage["editStored"]>) =>
    reference({ ...framed, editStored }, 5).bytes
  return [
    bad("one byte missing", good.bytes.subarray(0, -1), "TruncatedMessage"),
    bad("final frame missing", good.bytes.subarray(0, good.marks[3]), "TruncatedMessage"),
    bad("footer missing", signed.bytes.subarray(0, signed.marks[4]), "TruncatedMessage"),
    bad("one byte too many", Buffer.concat([good.bytes, Buffer.alloc(1)]), "MalformedMessage"),
    bad("one byte too many, signed", Buffer.concat([signed.bytes, Buffer.alloc(1)]), "MalformedMessage"),
    bad("two messages in a row", Buffer.concat([good.bytes, good.bytes]), "MalformedMessage"),
    bad("last tag changed", flipped(good, -1), "TamperedMessage"),
    bad("header tag changed", flipped(good, good.marks[1]! - 1), "TamperedMessage"),
    bad("commitment changed", flipped(good, good.marks[1]! - 17), "TamperedMessage"),
    bad("signature changed", flipped(signed, -1), "TamperedMessage"),
    bad(
      "signature of another message",
      Buffer.concat([
        signed.bytes.subarray(0, signed.marks[4]),
        part(reference({ ...framed, suiteId: 0x0578 }, 40), 4),
      ]),
      "TamperedMessage",
    ),
    bad("first frame missing", Buffer.concat([part(good, 0), part(good, 2), part(good, 3)]), "MalformedMessage"),
    bad(
      "frames in another order",
      Buffer.concat([part(good, 0), part(good, 2), part(good, 1), part(good, 3)]),
      "MalformedMessage",
    ),
    bad(
      "frame of another message",
      Buffer.concat([part(good, 0), part(reference(framed, 40), 1), part(good, 2), part(good, 3)]),
      "TamperedMessage",
    ),
    bad(
      "signed without public key",
      reference({ ...framed, suiteId: 0x0578, publicKey: undefined }, 5).bytes,
      "MalformedMessage",
    ),
    bad("unsigned with public key", reference({ ...framed, publicKey: "A".repeat(68) }, 5).bytes, "MalformedMessage"),
    bad(
      "public key that is no point",
      reference({ ...framed, suiteId: 0x0578, publicKey: "A".repeat(68) }, 5).bytes,
      "TamperedMessage",
    ),
    bad(
      "context key twice",
      stored((pairs) => [...pairs, pairs[0]!]),
      "MalformedMessage",
    ),
    bad("suite of the database SDK", withBytes(good.bytes, 1, [0x67, 0x01]), "UnsupportedFormat"),
    bad("version 3", withBytes(good.bytes, 0, [3]), "UnsupportedFormat"),
    bad("suite of the other version", withBytes(good.bytes, 1, [0x01, 0x78]), "UnsupportedFormat"),
  ]
}

function withBytes(message: Uint8Array, at: number, bytes: readonly number[]): Uint8Array {
  const copy = message.slice()
  copy.set(bytes, at)
  return copy
}

const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString("base64")
