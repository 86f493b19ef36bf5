import { webcrypto } from "node:crypto"
import { tampered } from "../core/index.ts"
import { TAG_LENGTH } from "./suites.ts"

/** AES-GCM on libuv's thread pool, several calls at a time. Each call costs more than a synchronous one, and no time here. */
export interface AsyncAead {
  /** @returns ciphertext and tag in one piece of memory */
  seal(iv: Uint8Array, aad: Uint8Array, plaintext: Uint8Array): Promise<Uint8Array>
  /** @param sealed ciphertext and tag. @throws EnvelopeError `TamperedMessage` */
  open(iv: Uint8Array, aad: Uint8Array, sealed: Uint8Array): Promise<Uint8Array>
}

/** @param key copied into OpenSSL; the caller overwrites its own */
export async function asyncAead(key: Uint8Array): Promise<AsyncAead> {
  const { subtle } = webcrypto
  const imported = await subtle.importKey("raw", key, "AES-GCM", false, ["encrypt", "decrypt"])
  const parameters = (iv: Uint8Array, additionalData: Uint8Array) => ({
    name: "AES-GCM",
    iv,
    additionalData,
    tagLength: TAG_LENGTH * 8,
  })
  return {
    seal: async (iv, aad, plaintext) => new Uint8Array(await subtle.encrypt(parameters(iv, aad), imported, plaintext)),
    async open(iv, aad, sealed) {
      try {
        return new Uint8Array(await subtle.decrypt(parameters(iv, aad), imported, sealed))
      } catch {
        throw tampered()
      }
    },
  }
}
