import type { EncryptionContext } from "../core/index.ts"
import type { MessageWrappedKey } from "../message/index.ts"
import { wrappedBy } from "./provenance.ts"
import { printable } from "./text.ts"

const wrapper = { aws: "AWS KMS", local: "embedded KMS", raw: "raw key, no KMS" } as const

/** An encryption context as people read it, a pair a line. */
export function contextText(context: EncryptionContext): string {
  const pairs = Object.entries(context).map(([name, value]) => `  ${printable(name)} = ${printable(value)}\n`)
  return `encryption context${pairs.length === 0 ? "  none" : ""}\n${pairs.join("")}`
}

/** Who wrapped the data key, a wrapped key a line. */
export function wrappedKeysText(wrappedKeys: readonly MessageWrappedKey[]): string {
  const keys = wrappedKeys.map((key) => `  ${printable(key.keyArn ?? key.providerId)}  (${wrapper[wrappedBy(key)]})\n`)
  return `wrapped keys, any of which decrypts\n${keys.join("")}`
}
