import type { Keyring } from "../core/index.ts"
import { checkGrantTokens, unwrapMatching } from "./kms.ts"
import type { KmsTarget } from "./kms-calls.ts"
import { type ClientFinder, clientFinder, type KmsClientSource } from "./kms-client.ts"
import { inRegion, isMultiRegion, type KmsArn } from "./kms-identifiers.ts"

/** Which keys may decrypt: those of these accounts, in this partition. */
export interface KmsDiscoveryFilter {
  /** `aws`, `aws-cn`, `aws-us-gov`, ... */
  readonly partition: string
  /** Account ids of 12 digits, at least one. */
  readonly accountIds: readonly string[]
}

export interface KmsDiscoveryKeyringOptions {
  /**
   * Sends the requests: the AWS SDK's `KMSClient`, or any object with its `send(command)`. Or a function from a Region
   * to the client for it (called once for each); keys of Regions for which it gives `undefined` are left alone.
   */
  readonly client: KmsClientSource
  /** Either this or `allowAnyAccount: true`. */
  readonly filter?: KmsDiscoveryFilter
  /**
   * Decrypts under any key of any account that the credentials may use. Then whoever can write messages can have them
   * read under a key of their own: a message that decrypts says nothing about who encrypted it.
   */
  readonly allowAnyAccount?: true
  /**
   * Reads in this Region only: keys of this Region, and multi-Region keys through their replica here. `client` must be
   * a client of this Region. Absent: each wrapped key is decrypted in the Region its ARN names.
   */
  readonly region?: string
  /** Sent with every request; at most 10 (KMS's limit). */
  readonly grantTokens?: readonly string[]
}

/**
 * Decrypts under whatever KMS key the message names, within a filter; never encrypts (`TypeError`). Specification:
 * framework/aws-kms/aws-kms-discovery-keyring, with `region` aws-kms-mrk-discovery-keyring.
 *
 * Decrypting costs a Decrypt for each wrapped key until one succeeds. KMS's errors are `EnvelopeError`s with code
 * `KmsError`, the AWS error's name and the AWS error as cause.
 *
 * @throws TypeError without a client, or without exactly one of `filter` and `allowAnyAccount: true`
 */
export function kmsDiscoveryKeyring(options: KmsDiscoveryKeyringOptions): Keyring {
  const { filter, region } = options
  checkFilter(options)
  if (region !== undefined && (typeof region !== "string" || region === "")) {
    throw new TypeError("region must be the name of a Region")
  }
  const find = clientFinder(options.client)
  const grantTokens = checkGrantTokens(options.grantTokens)
  const accountIds = filter && [...filter.accountIds]
  const passes = (arn: KmsArn): boolean =>
    filter === undefined || (arn.partition === filter.partition && accountIds!.includes(arn.accountId))
  const name = `kms-discovery${region === undefined ? "" : ` ${region}`}`
  return {
    name,
    wrap() {
      throw new TypeError("a kmsDiscoveryKeyring only decrypts: encrypt with a kmsKeyring, which names the key")
    },
    unwrap: (request) =>
      unwrapMatching(name, request, (arn) => (passes(arn) ? targetOf(arn, region, find, grantTokens) : undefined)),
  }
}

function checkFilter({ filter, allowAnyAccount }: KmsDiscoveryKeyringOptions): void {
  if (filter === undefined) {
    if (allowAnyAccount === true) return
    throw new TypeError("kmsDiscoveryKeyring needs a filter with partition and accountIds, or allowAnyAccount: true")
  }
  if (allowAnyAccount !== undefined) throw new TypeError("give filter or allowAnyAccount, not both")
  const { partition, accountIds } = filter
  if (typeof partition !== "string" || partition === "") throw new TypeError('filter.partition must be a name as "aws"')
  const isAccount = (id: unknown) => typeof id === "string" && id !== ""
  if (!Array.isArray(accountIds) || accountIds.length === 0 || !accountIds.every(isAccount)) {
    throw new TypeError("filter.accountIds must be an array of at least one account id")
  }
}

/** @returns undefined for keys out of reach: of another Region, or of one without a client */
function targetOf(
  arn: KmsArn,
  region: string | undefined,
  find: ClientFinder,
  grantTokens: readonly string[],
): KmsTarget | undefined {
  if (region !== undefined && region !== arn.region && !isMultiRegion(arn)) return undefined
  const client = find(region ?? arn.region)
  return client && { client, keyId: region === undefined ? arn.text : inRegion(arn, region), grantTokens }
}
