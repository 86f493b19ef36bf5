import { constants, createCipheriv, createPublicKey, publicEncrypt, randomBytes } from "node:crypto"
import type { Send } from "./helpers.ts"

interface Parameters {
  readonly PublicKey: Uint8Array
  readonly ImportToken: Uint8Array
}

/** Wraps material as the developer guide shows with OpenSSL. */
export function wrap(material: Uint8Array, { PublicKey }: Parameters, algorithm: string): Uint8Array {
  const key = createPublicKey({ key: Buffer.from(PublicKey), format: "der", type: "spki" })
  const oaepHash = algorithm.endsWith("SHA_1") ? "sha1" : "sha256"
  const oaep = (secret: Uint8Array): Buffer =>
    publicEncrypt({ key, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash }, secret)
  if (!algorithm.startsWith("RSA_AES")) return oaep(material)
  const aesKey = randomBytes(32)
  const cipher = createCipheriv("id-aes256-wrap-pad", aesKey, Buffer.from("A65959A6", "hex"))
  return Buffer.concat([oaep(aesKey), cipher.update(material), cipher.final()])
}

export const WRAPPING = { WrappingAlgorithm: "RSAES_OAEP_SHA_256", WrappingKeySpec: "RSA_2048" }
export const FOREVER = { ExpirationModel: "KEY_MATERIAL_DOES_NOT_EXPIRE" }

/** A day long the same parameters do, and key pairs take their time. */
const parametersOf = new Map<string, Parameters & { readonly ParametersValidTo: Date }>()

export async function importInto(
  send: Send,
  KeyId: string,
  material: Uint8Array,
  input: object = FOREVER,
): Promise<{ readonly KeyId: string; readonly KeyMaterialId: string }> {
  const { KeyMetadata } = await send("DescribeKey", { KeyId })
  const { Arn } = KeyMetadata
  const parameters = parametersOf.get(Arn) ?? (await send("GetParametersForImport", { KeyId, ...WRAPPING }))
  parametersOf.set(Arn, parameters)
  const EncryptedKeyMaterial = wrap(material, parameters, WRAPPING.WrappingAlgorithm)
  const request = { KeyId, ImportToken: parameters.ImportToken, EncryptedKeyMaterial, ...input }
  return send("ImportKeyMaterial", request).catch((error: Error) => {
    if (error.name !== "ExpiredImportTokenException") throw error
    parametersOf.delete(Arn)
    return importInto(send, KeyId, material, input)
  })
}
