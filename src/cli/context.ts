import { usageError } from "./failures.ts"

export interface ContextOptions {
  readonly encryptionContext?: Record<string, string>
  readonly requiredContextKeys?: string[]
}

/**
 * `--context NAME=VALUE` and `--required-context NAME=VALUE` as the library's options.
 *
 * @returns no `encryptionContext` at all when no pair is given
 * @throws CliError `usage` for a pair without `=`, an empty name, or one name with two values
 */
export function contextOptions(stored: readonly string[] = [], required: readonly string[] = []): ContextOptions {
  if (stored.length === 0 && required.length === 0) return {}
  const pairs = new Map<string, string>()
  for (const text of stored) addPair(pairs, text, "--context")
  const requiredContextKeys = required.map((text) => addPair(pairs, text, "--required-context"))
  return {
    encryptionContext: Object.fromEntries(pairs),
    ...(required.length > 0 && { requiredContextKeys: [...new Set(requiredContextKeys)] }),
  }
}

function addPair(pairs: Map<string, string>, text: string, option: string): string {
  const at = text.indexOf("=")
  if (at <= 0) throw usageError(`${option} '${text}' is no pair`, `write ${option} NAME=VALUE`)
  const name = text.slice(0, at)
  const value = text.slice(at + 1)
  if (pairs.has(name)) throw usageError(`the encryption context has '${name}' twice`)
  pairs.set(name, value)
  return name
}
