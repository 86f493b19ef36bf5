import type { EncryptionContext, Keyring } from "../../src/core/index.ts"
import { multiKeyring, type RawRsaPadding, rawAesKeyring, rawRsaKeyring } from "../../src/keyrings/index.ts"
import { vectorFile, vectorJson } from "./vectors.ts"

/** The published vectors of the Dafny SDKs, as far as raw keys go. */
export interface DafnyVector {
  readonly id: string
  readonly description: string
  readonly kind: "raw-aes" | "raw-rsa" | "multi" | "required-context" | "kms" | "other"
  readonly suiteId: number
  readonly padding: RawRsaPadding | undefined
  readonly requiredKeys: readonly string[]
  readonly reproduced: EncryptionContext
  message(): Uint8Array
  plaintext(): Uint8Array
  keyring(): Keyring
}

interface KeyDescription {
  readonly type: string
  readonly key: string
  readonly "provider-id": string
  readonly "encryption-algorithm": "aes" | "rsa"
  readonly "padding-algorithm"?: "oaep-mgf1" | "pkcs1"
  readonly "padding-hash"?: string
  readonly generator?: KeyDescription
  readonly childKeyrings: readonly KeyDescription[]
  readonly underlying: KeyDescription
  readonly requiredEncryptionContextKeys?: readonly string[]
}

interface Scenario {
  readonly "decryption-scenario": {
    readonly ciphertext: string
    readonly result: string
    readonly algorithmSuiteId: string
    readonly description: string
    readonly decryptKeyDescription: KeyDescription
    readonly "reproduced-encryption-context": EncryptionContext
  }
}

type Keys = Record<string, { readonly material: string; readonly "key-id": string }>

export function dafnyVectors(): DafnyVector[] {
  const { keys } = vectorJson("c-from-dafny/keys.json") as { keys: Keys }
  const { tests } = vectorJson("c-from-dafny/decrypt-manifest.json") as { tests: Record<string, Scenario> }
  const file = (url: string) => new Uint8Array(vectorFile(`c-from-dafny/${url.replace("file://", "")}`))
  return Object.entries(tests).map(([id, { "decryption-scenario": scenario }]) => {
    const key = scenario.decryptKeyDescription
    return {
      id,
      description: scenario.description,
      kind: kindOf(key),
      suiteId: Number.parseInt(scenario.algorithmSuiteId, 16),
      padding: key["encryption-algorithm"] === "rsa" ? paddingOf(key) : undefined,
      requiredKeys: key.requiredEncryptionContextKeys ?? [],
      reproduced: scenario["reproduced-encryption-context"],
      message: () => file(scenario.ciphertext),
      plaintext: () => file(scenario.result),
      keyring: () => keyringOf(key, keys),
    }
  })
}

function kindOf(key: KeyDescription): DafnyVector["kind"] {
  if (key.type === "raw") return key["encryption-algorithm"] === "aes" ? "raw-aes" : "raw-rsa"
  if (key.type === "multi-keyring") return "multi"
  if (key.type === "required-encryption-context-cmm") return "required-context"
  return ["aws-kms", "aws-kms-mrk-aware", "aws-kms-mrk-aware-discovery"].includes(key.type) ? "kms" : "other"
}

const paddingOf = (key: KeyDescription): RawRsaPadding =>
  key["padding-algorithm"] === "pkcs1" ? "pkcs1" : (`oaep-${key["padding-hash"]}` as RawRsaPadding)

function keyringOf(key: KeyDescription, keys: Keys): Keyring {
  if (key.type === "required-encryption-context-cmm") return keyringOf(key.underlying, keys)
  if (key.type === "multi-keyring") {
    const children = key.childKeyrings.map((child) => keyringOf(child, keys))
    return multiKeyring({ ...(key.generator && { generator: keyringOf(key.generator, keys) }), children })
  }
  const { material, "key-id": keyName } = keys[key.key]!
  const names = { keyNamespace: key["provider-id"], keyName }
  return key["encryption-algorithm"] === "aes"
    ? rawAesKeyring({ ...names, wrappingKey: Buffer.from(material, "base64") })
    : rawRsaKeyring({ ...names, privateKey: material, padding: paddingOf(key) })
}
