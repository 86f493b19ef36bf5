import { createHash } from "node:crypto"

/** Who calls: what a policy names, and what the audit trail shows. */
export interface Principal {
  readonly type: "Root" | "IAMUser" | "AssumedRole"
  readonly accountId: string
  /** As error texts and events show it; a role is shown as its session. */
  readonly arn: string
  /** Of the user, or of the role behind the session. */
  readonly identityArn: string
  readonly name: string
  /** `AIDA…` of a registered user, `AROA…` of a registered role; of others it follows from the ARN. */
  readonly uniqueId?: string
  /** What a session was limited to when its role was assumed: the text of a policy. */
  readonly sessionPolicy?: string
}

const ARN = /^arn:(aws[a-z-]*):(iam|sts)::(\d{12}):(.+)$/
const SESSION_NAME = "kms-envelope"

/**
 * Reads a caller's ARN: `…:root`, `…:user/Name`, `…:role/Name` or `arn:aws:sts::…:assumed-role/Name/Session`. Users and
 * roles may have a path (`role/service/AppA`). A role without a session gets one named `kms-envelope`.
 *
 * @throws TypeError for anything else
 */
export function parsePrincipal(arn: string): Principal {
  const [, partition, service, accountId, resource] = ARN.exec(arn) ?? []
  if (partition !== undefined && accountId !== undefined && resource !== undefined) {
    if (service === "iam" && resource === "root")
      return { type: "Root", accountId, arn, identityArn: arn, name: accountId }
    const parts = resource.split("/")
    const kind = parts[0]!
    const name = parts.at(-1)!
    if (service === "iam" && kind === "user" && parts.length > 1 && name !== "")
      return { type: "IAMUser", accountId, arn, identityArn: arn, name }
    if (service === "iam" && kind === "role" && parts.length > 1 && name !== "")
      return assumedRole(partition, accountId, name, SESSION_NAME, arn)
    if (service === "sts" && kind === "assumed-role" && parts.length === 3 && name !== "" && parts[1] !== "")
      return assumedRole(partition, accountId, parts[1]!, name, `arn:${partition}:iam::${accountId}:role/${parts[1]}`)
  }
  throw new TypeError(`principal must be the ARN of an account root, a user, a role or a role session, not '${arn}'`)
}

const assumedRole = (
  partition: string,
  accountId: string,
  role: string,
  session: string,
  identityArn: string,
): Principal => ({
  type: "AssumedRole",
  accountId,
  arn: `arn:${partition}:sts::${accountId}:assumed-role/${role}/${session}`,
  identityArn,
  name: role,
})

/** What is known of how a caller came to call. */
export interface CallerSession {
  /** What the request was signed with; absent in process. */
  readonly accessKeyId?: string
  /** When the role's session began; milliseconds since 1970. */
  readonly issuedAt?: number
}

/** The `userIdentity` of an event (CloudTrail record contents, userIdentity element). */
export function userIdentity(principal: Principal, session?: CallerSession): Record<string, unknown> {
  const { type, accountId, arn, identityArn, name } = principal
  const key = session?.accessKeyId === undefined ? {} : { accessKeyId: session.accessKeyId }
  const id = principalId(principal)
  if (type === "Root") return { type, principalId: id, arn, accountId, ...key }
  if (type === "IAMUser") return { type, principalId: id, arn, accountId, ...key, userName: name }
  const roleId = id.split(":")[0]
  return {
    type,
    principalId: id,
    arn,
    accountId,
    ...key,
    sessionContext: {
      sessionIssuer: { type: "Role", principalId: roleId, arn: identityArn, accountId, userName: name },
      attributes: {
        ...(session?.issuedAt === undefined ? {} : { creationDate: eventTime(session.issuedAt) }),
        mfaAuthenticated: "false",
      },
    },
  }
}

/** `aws:userid`: the account of a root, `AIDA…` of a user, `AROA…:session` of a role. */
export function principalId({ type, accountId, arn, identityArn, uniqueId }: Principal): string {
  if (type === "Root") return accountId
  if (type === "IAMUser") return uniqueId ?? derivedId("AIDA", identityArn)
  return `${uniqueId ?? derivedId("AROA", identityArn)}:${arn.slice(arn.lastIndexOf("/") + 1)}`
}

const eventTime = (at: number): string => `${new Date(at).toISOString().slice(0, 19)}Z`

const ID_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"

/** IAM's unique ids look like this; of principals that nobody registered they follow from the ARN. */
function derivedId(prefix: string, arn: string): string {
  const digest = createHash("sha256").update(arn).digest()
  let id = prefix
  for (let i = 0; i < 17; i++) id += ID_ALPHABET[digest[i]! & 31]
  return id
}
