import { wipe } from "../../crypto/index.ts"
import type { Credential } from "../credentials.ts"
import { type Authorization, deriveSigningKey } from "./signature.ts"

/** Signing keys of late, since each one serves a whole day. Closing overwrites them. */
export interface SigningKeys {
  find(credential: Credential, signed: Authorization): Uint8Array
  close(): void
}

const CAPACITY = 256

export function signingKeys(): SigningKeys {
  const keys = new Map<string, Uint8Array>()
  return {
    find(credential, signed) {
      // With the version, a key whose secret was replaced does not go on working.
      const { date, region, service } = signed
      const id = [credential.accessKeyId, credential.version, date, region, service].join("\n")
      const known = keys.get(id)
      keys.delete(id)
      const key = known ?? credential.withSecret((secret) => deriveSigningKey(secret, signed))
      keys.set(id, key)
      if (keys.size > CAPACITY) {
        const [oldest, unused] = keys.entries().next().value!
        wipe(unused)
        keys.delete(oldest)
      }
      return key
    },
    close() {
      wipe(...keys.values())
      keys.clear()
    },
  }
}
