import type { EncryptionContext, Keyring } from "kms-envelope"

export interface VaultKeyringOptions {
  /** For instance `https://vault.example.com:8200`. */
  readonly address: string
  /** A token whose policy allows `update` on `transit/encrypt/<key>` and `transit/decrypt/<key>`. */
  readonly token: string
  /** A transit key of type `aes256-gcm96`. */
  readonly keyName: string
}

/** Wraps data keys with a key of HashiCorp Vault's transit engine, bound to the encryption context. */
export function vaultKeyring({ address, token, keyName }: VaultKeyringOptions): Keyring {
  const providerId = "vault-transit"
  const name = `${providerId} ${keyName}`

  async function call(operation: string, input: object, signal: AbortSignal | undefined): Promise<Answer> {
    const url = `${address}/v1/transit/${operation}/${encodeURIComponent(keyName)}`
    const headers = { "X-Vault-Token": token }
    const response = await fetch(url, { method: "POST", headers, body: JSON.stringify(input), signal: signal ?? null })
    if (!response.ok) throw new Error(`${name}: ${operation} failed with HTTP status ${response.status}`)
    return ((await response.json()) as { data: Answer }).data
  }

  return {
    name,
    async wrap({ suite, encryptionContext, dataKey: given, signal }) {
      const dataKey = given ?? generate(suite.dataKeyLength)
      const input = { plaintext: toBase64(dataKey), associated_data: serialize(encryptionContext) }
      const { ciphertext } = await call("encrypt", input, signal).catch((error) => {
        if (given === undefined) dataKey.fill(0)
        throw error
      })
      return { dataKey, wrappedKeys: [{ providerId, providerInfo: encode(keyName), ciphertext: encode(ciphertext) }] }
    },
    async unwrap({ encryptionContext, wrappedKeys, signal }) {
      const mine = wrappedKeys.filter((key) => key.providerId === providerId && decode(key.providerInfo) === keyName)
      const failures: unknown[] = []
      for (const { ciphertext } of mine) {
        const input = { ciphertext: decode(ciphertext), associated_data: serialize(encryptionContext) }
        const answer = await call("decrypt", input, signal).catch((error) => void failures.push(error))
        if (answer) return fromBase64(answer.plaintext)
      }
      if (failures.length > 0) throw failures[0]
      return undefined
    },
  }
}

type Answer = Record<"plaintext" | "ciphertext", string>

const encode = (text: string) => new TextEncoder().encode(text)
const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes)
const generate = (length: number) => crypto.getRandomValues(new Uint8Array(length))
// Neither puts the key into Node's shared buffer pool, as Buffer.from(key) would.
const toBase64 = (bytes: Uint8Array) => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("base64")
const fromBase64 = (text: string) => Uint8Array.from(atob(text), (character) => character.charCodeAt(0))
const serialize = (context: EncryptionContext) =>
  toBase64(encode(JSON.stringify(Object.entries(context).sort(([a], [b]) => (a < b ? -1 : 1)))))
