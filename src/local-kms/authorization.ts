import type { EncryptionContext } from "../core/index.ts"
import type { Key } from "./keys.ts"
import type { Principal } from "./principal.ts"

export interface AuthorizationRequest {
  readonly principal: Principal
  /** For instance `kms:Decrypt`. */
  readonly action: string
  /** The ARN of a key or an alias, or `*` where an action has no resource. */
  readonly resource: string
  readonly resourceAccountId: string
  readonly key?: Key
  readonly encryptionContext?: EncryptionContext
  /**
   * `kms:ViaService`: there while an AWS service acts for the principal. A grant that is then made is one for an AWS
   * resource (`kms:GrantIsForAWSResource`).
   */
  readonly viaService?: string
}

export type AuthorizationDecision = { readonly allowed: true } | { readonly allowed: false; readonly reason: string }

export type Authorize = (request: AuthorizationRequest) => AuthorizationDecision

/**
 * What the default key policy and full identity policies amount to: principals of the account that owns a resource may
 * do everything with it, nobody else anything.
 */
export const authorizeAccount: Authorize = ({ principal, action, resourceAccountId }) =>
  principal.accountId === resourceAccountId
    ? { allowed: true }
    : { allowed: false, reason: `no resource-based policy allows the ${action} action` }
