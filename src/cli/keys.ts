import type { Keyring } from "../core/index.ts"
import { kmsDiscoveryKeyring, kmsKeyring } from "../keyrings/index.ts"
import type { Inspected } from "../message/index.ts"
import { CliError, orUsageError, usageError } from "./failures.ts"
import type { Kms } from "./kms.ts"
import { mayBeOf } from "./provenance.ts"

const KEY = /^(?:arn:[^:]+:kms:|alias\/|mrk-[0-9a-f]{32}$|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$)/
const DEFAULT_ALIAS = "alias/default"
const KEY_ARN = /^arn:[^:]+:kms:[^:]+:([^:]+):key\/.+$/

/** The keyring that wraps: the keys given, else `ENVELOPE_KEY`, else, on the embedded KMS, `alias/default`. */
export async function encryptionKeyring(kms: Kms, keys: readonly string[] | undefined): Promise<Keyring> {
  const [generatorKeyId, ...keyIds] = keys?.map((key) => checkKey(kms, key)) ?? (await defaultKeys(kms))
  const client = kms.clientFor([generatorKeyId!, ...keyIds])
  return orUsageError(() => kmsKeyring({ client, generatorKeyId: generatorKeyId!, keyIds }))
}

export interface DecryptionKeys {
  /** Only these may decrypt. */
  readonly key?: readonly string[] | undefined
  /** Any key of these accounts may; `any` stands for all. */
  readonly account?: readonly string[] | undefined
}

/**
 * The keyring that unwraps. The keys of the embedded KMS are all the user's own, so without `--key` any of them may
 * decrypt. Elsewhere a message could name a stranger's key, so the user says whose.
 */
export const decryptionKeyring = (kms: Kms, message: Inspected, given: DecryptionKeys): Promise<Keyring> =>
  readingKeyring(kms, keyArns(message), given)

/** @param arns of the KMS keys that the message or object names */
export const readingKeyring = async (kms: Kms, arns: readonly string[], given: DecryptionKeys): Promise<Keyring> =>
  onlyItsOwn(kms, await chooseKeyring(kms, arns, given))

/** An alias or key id does not say which key it stands for: KMS tells. */
export async function keyArn(kms: Kms, key: string): Promise<string> {
  if (KEY_ARN.test(checkKey(kms, key))) return key
  const { KeyMetadata } = await kms.send<{ KeyMetadata?: { Arn?: string } }>("DescribeKey", { KeyId: key })
  return KeyMetadata?.Arn ?? key
}

/** The commonest mistake is an alias without its prefix. @throws CliError `usage` */
export function checkKey(kms: Kms, key: string): string {
  // Other implementations may have key ids of another form.
  if (kms.address.kind === "http" || KEY.test(key)) return key
  throw usageError(`'${key}' is no key`, `a key is given by its ARN, its id or an alias: did you mean alias/${key}?`)
}

// --- internal ---

async function chooseKeyring(kms: Kms, named: readonly string[], given: DecryptionKeys): Promise<Keyring> {
  const { key: keys, account: accounts } = given
  if (keys !== undefined && accounts !== undefined) throw usageError("give --key or --account, not both")
  if (keys !== undefined) {
    const arns = await Promise.all(keys.map((key) => keyArn(kms, key)))
    return orUsageError(() => kmsKeyring({ client: kms.clientFor(arns), keyIds: [...new Set(arns)] }))
  }
  const client = kms.clientFor([])
  const region = kms.address.kind === "aws" && kms.address.region ? { region: kms.address.region } : {}
  const isAny = accounts?.includes("any") ?? kms.address.kind === "local"
  if (isAny) return kmsDiscoveryKeyring({ client, allowAnyAccount: true, ...region })
  if (accounts === undefined) throw whoseKey(kms, named)
  const bad = accounts.find((account) => !/^\d{12}$/.test(account))
  if (bad !== undefined) throw usageError(`'${bad}' is no AWS account`, "--account takes twelve digits, or any")
  const partition = partitionOf(named)
  return kmsDiscoveryKeyring({ client, filter: { partition, accountIds: accounts }, ...region })
}

/** A message may be wrapped by AWS and by an embedded KMS: neither is asked about the other's wrapped keys. */
const onlyItsOwn = (kms: Kms, keyring: Keyring): Keyring => ({
  ...keyring,
  unwrap: (request) =>
    keyring.unwrap({ ...request, wrappedKeys: request.wrappedKeys.filter((key) => mayBeOf(kms.address, key)) }),
})

async function defaultKeys(kms: Kms): Promise<string[]> {
  const { ENVELOPE_KEY } = process.env
  if (ENVELOPE_KEY) return [checkKey(kms, ENVELOPE_KEY)]
  if (kms.address.kind !== "local") {
    throw usageError("which key? --key takes a key ARN, a key id or alias/NAME", "or set ENVELOPE_KEY")
  }
  try {
    await kms.send("DescribeKey", { KeyId: DEFAULT_ALIAS })
    return [DEFAULT_ALIAS]
  } catch (cause) {
    if ((cause as Error).name !== "NotFoundException") throw cause
    throw new CliError("usage", "which key? without --key it is alias/default, which does not exist", {
      hint: "make one: envelope key create --alias default, or see envelope alias list and use --key alias/NAME",
      cause,
    })
  }
}

const keyArns = ({ wrappedKeys }: Inspected): string[] => wrappedKeys.flatMap(({ keyArn }) => keyArn ?? [])

function whoseKey(kms: Kms, arns: readonly string[]): CliError {
  if (arns.length === 0) {
    return usageError("which key may decrypt?", "name it, with --key or --from, or any of an account with --account ID")
  }
  const account = KEY_ARN.exec(arns[0] ?? "")?.[1] ?? "ACCOUNT"
  return usageError(
    `the message names ${arns.join(", ")}: is that a key you trust?`,
    `if so, add --key ${arns[0] ?? "ARN"}, or --account ${account} for any key of that account in ${kms.name}`,
  )
}

/** Messages with keys of several partitions do not exist in practice: credentials belong to one. */
const partitionOf = (arns: readonly string[]): string => /^arn:([^:]+):/.exec(arns[0] ?? "")?.[1] ?? "aws"
