import { print } from "../fd.ts"
import { formatPairs, toJson } from "../text.ts"

/** The comparison as the embedded KMS holds it. */
export async function keyTypesCommand({ json }: { readonly json?: boolean }): Promise<void> {
  const { keyTypes } = await import("../../local-kms/index.ts")
  if (json) return print(toJson(keyTypes))
  const blocks = keyTypes.map(({ type, creator, rotation, deletion, visibleMetadata, scope, cost }) => {
    const pairs = { creator, rotation, deletion, "visible metadata": visibleMetadata, scope, "cost in USD": cost }
    return `${type}\n${formatPairs(Object.entries(pairs).map(([name, value]) => [`  ${name}`, value]))}`
  })
  return print(blocks.join("\n"))
}
