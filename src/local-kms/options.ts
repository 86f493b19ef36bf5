import type { KMSClient, KMSClientConfig } from "@aws-sdk/client-kms"
import type { DirectClient } from "./clients.ts"
import type { Quotas } from "./quotas.ts"

export interface LocalKmsOptions {
  /** Twelve digits; the account of callers that name no principal. Default `111122223333`. */
  readonly accountId?: string
  /** The Region of clients that name none. Default `us-east-1`. */
  readonly region?: string
  /** The time in milliseconds since 1970, for tests of waiting periods. Default `Date.now`. */
  readonly clock?: () => number
  /** How much there may be; AWS's defaults where not given. */
  readonly quotas?: Partial<Quotas>
  /**
   * How long a new grant takes effect only for requests that bring its token, as for some minutes at AWS. Default 0: at
   * once, for every request.
   */
  readonly grantPropagationSeconds?: number
  /**
   * Only users and roles that are registered (`kms.principals`), and account roots, may call, and key policies may name no
   * others, as at AWS. Default false: whoever is not registered calls without identity policies.
   */
  readonly registeredPrincipalsOnly?: boolean
}

export interface InMemoryOptions extends LocalKmsOptions {
  /** How many of the newest audit events are kept. Default 100,000. */
  readonly maxEvents?: number
}

export interface OpenOptions extends LocalKmsOptions {
  /** Derives the root key through scrypt (RFC 7914, N = 2^17, r = 8): a third of a second and 128 MiB for each open. */
  readonly passphrase?: string | Uint8Array
  /**
   * A file of 32 random bytes, made at the first use with mode 0600. Default `root.key` in the store's folder; a place
   * elsewhere means that a copy of the folder alone opens nothing. Whoever loses it loses every key.
   */
  readonly rootKeyFile?: string
}

export interface CallerOptions {
  /** The ARN of an account root, user, role or role session. Default: the root of the KMS's account. */
  readonly principal?: string
  /** Default: the KMS's own. Keys live in a Region; multi-Region keys can be replicated into others. */
  readonly region?: string
}

export interface ClientOptions extends CallerOptions {
  /** Further configuration of the `KMSClient`, such as `maxAttempts` or `logger`. */
  readonly config?: Omit<Partial<KMSClientConfig>, "region" | "requestHandler" | "credentials" | "endpoint" | "signer">
}

export interface ServiceClientOptions extends Omit<ClientOptions, "principal"> {
  /**
   * The ARN of the principal whose request the service carries out. Without it the service acts for itself, in its own
   * account, where its AWS owned key is: `alias/aws/<service>` too, in nobody's list and trail.
   */
  readonly onBehalfOf?: string
  /** The ARN of the resource for which the service asks: `aws:SourceArn`, and the constraint `SourceArn` of grants. */
  readonly sourceArn?: string
}

/** An AWS service as KMS sees it: only through one can AWS managed keys be used. */
export interface ServiceHandle {
  /** For instance `s3`; its AWS managed key is `alias/aws/s3`. */
  readonly name: string
  /** A `KMSClient` of the AWS SDK. @throws TypeError for a principal that is none */
  client(options?: ServiceClientOptions): KMSClient
  /** The same without the AWS SDK. @throws TypeError */
  directClient(options?: Omit<ServiceClientOptions, "config">): DirectClient
}

export const DEFAULT_ACCOUNT = "111122223333"
export const DEFAULT_REGION = "us-east-1"
const DEFAULT_MAX_EVENTS = 100_000
const MAX_PROPAGATION_SECONDS = 86_400

/** @throws RangeError */
export function readMaxEvents({ maxEvents = DEFAULT_MAX_EVENTS }: InMemoryOptions): number {
  if (!Number.isSafeInteger(maxEvents) || maxEvents < 0) throw new RangeError("maxEvents must be a whole number")
  return maxEvents
}

/** @throws RangeError */
export function propagationMs(seconds = 0): number {
  if (!(seconds >= 0 && seconds <= MAX_PROPAGATION_SECONDS))
    throw new RangeError(`grantPropagationSeconds must be 0 to ${MAX_PROPAGATION_SECONDS}`)
  return seconds * 1000
}

/** @throws TypeError */
export function checkPlace(accountId: string, region: string): void {
  if (!/^\d{12}$/.test(accountId)) throw new TypeError("accountId must be twelve digits")
  if (!/^[a-z]{2,}(?:-[a-z]+)+-\d+$/.test(region)) throw new TypeError(`region must be an AWS Region, not '${region}'`)
}
