import { generateKeyPairSync, type KeyPairKeyObjectResult } from "node:crypto"
import {
  type AlgorithmSuiteIdentifier,
  buildClient,
  CommitmentPolicy,
  type KeyringNode,
  MultiKeyringNode,
  RawAesKeyringNode,
  RawAesWrappingSuiteIdentifier,
  RawRsaKeyringNode,
} from "@aws-crypto/client-node"
import type { EncryptionContext, Keyring } from "../../src/core/index.ts"
import { multiKeyring, rawAesKeyring, rawRsaKeyring } from "../../src/keyrings/index.ts"
import { counting } from "./keys.ts"

/** The official JavaScript SDK, as a peer of tests. */
const official = {
  v1: buildClient(CommitmentPolicy.FORBID_ENCRYPT_ALLOW_DECRYPT),
  v2: buildClient(CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT),
}
const clientFor = (suiteId: number) => (suiteId >= 0x0400 ? official.v2 : official.v1)

/** One wrapping key that both sides have. */
export interface SharedKey {
  readonly name: string
  ours(): Keyring
  theirs(): KeyringNode
}

const NAMESPACE = "shared"

const aesKey = (bytes: 16 | 24 | 32): SharedKey => {
  const wrappingKey = counting(bytes, bytes)
  const names = { keyNamespace: NAMESPACE, keyName: `aes ${bytes * 8} ключ` }
  const wrappingSuite = {
    16: RawAesWrappingSuiteIdentifier.AES128_GCM_IV12_TAG16_NO_PADDING,
    24: RawAesWrappingSuiteIdentifier.AES192_GCM_IV12_TAG16_NO_PADDING,
    32: RawAesWrappingSuiteIdentifier.AES256_GCM_IV12_TAG16_NO_PADDING,
  }[bytes]
  return {
    name: names.keyName,
    ours: () => rawAesKeyring({ ...names, wrappingKey }),
    // Without `utf8Sorting` the official keyring still orders the context by locale, which no other SDK reads.
    theirs: () =>
      new RawAesKeyringNode({
        ...names,
        unencryptedMasterKey: wrappingKey.slice(),
        wrappingSuite,
        utf8Sorting: true,
      }),
  }
}

let pair: { publicKey: string; privateKey: string } | undefined
const rsaPair = () => {
  pair ??= generateKeyPairSync("rsa", {
    modulusLength: 2048,
    publicKeyEncoding: { type: "spki", format: "pem" },
    privateKeyEncoding: { type: "pkcs8", format: "pem" },
  })
  return pair
}

const rsaKey = (oaepHash: "sha1" | "sha256" | "sha384" | "sha512"): SharedKey => {
  const names = { keyNamespace: NAMESPACE, keyName: `rsa ${oaepHash}` }
  return {
    name: names.keyName,
    ours: () => rawRsaKeyring({ ...names, ...rsaPair(), padding: `oaep-${oaepHash}` }),
    theirs: () => new RawRsaKeyringNode({ ...names, rsaKey: rsaPair(), oaepHash }),
  }
}

export const sharedAesKeys: readonly SharedKey[] = [aesKey(16), aesKey(24), aesKey(32)]
export const sharedRsaKeys: readonly SharedKey[] = (["sha1", "sha256", "sha384", "sha512"] as const).map(rsaKey)

export function ourKeyring([first, ...rest]: readonly SharedKey[]): Keyring {
  if (rest.length === 0) return first!.ours()
  return multiKeyring({ generator: first!.ours(), children: rest.map((key) => key.ours()) })
}

function theirKeyring([first, ...rest]: readonly SharedKey[]): KeyringNode {
  if (rest.length === 0) return first!.theirs()
  return new MultiKeyringNode({ generator: first!.theirs(), children: rest.map((key) => key.theirs()) })
}

export interface OfficialRequest {
  readonly suiteId: number
  readonly keys: readonly SharedKey[]
  readonly encryptionContext: EncryptionContext
  readonly frameLength: number
}

export async function officialEncrypt(plaintext: Uint8Array, request: OfficialRequest): Promise<Uint8Array> {
  const { result } = await clientFor(request.suiteId).encrypt(theirKeyring(request.keys), plaintext, {
    suiteId: request.suiteId as AlgorithmSuiteIdentifier,
    encryptionContext: { ...request.encryptionContext },
    frameLength: request.frameLength,
  })
  return new Uint8Array(result)
}

export async function officialDecrypt(
  message: Uint8Array,
  { keys, suiteId }: Pick<OfficialRequest, "keys" | "suiteId">,
): Promise<{ plaintext: Uint8Array; encryptionContext: EncryptionContext }> {
  const { plaintext, messageHeader } = await clientFor(suiteId).decrypt(theirKeyring(keys), message)
  return { plaintext, encryptionContext: { ...messageHeader.encryptionContext } }
}

export interface FixedKeysRequest {
  readonly suiteId: number
  readonly encryptionContext: EncryptionContext
  readonly frameLength: number
  readonly aes: { readonly namespace: string; readonly name: string; readonly key: Uint8Array }
  readonly rsa: { readonly namespace: string; readonly name: string; readonly pair: KeyPairKeyObjectResult }
}

/** A message under one 256-bit AES key and one RSA key (OAEP with SHA-256). */
export async function officialEncryptWith(plaintext: Uint8Array, request: FixedKeysRequest): Promise<Uint8Array> {
  const { aes, rsa, suiteId, encryptionContext, frameLength } = request
  const publicKey = rsa.pair.publicKey.export({ type: "spki", format: "pem" })
  const keyring = new MultiKeyringNode({
    generator: new RawAesKeyringNode({
      keyNamespace: aes.namespace,
      keyName: aes.name,
      unencryptedMasterKey: aes.key.slice(),
      wrappingSuite: RawAesWrappingSuiteIdentifier.AES256_GCM_IV12_TAG16_NO_PADDING,
      utf8Sorting: true,
    }),
    children: [
      new RawRsaKeyringNode({
        keyNamespace: rsa.namespace,
        keyName: rsa.name,
        rsaKey: { publicKey },
        oaepHash: "sha256",
      }),
    ],
  })
  const { result } = await clientFor(suiteId).encrypt(keyring, plaintext, {
    suiteId: suiteId as AlgorithmSuiteIdentifier,
    encryptionContext: { ...encryptionContext },
    frameLength,
  })
  return new Uint8Array(result)
}
