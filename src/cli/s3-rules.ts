import { mkdir, readFile, rename, writeFile } from "node:fs/promises"
import { homedir } from "node:os"
import { dirname, join } from "node:path"
import type { EncryptionRule } from "../s3/index.ts"
import { ioError, usageError } from "./failures.ts"
import type { S3Place } from "./s3-place.ts"
import { temporaryPath } from "./temporary.ts"

/** What a rule of the file may choose. Customer-provided keys are never stored. */
const CHOICES = ["off", "awsOwnedKey", "awsManagedKey", "kmsKeyId"] as const

/** The file with the default encryption of buckets: the user's, not the bucket's, where a bucket writer could change it. */
export function rulesFile(): string {
  const { ENVELOPE_S3_CONFIG, XDG_CONFIG_HOME } = process.env
  if (ENVELOPE_S3_CONFIG) return ENVELOPE_S3_CONFIG
  const folder = XDG_CONFIG_HOME?.startsWith("/") ? XDG_CONFIG_HOME : join(homedir(), ".config")
  return join(folder, "kms-envelope", "s3.json")
}

/** @throws CliError `usage` for a file that holds no rules, `inputOutput` */
export async function readRules(): Promise<readonly EncryptionRule[]> {
  const file = rulesFile()
  const text = await readFile(file, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return undefined
    throw ioError(`cannot read ${file}`, error)
  })
  if (text === undefined) return []
  try {
    const { version, defaultEncryption } = JSON.parse(text) as { version: unknown; defaultEncryption: unknown }
    if (version === 1 && Array.isArray(defaultEncryption) && defaultEncryption.every(isRule)) return defaultEncryption
  } catch {}
  throw usageError(`${file} holds no default encryption`, "envelope s3 default-encryption set writes it")
}

/** The rule of a new object, by the longest prefix. */
export const ruleOf = (rules: readonly EncryptionRule[], { bucket, key }: S3Place): EncryptionRule | undefined =>
  rules
    .filter((rule) => rule.bucket === bucket && key.startsWith(rule.prefix ?? ""))
    .sort((a, b) => (b.prefix ?? "").length - (a.prefix ?? "").length)[0]

export async function writeRules(rules: readonly EncryptionRule[]): Promise<void> {
  const file = rulesFile()
  try {
    await mkdir(dirname(file), { recursive: true, mode: 0o700 })
    const temporary = temporaryPath(dirname(file))
    await writeFile(temporary, `${JSON.stringify({ version: 1, defaultEncryption: rules }, null, 2)}\n`, {
      mode: 0o600,
    })
    await rename(temporary, file)
  } catch (error) {
    throw ioError(`cannot write ${file}`, error)
  }
}

// --- internal ---

function isRule(rule: unknown): rule is EncryptionRule {
  const { bucket, prefix, encryption } = (rule ?? {}) as Partial<EncryptionRule>
  if (typeof bucket !== "string" || typeof encryption !== "object" || encryption === null) return false
  const names = Object.keys(encryption)
  return (
    (prefix === undefined || typeof prefix === "string") &&
    names.every((name) => name === "bucketKey" || CHOICES.some((choice) => choice === name))
  )
}
