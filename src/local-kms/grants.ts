import type { Key } from "./keys.ts"
import type { GrantFinding, PolicyRequest } from "./policy/index.ts"
import type { StoreReader } from "./store/store.ts"

/**
 * What the grants on a key say about a request: whether each one's grantee, operations and constraint match it.
 * Asked only where policies do not settle the request.
 *
 * @param request the caller, the action (for instance `kms:Decrypt`), and the encryption context; of a CreateGrant the
 * context is its constraint's
 * @param grantTokens as the request brought them
 */
export function grantsFor(
  _reader: StoreReader,
  _key: Key,
  _request: PolicyRequest,
  _grantTokens: readonly string[],
): readonly GrantFinding[] {
  return []
}
