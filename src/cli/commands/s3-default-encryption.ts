import type { EncryptionChoice, EncryptionRule } from "../../s3/index.ts"
import { usageError } from "../failures.ts"
import { print } from "../fd.ts"
import { note } from "../messages.ts"
import { formatS3Place, parseS3Place, type S3Place } from "../s3-place.ts"
import { readRules, rulesFile, writeRules } from "../s3-rules.ts"
import { formatTable, toJson } from "../text.ts"

export interface RuleOptions {
  readonly json?: boolean
  readonly key?: string
  readonly awsOwnedKey?: boolean
  readonly awsManagedKey?: boolean
  readonly off?: boolean
  readonly bucketKey?: boolean
}

export async function defaultEncryptionGetCommand(text: string | undefined, { json }: RuleOptions): Promise<void> {
  const place = text === undefined ? undefined : parseS3Place(text)
  const rules = (await readRules()).filter((rule) => place === undefined || isIn(rule, place))
  if (json) return print(toJson(rules))
  if (rules.length === 0)
    return note(`no default encryption in ${rulesFile()}: --key, ENVELOPE_KEY or alias/default holds`)
  await print(
    formatTable(
      ["OBJECTS", "ENCRYPTION"],
      rules.map((rule) => [formatS3Place(placeOf(rule)), describe(rule)]),
    ),
  )
}

export async function defaultEncryptionSetCommand(text: string, options: RuleOptions): Promise<void> {
  const place = parseS3Place(text)
  const encryption = choice(options)
  const others = (await readRules()).filter((rule) => !isAt(rule, place))
  const rule = { bucket: place.bucket, ...(place.key !== "" && { prefix: place.key }), encryption }
  await writeRules([...others, rule])
  note(`${formatS3Place(place)}…: ${describe(rule)}`)
}

export async function defaultEncryptionClearCommand(text: string): Promise<void> {
  const place = parseS3Place(text)
  const rules = await readRules()
  const others = rules.filter((rule) => !isAt(rule, place))
  if (others.length === rules.length) throw usageError(`there is no default encryption for ${formatS3Place(place)}`)
  await writeRules(others)
}

// --- internal ---

const placeOf = ({ bucket, prefix = "" }: EncryptionRule): S3Place => ({ bucket, key: prefix })
const isAt = (rule: EncryptionRule, { bucket, key }: S3Place): boolean =>
  rule.bucket === bucket && (rule.prefix ?? "") === key
const isIn = ({ bucket, prefix = "" }: EncryptionRule, place: S3Place): boolean =>
  bucket === place.bucket && (prefix.startsWith(place.key) || place.key.startsWith(prefix))

function choice({ key, awsOwnedKey, awsManagedKey, off, bucketKey }: RuleOptions): EncryptionChoice {
  const made: EncryptionChoice[] = [
    ...(key === undefined ? [] : [{ kmsKeyId: key }]),
    ...(awsOwnedKey ? [{ awsOwnedKey: true } as const] : []),
    ...(awsManagedKey ? [{ awsManagedKey: true } as const] : []),
    ...(off ? [{ off: true } as const] : []),
  ]
  const [one, two] = made
  if (one === undefined || two !== undefined) {
    throw usageError("name one encryption", "--key KEY, --aws-owned-key, --aws-managed-key or --off")
  }
  if (off && bucketKey) throw usageError("there is no bucket key without encryption")
  return { ...one, ...(bucketKey && { bucketKey }) }
}

function describe({ encryption }: EncryptionRule): string {
  const { kmsKeyId, awsOwnedKey, awsManagedKey, bucketKey } = encryption
  const key =
    kmsKeyId ??
    (awsOwnedKey
      ? "an AWS owned key of the embedded KMS"
      : awsManagedKey
        ? "the AWS managed key alias/aws/s3 of the embedded KMS"
        : "none: objects are written as they are")
  return bucketKey ? `${key}, with bucket keys` : key
}
