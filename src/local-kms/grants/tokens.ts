import { utf8 } from "../../core/index.ts"
import { invalidGrantToken } from "../faults.ts"
import type { Key } from "../keys.ts"
import type { StoreReader } from "../store/store.ts"
import type { Vault } from "../vault.ts"
import { type Grant, type GrantPlace, getGrant } from "./records.ts"

/** Where a token's grant is. */
interface TokenPlace extends GrantPlace {
  readonly grantId: string
}

const PURPOSE = "grant-token"

/** GRT-3.1: nothing is kept of it, and no two are the same, since sealing takes a random IV. */
export function issueToken(vault: Vault, { scope, keyId }: Key, { grantId }: Grant): string {
  const place: TokenPlace = { accountId: scope.accountId, region: scope.region, keyId, grantId }
  // Base64 as at AWS: a text that begins with a hyphen would be an option to command lines.
  return Buffer.from(vault.seal(PURPOSE, utf8(JSON.stringify(place))), "base64url").toString("base64")
}

/** @throws KmsFault `InvalidGrantTokenException` for a token that is none, or whose grant is gone */
export function readToken(reader: StoreReader, vault: Vault, partition: string, token: string): TokenPlace {
  // One token has one text: what base64 decoding would skip is not part of any.
  const bytes = Buffer.from(token, "base64")
  const opened = bytes.toString("base64") === token ? vault.open(PURPOSE, bytes.toString("base64url")) : undefined
  if (opened === undefined) throw invalidGrantToken()
  const place = JSON.parse(Buffer.from(opened.buffer, opened.byteOffset, opened.length).toString()) as TokenPlace
  const { accountId, region, keyId, grantId } = place
  if (getGrant(reader, { scope: { partition, region, accountId }, keyId }, grantId) === undefined)
    throw invalidGrantToken()
  return place
}

/** GRT-3.3: the ids of the grants that tokens are of. @throws KmsFault `InvalidGrantTokenException` */
export const grantsOfTokens = (
  reader: StoreReader,
  vault: Vault,
  partition: string,
  tokens: readonly string[],
): ReadonlySet<string> => new Set(tokens.map((token) => readToken(reader, vault, partition, token).grantId))
