import { createHash } from "node:crypto"
import { randomBytes } from "../../crypto/index.ts"
import type { Key } from "../keys.ts"
import type { StoreReader, StoreTransaction } from "../store/store.ts"
import { type Grant, type GrantPlace, tokenPrefix } from "./records.ts"

const ID_BYTES = 32
const SECRET_BYTES = 32

/** GRT-3.1: the grant's id and 32 random bytes, of which the store keeps the hash. */
export function issueToken(tx: StoreTransaction, { scope, keyId }: Key, { grantId }: Grant): string {
  const secret = randomBytes(SECRET_BYTES)
  const place: GrantPlace = { accountId: scope.accountId, region: scope.region, keyId }
  tx.put(tokenPath(grantId, secret), place)
  return Buffer.concat([Buffer.from(grantId, "hex"), secret]).toString("base64")
}

/** Which grant a token is of; `undefined` for a token that is none, or whose grant is gone. */
export function findToken(reader: StoreReader, token: string): (GrantPlace & { readonly grantId: string }) | undefined {
  const bytes = Buffer.from(token, "base64")
  if (bytes.length !== ID_BYTES + SECRET_BYTES || bytes.toString("base64") !== token) return undefined
  const grantId = bytes.toString("hex", 0, ID_BYTES)
  const place = reader.get<GrantPlace>(tokenPath(grantId, bytes.subarray(ID_BYTES)))
  return place && { ...place, grantId }
}

const tokenPath = (grantId: string, secret: Uint8Array): string =>
  tokenPrefix(grantId) + createHash("sha256").update(secret).digest("hex")
