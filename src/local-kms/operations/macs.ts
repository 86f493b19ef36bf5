import { createHmac, timingSafeEqual } from "node:crypto"
import type { Call } from "../call.ts"
import { dryRunSucceeded, invalidKeyUsage, invalidMac } from "../faults.ts"
import { keySpecs } from "../key-specs.ts"
import type { Key } from "../keys.ts"
import { currentMaterial, withMaterial } from "../materials.ts"
import * as shape from "../shapes.ts"
import { keyOperation, type Operation } from "./operation.ts"

const input = {
  Message: shape.message,
  KeyId: shape.requiredKeyId,
  MacAlgorithm: shape.macAlgorithm,
  GrantTokens: shape.grantTokens,
  DryRun: shape.dryRun,
} as const

/** HMAC (FIPS 198-1) with the hash that the key's spec names. */
function mac(call: Call, key: Key, message: Uint8Array, algorithm: string): Uint8Array {
  const spec = keySpecs[key.keySpec]
  if (!("macAlgorithm" in spec) || spec.macAlgorithm !== algorithm)
    throw invalidKeyUsage(`Algorithm ${algorithm} is incompatible with key spec ${key.keySpec}.`)
  const digest = withMaterial(call.vault, key, currentMaterial(key)!, (bytes) =>
    createHmac(spec.hash, bytes).update(message).digest(),
  )
  return Uint8Array.from(digest)
}

const GenerateMac = keyOperation({
  input,
  readOnly: true,
  allowAlias: true,
  rule: "cryptography",
  usage: "GENERATE_VERIFY_MAC",
  handle({ Message, MacAlgorithm, DryRun }, call, key) {
    const Mac = mac(call, key, Message, MacAlgorithm)
    if (DryRun) throw dryRunSucceeded()
    return { Mac, MacAlgorithm, KeyId: key.arn }
  },
})

const VerifyMac = keyOperation({
  input: { ...input, Mac: { type: "blob", min: 1, max: 6144, required: true } },
  readOnly: true,
  allowAlias: true,
  rule: "cryptography",
  usage: "GENERATE_VERIFY_MAC",
  handle({ Message, MacAlgorithm, Mac, DryRun }, call, key) {
    const expected = mac(call, key, Message, MacAlgorithm)
    if (Mac.length !== expected.length || !timingSafeEqual(Mac, expected)) throw invalidMac()
    if (DryRun) throw dryRunSucceeded()
    return { KeyId: key.arn, MacValid: true, MacAlgorithm }
  },
})

export const macs: Record<string, Operation> = { GenerateMac, VerifyMac }
