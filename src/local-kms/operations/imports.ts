import { wipe } from "../../crypto/index.ts"
import type { Call } from "../call.ts"
import { dropImported } from "../due.ts"
import {
  expiredImportToken,
  incorrectKeyMaterial,
  invalidCiphertext,
  invalidImportToken,
  invalidState,
  unsupported,
  validation,
} from "../faults.ts"
import {
  generateWrappingKeyPair,
  modulusLengths,
  openToken,
  sealToken,
  TOKEN_VALID_MS,
  unwrapMaterial,
  type WrappingAlgorithm,
  type WrappingKeyPair,
  wrappingAlgorithms,
} from "../import-token.ts"
import { keySpecs } from "../key-specs.ts"
import { DAY_MS, type Key, type KeyMaterial } from "../keys.ts"
import { currentMaterial, isComplete, pendingMaterial, sealMaterial } from "../materials.ts"
import { Preparation } from "../preparation.ts"
import * as shape from "../shapes.ts"
import { isPrimary } from "./key-metadata.ts"
import { keyOperation, type Operation } from "./operation.ts"

const MAX_VALIDITY_DAYS = 365

function requireImported(key: Key): void {
  if (key.origin !== "EXTERNAL")
    throw unsupported(`${key.arn} origin is ${key.origin} which is not valid for this operation.`)
}

/** As lists show it: new material of a multi-Region key can be rotated to once every copy has it. */
export function materialState(call: Call, key: Key, { id, state }: KeyMaterial): string {
  if (state !== "PENDING_ROTATION" || key.regions === undefined) return state
  const has = (region: string): boolean =>
    call.keys.load({ ...key.scope, region }, key.keyId)?.imported?.[id] !== undefined
  return key.regions.every(has) ? state : "PENDING_MULTI_REGION_IMPORT_AND_ROTATION"
}

const GetParametersForImport = keyOperation({
  input: {
    KeyId: shape.requiredKeyId,
    WrappingAlgorithm: {
      type: "string",
      values: ["RSAES_PKCS1_V1_5", ...(Object.keys(wrappingAlgorithms) as WrappingAlgorithm[]), "SM2PKE"],
      required: true,
    },
    WrappingKeySpec: { type: "string", values: ["RSA_2048", "RSA_3072", "RSA_4096", "SM2"], required: true },
  },
  readOnly: true,
  rule: "manage",
  handle({ WrappingAlgorithm: algorithm, WrappingKeySpec: spec }, call, key) {
    requireImported(key)
    if (algorithm === "RSAES_PKCS1_V1_5" || algorithm === "SM2PKE" || spec === "SM2")
      throw unsupported(`Wrapping with ${algorithm} and ${spec} is not supported.`)
    const pair = call.prepared as WrappingKeyPair | undefined
    if (pair === undefined) throw new Preparation(() => generateWrappingKeyPair(modulusLengths[spec]))
    const validTo = call.now + TOKEN_VALID_MS
    try {
      return {
        KeyId: key.arn,
        ImportToken: sealToken(call.vault, key, validTo, algorithm, pair.privateKey),
        PublicKey: Uint8Array.from(pair.publicKey),
        ParametersValidTo: new Date(validTo),
      }
    } finally {
      wipe(pair.privateKey)
    }
  },
})

const importInput = {
  KeyId: shape.requiredKeyId,
  ImportToken: { type: "blob", min: 1, max: 6144, required: true },
  EncryptedKeyMaterial: { type: "blob", min: 1, max: 6144, required: true },
  ValidTo: { type: "timestamp" },
  ExpirationModel: { type: "string", values: ["KEY_MATERIAL_EXPIRES", "KEY_MATERIAL_DOES_NOT_EXPIRE"] },
  ImportType: { type: "string", values: ["NEW_KEY_MATERIAL", "EXISTING_KEY_MATERIAL"] },
  KeyMaterialDescription: { type: "string", min: 0, max: 256, pattern: /^[a-zA-Z0-9:/_\s.-]*$/ },
  KeyMaterialId: shape.keyMaterialId,
} as const

type ImportInput = shape.InputOf<typeof importInput>

const ImportKeyMaterial = keyOperation({
  input: importInput,
  readOnly: false,
  rule: "manage",
  handle(input, call, key) {
    requireImported(key)
    const validTo = readValidTo(input, call.now)
    const material = unwrap(input, call, key)
    try {
      if (material.length !== keySpecs[key.keySpec].materialLength)
        throw incorrectKeyMaterial(
          `Key material of ${key.keySpec} is ${keySpecs[key.keySpec].materialLength} bytes long.`,
        )
      const { id, sealed } = sealMaterial(call.vault, key, material)
      const importType = input.ImportType ?? (key.materials.length === 0 ? "NEW_KEY_MATERIAL" : "EXISTING_KEY_MATERIAL")
      const entered = importType === "NEW_KEY_MATERIAL" ? addNew(input, call, key, id) : checkExisting(input, key, id)
      const imported = { ...key.imported, [id]: { sealed, ...(validTo === undefined ? {} : { validTo }) } }
      completed(call, call.keys.saveRegional(entered, { imported }))
      call.notes.response = { keyId: key.arn, keyMaterialId: id }
      return { KeyId: key.arn, KeyMaterialId: id }
    } finally {
      wipe(material)
    }
  },
})

/** @returns milliseconds since 1970; `undefined` for material that does not expire */
function readValidTo(
  { ExpirationModel = "KEY_MATERIAL_EXPIRES", ValidTo }: ImportInput,
  now: number,
): number | undefined {
  if (ExpirationModel === "KEY_MATERIAL_DOES_NOT_EXPIRE") {
    if (ValidTo !== undefined)
      throw validation("A validTo date cannot be set if the ExpirationModel is KEY_MATERIAL_DOES_NOT_EXPIRE")
    return undefined
  }
  if (ValidTo === undefined)
    throw validation("A validTo date must be set if the ExpirationModel is KEY_MATERIAL_EXPIRES")
  const validTo = ValidTo.getTime()
  if (validTo <= now) throw validation("The validTo date must be in the future")
  if (validTo > now + MAX_VALIDITY_DAYS * DAY_MS)
    throw validation(`The validTo date must be within ${MAX_VALIDITY_DAYS} days from now`)
  return validTo
}

function unwrap(input: ImportInput, call: Call, key: Key): Uint8Array {
  const token = openToken(call.vault, key, input.ImportToken)
  if (token === undefined) throw invalidImportToken("The import token is not valid for this key.")
  if (token.validTo <= call.now) throw expiredImportToken("The import token has expired.")
  const material = unwrapMaterial(token, input.EncryptedKeyMaterial)
  if (material === undefined) throw invalidCiphertext()
  return material
}

/** The first material is the current one at once; later ones wait for a rotation. */
function addNew(input: ImportInput, call: Call, key: Key, id: string): Key {
  if (input.KeyMaterialId !== undefined)
    throw validation("A KeyMaterialId can only be given together with the ImportType EXISTING_KEY_MATERIAL")
  if (key.regions !== undefined && !isPrimary(key))
    throw unsupported(`${key.arn} is not a multi-region primary key: new key material comes in there first.`)
  const pending = pendingMaterial(key)
  if (pending !== undefined && pending.id !== id)
    throw invalidState(
      `New key material (id: ${id}) cannot be imported into KMS key ${key.keyId}, ` +
        `because another key material (id: ${pending.id}) is pending rotation.`,
    )
  if (pending === undefined && key.materials.some((material) => material.id === id))
    throw incorrectKeyMaterial(`Key material (id: ${id}) is not new to ${key.arn}.`)
  const { KeyMaterialDescription: description } = input
  const material: KeyMaterial = {
    id,
    createdAt: pending?.createdAt ?? call.now,
    state: currentMaterial(key) === undefined ? "CURRENT" : "PENDING_ROTATION",
    ...(description === undefined ? {} : { description }),
  }
  return call.keys.saveShared(key, { materials: [...key.materials.filter((other) => other.id !== id), material] })
}

function checkExisting({ KeyMaterialId }: ImportInput, key: Key, id: string): Key {
  if (!key.materials.some((material) => material.id === id) || (KeyMaterialId !== undefined && KeyMaterialId !== id))
    throw incorrectKeyMaterial(`The key material is not one that was imported into ${key.arn} before.`)
  return key
}

/** With all its material there again, a key that waited for it works. */
function completed(call: Call, key: Key): void {
  if (key.state === "PendingImport" && isComplete(key)) call.keys.saveRegional(key, { state: "Enabled" })
}

const DeleteImportedKeyMaterial = keyOperation({
  input: { KeyId: shape.requiredKeyId, KeyMaterialId: shape.keyMaterialId },
  readOnly: false,
  rule: "read",
  handle({ KeyMaterialId }, call, key) {
    requireImported(key)
    const id = KeyMaterialId ?? currentMaterial(key)?.id
    if (KeyMaterialId !== undefined && !key.materials.some((material) => material.id === KeyMaterialId))
      throw incorrectKeyMaterial(`Key material (id: ${KeyMaterialId}) is not one of ${key.arn}.`)
    const { [id ?? ""]: _deleted, ...imported } = key.imported ?? {}
    dropImported(call.tx, key, imported)
    call.notes.response = { keyId: key.arn, ...(id === undefined ? {} : { keyMaterialId: id }) }
    return { KeyId: key.arn, ...(id === undefined ? {} : { KeyMaterialId: id }) }
  },
})

export const imports: Record<string, Operation> = {
  GetParametersForImport,
  ImportKeyMaterial,
  DeleteImportedKeyMaterial,
}
