/**
 * An AWS service that calls KMS: for a principal whose request it carries out, or for itself with the AWS owned keys in
 * its own account. Only the operator of the KMS makes one (`kms.service()`, or a credential registered for a service);
 * nothing a caller writes into a request does.
 */
export interface AwsService {
  /** As its AWS managed key is called: `alias/aws/<name>`. */
  readonly name: string
  /** As its requests are known by: `<endpoint>.<region>.amazonaws.com` in `kms:ViaService`. */
  readonly endpoint: string
}

/** KMS-4.3: the account of the services themselves. No customer's principal is of this account. */
export const SERVICE_ACCOUNT = "999999999999"

/** Services whose AWS managed keys ListAliases names before they are made. */
export const predefinedServices = ["ebs", "s3"] as const

/** Volumes belong to EC2, which is what KMS sees. */
const endpoints: Readonly<Record<string, string>> = { ebs: "ec2" }

const SERVICE = /^([a-z][a-z0-9-]*)(?:\.[a-z0-9-]+)?(?:\.amazonaws\.com)?$/

/**
 * @param text `s3`, `ebs`, or as `kms:ViaService` has it: `s3.us-east-1.amazonaws.com`
 * @throws TypeError
 */
export function awsService(text: string): AwsService {
  const [, word] = SERVICE.exec(text) ?? []
  if (word === undefined) throw new TypeError(`'${text}' is no AWS service: give its name, for instance s3`)
  const name = Object.keys(endpoints).find((known) => endpoints[known] === word) ?? word
  return { name, endpoint: endpoints[name] ?? name }
}

/** What an event shows in place of an address and a user agent. */
export const serviceHost = ({ endpoint }: AwsService): string => `${endpoint}.amazonaws.com`

/** `kms:ViaService`. */
export const viaService = ({ endpoint }: AwsService, region: string): string => `${endpoint}.${region}.amazonaws.com`

export const managedAlias = ({ name }: AwsService): string => `alias/aws/${name}`
