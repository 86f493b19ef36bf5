import type { EncryptionContext } from "../../core/index.ts"
import { randomBytes, wipe } from "../../crypto/index.ts"
import type { Call, KeyQuestion } from "../call.ts"
import { blobMaterialId, decryptBlob, encryptBlob } from "../ciphertext.ts"
import {
  ciphertextKeyDenied,
  dryRunSucceeded,
  incorrectKey,
  internalFault,
  invalidCiphertext,
  invalidKeyUsage,
  KmsFault,
  unsupported,
  validation,
} from "../faults.ts"
import { requireState } from "../key-state.ts"
import type { Key } from "../keys.ts"
import { currentMaterial, withMaterial } from "../materials.ts"
import type { ConditionValues } from "../policy/index.ts"
import * as shape from "../shapes.ts"
import { keyOperation, type Operation, operation, requireUsage } from "./operation.ts"

const SYMMETRIC = "SYMMETRIC_DEFAULT"
/** Bytes of UTF-8 JSON. AWS's model states no limit; this is ours. */
const MAX_CONTEXT_BYTES = 8192

interface Options {
  readonly EncryptionContext?: EncryptionContext | undefined
  readonly EncryptionAlgorithm?: string | undefined
  readonly Recipient?: object | undefined
}

/** What AWS allows in the model and this KMS does not do, or not yet, and the limits it sets itself. */
function checkOptions(options: Options): EncryptionContext {
  if (options.Recipient !== undefined) throw unsupported("Recipient (attested enclaves) is not supported.")
  const context = options.EncryptionContext ?? {}
  if (Buffer.byteLength(JSON.stringify(context)) > MAX_CONTEXT_BYTES)
    throw validation(`The encryption context is larger than ${MAX_CONTEXT_BYTES} bytes.`)
  return context
}

function checkAlgorithm(key: Key, algorithm: string | undefined): void {
  if (algorithm !== undefined && algorithm !== SYMMETRIC)
    throw invalidKeyUsage(`Algorithm ${algorithm} is incompatible with key spec ${key.keySpec}.`)
}

interface Encrypted {
  readonly blob: Uint8Array
  readonly materialId: string
}

function encryptUnder(call: Call, key: Key, plaintext: Uint8Array, context: EncryptionContext): Encrypted {
  const material = currentMaterial(key)
  if (material === undefined) throw internalFault(`${key.arn} has no key material.`)
  const blob = withMaterial(call.vault, key, material, (bytes) => encryptBlob(bytes, material.id, plaintext, context))
  return { blob, materialId: material.id }
}

const dataKeyInput = {
  KeyId: shape.requiredKeyId,
  EncryptionContext: shape.encryptionContext,
  NumberOfBytes: { type: "integer", min: 1, max: 1024 },
  KeySpec: { type: "string", values: ["AES_256", "AES_128"] },
  GrantTokens: shape.grantTokens,
  DryRun: shape.dryRun,
} as const

type DataKeyInput = shape.InputOf<typeof dataKeyInput> & Pick<Options, "Recipient">

/** @returns the data key, owned by the caller, and its encrypted copy */
function newDataKey(input: DataKeyInput, call: Call, key: Key): Encrypted & { readonly dataKey: Uint8Array } {
  const { KeySpec, NumberOfBytes } = input
  if ((KeySpec === undefined) === (NumberOfBytes === undefined))
    throw validation("Please specify either number of bytes or key spec.")
  const context = checkOptions(input)
  const dataKey = randomBytes(NumberOfBytes ?? (KeySpec === "AES_128" ? 16 : 32))
  try {
    const encrypted = encryptUnder(call, key, dataKey, context)
    if (input.DryRun) throw dryRunSucceeded()
    call.notes.additional = { keyMaterialId: encrypted.materialId }
    return { ...encrypted, dataKey }
  } catch (error) {
    wipe(dataKey)
    throw error
  }
}

const GenerateDataKey = keyOperation({
  input: { ...dataKeyInput, Recipient: shape.recipient },
  readOnly: true,
  allowAlias: true,
  rule: "cryptography",
  usage: "ENCRYPT_DECRYPT",
  handle(input, call, key) {
    const { dataKey, blob, materialId } = newDataKey(input, call, key)
    return { CiphertextBlob: blob, Plaintext: dataKey, KeyId: key.arn, KeyMaterialId: materialId }
  },
})

const GenerateDataKeyWithoutPlaintext = keyOperation({
  input: dataKeyInput,
  readOnly: true,
  allowAlias: true,
  rule: "cryptography",
  usage: "ENCRYPT_DECRYPT",
  handle(input, call, key) {
    const { dataKey, blob, materialId } = newDataKey(input, call, key)
    wipe(dataKey)
    return { CiphertextBlob: blob, KeyId: key.arn, KeyMaterialId: materialId }
  },
})

const Encrypt = keyOperation({
  input: {
    KeyId: shape.requiredKeyId,
    Plaintext: { ...shape.plaintext, required: true },
    EncryptionContext: shape.encryptionContext,
    GrantTokens: shape.grantTokens,
    EncryptionAlgorithm: shape.encryptionAlgorithm,
    DryRun: shape.dryRun,
  },
  readOnly: true,
  allowAlias: true,
  rule: "cryptography",
  usage: "ENCRYPT_DECRYPT",
  handle(input, call, key) {
    const context = checkOptions(input)
    checkAlgorithm(key, input.EncryptionAlgorithm)
    const { blob, materialId } = encryptUnder(call, key, input.Plaintext, context)
    if (input.DryRun) throw dryRunSucceeded()
    call.notes.additional = { keyMaterialId: materialId }
    return { CiphertextBlob: blob, KeyId: key.arn, EncryptionAlgorithm: SYMMETRIC }
  },
})

interface CiphertextRequest {
  readonly blob: Uint8Array | undefined
  readonly keyId: string | undefined
  readonly context: EncryptionContext
  readonly algorithm: string | undefined
  readonly action: string
  readonly conditions?: ConditionValues
  /** DryRun with IGNORE_CIPHERTEXT: the checks of the key alone. */
  readonly ignoreCiphertext: boolean
}

interface Decrypted {
  readonly key: Key
  readonly plaintext: Uint8Array
  readonly materialId: string
}

/**
 * The order of the checks decides what a caller learns: the blob's form, then whether a key named by the caller is the
 * one it is under, then permission, then the key's state, and only then whether it is authentic.
 *
 * @returns the plaintext, owned by the caller
 */
function decryptUnder(call: Call, request: CiphertextRequest): Decrypted {
  const { blob, keyId, action } = request
  const question: KeyQuestion = {
    encryptionContext: request.context,
    reference: keyId,
    parameters: { encryptionAlgorithm: request.algorithm },
    conditions: request.conditions,
  }
  if (request.ignoreCiphertext) {
    if (keyId === undefined) throw validation("A key must be named when the ciphertext is ignored.")
    const key = call.useKey(keyId, { action, allowAlias: true, rule: "cryptography", ...question })
    requireUsage(key, "ENCRYPT_DECRYPT", call.operation)
    checkAlgorithm(key, request.algorithm)
    throw dryRunSucceeded()
  }
  if (blob === undefined) throw validation("A ciphertext blob is required.")
  const materialId = blobMaterialId(blob)
  if (materialId === undefined) throw invalidCiphertext()
  const key = keyId === undefined ? keyOfMaterial(call, materialId, action, question) : call.findKey(keyId, true)
  const material = key.materials.find(({ id }) => id === materialId)
  if (material === undefined) throw incorrectKey()
  if (keyId !== undefined) call.authorizeKey(key, action, question)
  requireState(key, "cryptography")
  checkAlgorithm(key, request.algorithm)
  const plaintext = withMaterial(call.vault, key, material, (bytes) => decryptBlob(bytes, blob, request.context))
  if (plaintext === undefined) throw invalidCiphertext()
  return { key, plaintext, materialId }
}

/** Finds and authorises: a key that does not exist and one the caller may not use get the same answer. */
function keyOfMaterial(call: Call, materialId: string, action: string, question: KeyQuestion): Key {
  const owner = call.keys.owner(materialId)
  const key = owner && call.loadKey({ ...call.scope, accountId: owner.accountId }, owner.keyId)
  if (key === undefined) throw ciphertextKeyDenied()
  try {
    call.authorizeKey(key, action, question)
  } catch (error) {
    if (error instanceof KmsFault) throw ciphertextKeyDenied()
    throw error
  }
  return key
}

const ignoresCiphertext = (input: {
  readonly DryRun?: boolean | undefined
  readonly DryRunModifiers?: readonly string[] | undefined
}): boolean => {
  if (input.DryRunModifiers === undefined || input.DryRunModifiers.length === 0) return false
  if (!input.DryRun) throw validation("DryRunModifiers can only be used together with DryRun.")
  return true
}

const Decrypt = operation({
  input: {
    CiphertextBlob: shape.ciphertextBlob,
    EncryptionContext: shape.encryptionContext,
    GrantTokens: shape.grantTokens,
    KeyId: shape.keyId,
    EncryptionAlgorithm: shape.encryptionAlgorithm,
    Recipient: shape.recipient,
    DryRun: shape.dryRun,
    DryRunModifiers: shape.dryRunModifiers,
  },
  readOnly: true,
  handle(input, call) {
    const context = checkOptions(input)
    const { key, plaintext, materialId } = decryptUnder(call, {
      blob: input.CiphertextBlob,
      keyId: input.KeyId,
      context,
      algorithm: input.EncryptionAlgorithm,
      action: "kms:Decrypt",
      ignoreCiphertext: ignoresCiphertext(input),
    })
    if (input.DryRun) {
      wipe(plaintext)
      throw dryRunSucceeded()
    }
    call.notes.additional = { keyMaterialId: materialId }
    return { KeyId: key.arn, Plaintext: plaintext, EncryptionAlgorithm: SYMMETRIC, KeyMaterialId: materialId }
  },
})

/** Whether a ReEncrypt begins under the key it is to end under, which policies ask on both sides. */
function isOnSameKey(
  call: Call,
  destination: Key,
  {
    CiphertextBlob,
    SourceKeyId,
  }: { readonly CiphertextBlob?: Uint8Array | undefined; readonly SourceKeyId?: string | undefined },
): boolean {
  const materialId = CiphertextBlob === undefined ? undefined : blobMaterialId(CiphertextBlob)
  if (materialId !== undefined) return destination.materials.some(({ id }) => id === materialId)
  return SourceKeyId !== undefined && call.findKey(SourceKeyId, true).arn === destination.arn
}

const ReEncrypt = operation({
  input: {
    CiphertextBlob: shape.ciphertextBlob,
    SourceEncryptionContext: shape.encryptionContext,
    SourceKeyId: shape.keyId,
    DestinationKeyId: shape.requiredKeyId,
    DestinationEncryptionContext: shape.encryptionContext,
    SourceEncryptionAlgorithm: shape.encryptionAlgorithm,
    DestinationEncryptionAlgorithm: shape.encryptionAlgorithm,
    GrantTokens: shape.grantTokens,
    DryRun: shape.dryRun,
    DryRunModifiers: shape.dryRunModifiers,
  },
  readOnly: true,
  handle(input, call) {
    const sourceContext = checkOptions({ EncryptionContext: input.SourceEncryptionContext })
    const context = checkOptions({ EncryptionContext: input.DestinationEncryptionContext })
    const onSameKey = (key: Key): ConditionValues => ({
      "kms:ReEncryptOnSameKey": String(isOnSameKey(call, key, input)),
    })
    const destination = call.useKey(input.DestinationKeyId, {
      action: "kms:ReEncryptTo",
      allowAlias: true,
      rule: "cryptography",
      encryptionContext: context,
      parameters: { encryptionAlgorithm: input.DestinationEncryptionAlgorithm },
      conditions: onSameKey,
    })
    requireUsage(destination, "ENCRYPT_DECRYPT", call.operation)
    checkAlgorithm(destination, input.DestinationEncryptionAlgorithm)
    const source = decryptUnder(call, {
      blob: input.CiphertextBlob,
      keyId: input.SourceKeyId,
      context: sourceContext,
      algorithm: input.SourceEncryptionAlgorithm,
      action: "kms:ReEncryptFrom",
      conditions: onSameKey(destination),
      ignoreCiphertext: ignoresCiphertext(input),
    })
    try {
      const { blob, materialId } = encryptUnder(call, destination, source.plaintext, context)
      if (input.DryRun) throw dryRunSucceeded()
      const ids = { SourceKeyMaterialId: source.materialId, DestinationKeyMaterialId: materialId }
      call.notes.additional = {
        sourceKeyMaterialId: source.materialId,
        destinationKeyMaterialId: materialId,
      }
      return {
        CiphertextBlob: blob,
        SourceKeyId: source.key.arn,
        KeyId: destination.arn,
        SourceEncryptionAlgorithm: SYMMETRIC,
        DestinationEncryptionAlgorithm: SYMMETRIC,
        ...ids,
      }
    } finally {
      wipe(source.plaintext)
    }
  },
})

const GenerateRandom = operation({
  input: {
    NumberOfBytes: { type: "integer", min: 1, max: 1024 },
    CustomKeyStoreId: { type: "string", min: 1, max: 64 },
    Recipient: shape.recipient,
  },
  readOnly: true,
  handle(input, call) {
    if (input.NumberOfBytes === undefined) throw validation("NumberOfBytes is required.")
    if (input.CustomKeyStoreId !== undefined) throw unsupported("Custom key stores are not supported.")
    checkOptions({ Recipient: input.Recipient })
    call.authorize("kms:GenerateRandom")
    return { Plaintext: randomBytes(input.NumberOfBytes) }
  },
})

export const cryptography: Record<string, Operation> = {
  GenerateDataKey,
  GenerateDataKeyWithoutPlaintext,
  Encrypt,
  Decrypt,
  ReEncrypt,
  GenerateRandom,
}
