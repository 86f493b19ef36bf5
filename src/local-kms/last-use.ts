import type { Call } from "./call.ts"
import type { LastUse } from "./keys.ts"

/** The operations GetKeyLastUsage tells of. */
const tracked: ReadonlySet<string> = new Set([
  "Decrypt",
  "Encrypt",
  "GenerateDataKey",
  "GenerateDataKeyWithoutPlaintext",
  "GenerateMac",
  "ReEncrypt",
  "VerifyMac",
])

export const isTrackedUse = (operation: string): boolean => tracked.has(operation)

/** Remembers a request as the last use of each of its keys. */
export function noteUse({ keys, notes, scope }: Call, use: LastUse): void {
  for (const { type, ARN, accountId } of notes.resources) {
    if (type !== "AWS::KMS::Key") continue
    keys.noteUse({ ...scope, accountId }, ARN.slice(ARN.indexOf("/") + 1), use)
  }
}
