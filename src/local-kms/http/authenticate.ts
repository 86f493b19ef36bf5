import { type Credential, findCredential } from "../credentials.ts"
import { KmsFault, unrecognizedClient } from "../faults.ts"
import { type CallerSession, type Principal, parsePrincipal } from "../principal.ts"
import type { AwsService } from "../services.ts"
import type { Store } from "../store/store.ts"
import type { Vault } from "../vault.ts"
import {
  type Authorization,
  checkBodyHash,
  checkScope,
  headerValue,
  isSignedBy,
  mismatch,
  readAuthorization,
  type SignedRequest,
} from "./signature.ts"
import type { SigningKeys } from "./signing-keys.ts"

/** Whose request it is, and where it is addressed to. */
export interface Identity {
  readonly principal: Principal
  readonly region: string
  readonly service?: AwsService
  readonly session?: CallerSession
}

export interface AuthenticateOptions {
  readonly store: Store
  readonly vault: Vault
  readonly keys: SigningKeys
  readonly clock: () => number
  /** Whoever comes without a valid signature is this account's root. */
  readonly openAccount?: string | undefined
  readonly partition: string
  /** Of requests without a signature. */
  readonly region: string
}

/**
 * HTTP-1.6: whose request this is.
 *
 * @param service whose request it is signed as: `kms` or `sts`
 * @throws KmsFault with AWS's name for what is wrong
 */
export function authenticate(request: SignedRequest, service: string, options: AuthenticateOptions): Identity {
  if (options.openAccount !== undefined) return openIdentity(request, options.openAccount, options)
  const signed = readAuthorization(request)
  if (signed === undefined) throw new KmsFault("MissingAuthenticationTokenException", "Missing Authentication Token")
  const now = options.clock()
  const credential = knownCredential(request, signed, options, now)
  checkScope(request, signed, service, now)
  checkBodyHash(request)
  if (!isSignedBy(options.keys.find(credential, signed), request, signed)) throw mismatch()
  const { principal, accessKeyId, issuedAt } = credential
  return {
    principal,
    region: signed.region,
    session: { accessKeyId, ...(issuedAt === undefined ? {} : { issuedAt }) },
    // HTTP-1.7: what the operator registered, nothing that the request says.
    ...(credential.service === undefined ? {} : { service: credential.service }),
  }
}

function knownCredential(
  request: SignedRequest,
  { accessKeyId }: Authorization,
  { store, vault }: AuthenticateOptions,
  now: number,
): Credential {
  const token = headerValue(request, "x-amz-security-token")
  const found = store.read((reader) => findCredential(reader, vault, accessKeyId, token, now))
  if (found === "expired")
    throw new KmsFault("ExpiredTokenException", "The security token included in the request is expired")
  if (found === "unknown") throw unrecognizedClient()
  return found
}

/**
 * HTTP-1.8: in open mode credentials count for nothing, so that whoever reaches the port is the account's root. Where a
 * scope stands in the request, it says which Region is meant.
 */
function openIdentity(request: SignedRequest, accountId: string, { partition, region }: AuthenticateOptions): Identity {
  const [, scopeRegion] =
    /Credential=[^/]*\/\d{8}\/([a-z0-9-]+)\//.exec(headerValue(request, "authorization") ?? "") ?? []
  const principal = parsePrincipal(`arn:${partition}:iam::${accountId}:root`)
  return { principal, region: scopeRegion !== undefined && /-\d+$/.test(scopeRegion) ? scopeRegion : region }
}
