import { subscribe, unsubscribe } from "node:diagnostics_channel"
import type {
  CacheTrace,
  CommitmentPolicy,
  DecryptionMaterialsRequest,
  EncryptionMaterials,
  Keyring,
  MaterialsRequest,
  WrappedKey,
} from "../../src/core/index.ts"
import { rawAesKeyring } from "../../src/keyrings/index.ts"
import { COMMITTING, CONTEXT } from "./requests.ts"

const POLICY: CommitmentPolicy = "RequireEncryptRequireDecrypt"

export const encryptionRequest = (more: Partial<MaterialsRequest> = {}): MaterialsRequest => ({
  suite: COMMITTING,
  commitmentPolicy: POLICY,
  encryptionContext: CONTEXT,
  plaintextLength: 100,
  ...more,
})

export const decryptionRequest = (
  wrappedKeys: readonly WrappedKey[],
  more: Partial<DecryptionMaterialsRequest> = {},
): DecryptionMaterialsRequest => ({
  suite: COMMITTING,
  commitmentPolicy: POLICY,
  encryptionContext: CONTEXT,
  wrappedKeys,
  ...more,
})

export interface CountingKeyring extends Keyring {
  readonly wraps: { readonly signal: AbortSignal | undefined }[]
  readonly unwraps: { readonly signal: AbortSignal | undefined }[]
  /** Every data key that it gave out, the very arrays. */
  readonly dataKeys: Uint8Array[]
}

/** A raw AES keyring that counts its calls; `gate` is awaited within each. */
export function countingKeyring(gate: () => unknown = () => {}): CountingKeyring {
  const inner = rawAesKeyring({ keyNamespace: "ns", keyName: "inner", wrappingKey: new Uint8Array(32).fill(1) })
  const keyring: CountingKeyring = {
    name: "counting",
    wraps: [],
    unwraps: [],
    dataKeys: [],
    async wrap({ signal, ...request }) {
      keyring.wraps.push({ signal })
      await gate()
      const result = await inner.wrap(request)
      keyring.dataKeys.push(result.dataKey)
      return result
    },
    async unwrap({ signal, ...request }) {
      keyring.unwraps.push({ signal })
      await gate()
      const dataKey = await inner.unwrap(request)
      if (dataKey !== undefined) keyring.dataKeys.push(dataKey)
      return dataKey
    },
  }
  return keyring
}

/** A promise to open from outside. */
export function gate(): { wait: () => Promise<void>; open: () => void } {
  let open = () => {}
  const opened = new Promise<void>((resolve) => {
    open = resolve
  })
  return { wait: () => opened, open }
}

/** What the cache decided while `work` ran. */
export async function decisions(work: () => unknown): Promise<string[]> {
  const seen: string[] = []
  const listener = (message: unknown) => {
    const { side, decision, reason } = message as CacheTrace
    seen.push([side, decision, ...(reason ? [reason] : [])].join(" "))
  }
  subscribe("kms-envelope:cache", listener)
  try {
    await work()
  } finally {
    unsubscribe("kms-envelope:cache", listener)
  }
  return seen
}

/** Encrypts one message, so to say: takes materials and gives them back. */
export async function use(keyring: Keyring, request = encryptionRequest()): Promise<EncryptionMaterials> {
  const materials = await keyring.materials!.encryption(request)
  materials.release()
  return materials
}
