import { randomUUID } from "node:crypto"
import { invalidArn, notFound } from "./faults.ts"

/** Which account, Region and partition a bare id or alias belongs to. */
export interface Scope {
  readonly partition: string
  readonly region: string
  readonly accountId: string
}

export type KeyReference =
  | { readonly kind: "key"; readonly accountId: string; readonly keyId: string }
  | { readonly kind: "alias"; readonly accountId: string; readonly aliasName: string }

const KEY_ID = /^(?:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|mrk-[0-9a-f]{32})$/
const ARN = /^arn:([^:]*):kms:([^:]*):(\d{12}):(key|alias)\/(.+)$/

export const newKeyId = (multiRegion: boolean): string =>
  multiRegion ? `mrk-${randomUUID().replaceAll("-", "")}` : randomUUID()

export const keyArn = ({ partition, region, accountId }: Scope, keyId: string): string =>
  `arn:${partition}:kms:${region}:${accountId}:key/${keyId}`

/** @param aliasName with its prefix `alias/` */
export const aliasArn = ({ partition, region, accountId }: Scope, aliasName: string): string =>
  `arn:${partition}:kms:${region}:${accountId}:${aliasName}`

/**
 * Reads a KeyId: key id or key ARN, and for operations that use a key rather than manage it also alias name or ARN.
 *
 * @throws KmsFault `NotFoundException` for another Region or no key id at all, `InvalidArnException` for a broken ARN
 */
export function parseKeyReference(text: string, scope: Scope, allowAlias: boolean): KeyReference {
  if (text.startsWith("arn:")) return parseArn(text, scope, allowAlias)
  if (allowAlias && text.startsWith("alias/")) return { kind: "alias", accountId: scope.accountId, aliasName: text }
  if (!KEY_ID.test(text)) throw notFound(`Invalid keyId '${text}'`)
  return { kind: "key", accountId: scope.accountId, keyId: text }
}

function parseArn(text: string, scope: Scope, allowAlias: boolean): KeyReference {
  const [, partition, region, accountId, kind, name] = ARN.exec(text) ?? []
  if (partition !== scope.partition || accountId === undefined || name === undefined) throw invalidArn(text)
  if (region !== scope.region) throw notFound(`Invalid arn ${region}`)
  if (kind === "alias") {
    if (!allowAlias) throw invalidArn(text)
    return { kind, accountId, aliasName: `alias/${name}` }
  }
  if (!KEY_ID.test(name)) throw notFound(`Invalid keyId '${name}'`)
  return { kind: "key", accountId, keyId: name }
}
