import { EnvelopeError } from "../core/index.ts"

/** The parts of a KMS key or alias ARN. */
export interface KmsArn {
  readonly text: string
  readonly partition: string
  readonly region: string
  readonly accountId: string
  readonly resourceType: "key" | "alias"
  readonly resourceId: string
}

/**
 * Specification: framework/aws-kms/aws-kms-key-arn, "A valid AWS KMS ARN".
 *
 * @returns undefined when the text is no key or alias ARN
 */
export function parseKmsArn(text: string): KmsArn | undefined {
  const parts = text.split(":")
  const [prefix, partition, service, region, accountId, resource] = parts as (string | undefined)[]
  if (parts.length !== 6 || prefix !== "arn" || service !== "kms") return undefined
  if (!partition || !region || !accountId || !resource) return undefined
  const slash = resource.indexOf("/")
  const resourceType = resource.slice(0, Math.max(slash, 0))
  const resourceId = resource.slice(slash + 1)
  if ((resourceType !== "key" && resourceType !== "alias") || resourceId === "") return undefined
  return { text, partition, region, accountId, resourceType, resourceId }
}

/** @returns undefined when the text is no key ARN */
export function parseKeyArn(text: string): KmsArn | undefined {
  const arn = parseKmsArn(text)
  return arn?.resourceType === "key" ? arn : undefined
}

/** @throws EnvelopeError `UnwrapFailed` for anything but a key ARN, as the specification asks of wrapped keys of KMS */
export function requireKeyArn(text: string | undefined): KmsArn {
  const arn = text === undefined ? undefined : parseKeyArn(text)
  if (arn !== undefined) return arn
  throw new EnvelopeError("UnwrapFailed", "the message holds a wrapped key of AWS KMS that names no key ARN")
}

/** How a caller may name a key: by ARN, or (`arn` undefined) by bare key id or alias name. */
export interface KeyIdentifier {
  readonly text: string
  readonly arn: KmsArn | undefined
}

/** @throws TypeError for anything but a key ARN, an alias ARN, a key id or `alias/...` */
export function parseKeyIdentifier(value: unknown, option: string): KeyIdentifier {
  if (typeof value === "string" && value.startsWith("arn:")) {
    const arn = parseKmsArn(value)
    if (arn !== undefined) return { text: value, arn }
  } else if (typeof value === "string" && /^(alias\/[^:]+|[^:/\s]+)$/.test(value)) {
    return { text: value, arn: undefined }
  }
  throw new TypeError(`${option} must be a KMS key ARN, alias ARN, key id or alias name, not ${JSON.stringify(value)}`)
}

/** Specification: framework/aws-kms/aws-kms-key-arn, "AWS KMS multi-Region keys". */
export const isMultiRegion = (arn: KmsArn): boolean => arn.resourceType === "key" && arn.resourceId.startsWith("mrk-")

/**
 * Whether two ARNs name the same multi-Region key, in whatever Region.
 * Specification: framework/aws-kms/aws-kms-mrk-match-for-decrypt.
 */
export const areReplicas = (a: KmsArn, b: KmsArn): boolean =>
  isMultiRegion(a) && a.resourceId === b.resourceId && a.accountId === b.accountId && a.partition === b.partition

/** Whether KMS could resolve an alias or bare key id to the key of this ARN: as far as can be told without asking. */
export function mayResolveTo({ text, arn }: KeyIdentifier, key: KmsArn): boolean {
  if (arn !== undefined) {
    return arn.partition === key.partition && arn.region === key.region && arn.accountId === key.accountId
  }
  return text.startsWith("alias/") || text === key.resourceId
}

/** The ARN of the same multi-Region key in another Region. */
export const inRegion = ({ partition, accountId, resourceId }: KmsArn, region: string): string =>
  `arn:${partition}:kms:${region}:${accountId}:key/${resourceId}`
