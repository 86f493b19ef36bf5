import { fromUtf8, utf8 } from "../../core/index.ts"
import { createSession } from "../credentials.ts"
import { KmsFault } from "../faults.ts"
import type { JsonReply } from "../json-protocol.ts"
import { describeProblem, readPolicy } from "../policy/index.ts"
import { type Principal, parsePrincipal, userIdentity } from "../principal.ts"
import type { Vault } from "../vault.ts"
import type { Identity } from "./authenticate.ts"
import type { StsRecord } from "./door-events.ts"

/** Who wants to become which role. */
export interface AssumeRoleRequest {
  readonly caller: Principal
  readonly roleArn: string
  readonly sessionName: string
  readonly externalId?: string
}

/** Whether a role's trust policy lets the caller assume it. @returns `true`, or why not */
export type MayAssumeRole = (request: AssumeRoleRequest) => true | string

export interface StsOptions {
  readonly vault: Vault
  readonly clock: () => number
  readonly mayAssumeRole: MayAssumeRole
}

const VERSION = "2011-06-15"
const NAMESPACE = "https://sts.amazonaws.com/doc/2011-06-15/"
const ROLE = /^arn:(aws[a-z-]*):iam::(\d{12}):role\/(?:[!-~]+\/)?([\w+=,.@-]{1,64})$/
const SESSION_NAME = /^[\w+=,.@-]{2,64}$/
const MIN_SECONDS = 900
const MAX_SECONDS = 43_200
const DEFAULT_SECONDS = 3600
const CHAINED_MAX_SECONDS = 3600
const MAX_SESSION_POLICY = 2048

/** HTTP-3.4: the error names of STS where they differ from those of the JSON services, and their status. */
const queryNames: Readonly<Record<string, readonly [code: string, statusCode: number]>> = {
  UnrecognizedClientException: ["InvalidClientTokenId", 403],
  InvalidSignatureException: ["SignatureDoesNotMatch", 403],
  IncompleteSignatureException: ["IncompleteSignature", 400],
  MissingAuthenticationTokenException: ["MissingAuthenticationToken", 403],
  ExpiredTokenException: ["ExpiredToken", 403],
}

/** The actions served, by which metrics are kept as well. */
export const stsAction = (body: Uint8Array): string | undefined => {
  const action = new URLSearchParams(fromUtf8(body) ?? "").get("Action")
  return action !== null && Object.hasOwn(actions, action) ? action : undefined
}

/**
 * HTTP-3.1: STS's Query protocol: a form comes in, XML goes out.
 *
 * @param identify throws the fault of a request that is nobody's
 */
export function answerSts(
  body: Uint8Array,
  requestId: string,
  identify: () => Identity,
  options: StsOptions,
): StsReply {
  const form = new URLSearchParams(fromUtf8(body) ?? "")
  const action = form.get("Action") ?? ""
  const noted: Noted = {}
  const record = (rest: Pick<StsRecord, "response" | "error">): StsRecord => ({
    action,
    parameters: noted.parameters ?? null,
    roleArn: noted.roleArn,
    ...rest,
  })
  try {
    const identity = identify()
    const handle = Object.hasOwn(actions, action) && form.get("Version") === VERSION ? actions[action] : undefined
    if (handle === undefined)
      throw new KmsFault("InvalidAction", `Could not find operation ${action} for version ${form.get("Version") ?? ""}`)
    const result = handle(form, identity, options, noted)
    const reply = xmlReply(200, requestId, {
      [`${action}Response`]: { [`${action}Result`]: result, ResponseMetadata: { RequestId: requestId } },
    })
    return { ...reply, record: record({ response: noted.response ?? null }) }
  } catch (failure) {
    if (!(failure instanceof KmsFault)) throw failure
    const [Code, statusCode] = queryNames[failure.name] ?? [failure.name, failure.statusCode]
    const fault = { Error: { Type: "Sender", Code, Message: failure.message }, RequestId: requestId }
    const error = { code: Code, message: failure.message }
    return { ...xmlReply(statusCode, requestId, { ErrorResponse: fault }), record: record({ response: null, error }) }
  }
}

export interface StsReply extends JsonReply {
  /** What its event tells. */
  readonly record: StsRecord
}

/** What an action leaves for its event while it runs. */
interface Noted {
  parameters?: StsRecord["parameters"]
  response?: StsRecord["response"]
  roleArn?: string
}

type Action = (form: URLSearchParams, identity: Identity, options: StsOptions, noted: Noted) => Xml

const actions: Readonly<Record<string, Action>> = {
  // HTTP-3.2
  GetCallerIdentity: (_form, { principal }) => ({
    Arn: principal.arn,
    UserId: String(userIdentity(principal).principalId),
    Account: principal.accountId,
  }),
  AssumeRole(form, { principal }, { vault, clock, mayAssumeRole }, noted) {
    const { roleArn, sessionName, sessionArn, durationSeconds, externalId, sessionPolicy } = readAssumeRole(form)
    noted.roleArn = roleArn
    noted.parameters = {
      roleArn,
      roleSessionName: sessionName,
      durationSeconds,
      ...(externalId === undefined ? {} : { externalId }),
      ...(sessionPolicy === undefined ? {} : { policy: sessionPolicy }),
    }
    if (principal.type === "AssumedRole" && durationSeconds > CHAINED_MAX_SECONDS)
      throw invalid("The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining")
    const answer = mayAssumeRole({
      caller: principal,
      roleArn,
      sessionName,
      ...(externalId === undefined ? {} : { externalId }),
    })
    if (answer !== true)
      throw new KmsFault(
        "AccessDenied",
        `User: ${principal.arn} is not authorized to perform: sts:AssumeRole on resource: ${roleArn}${answer === "" ? "" : ` ${answer}`}`,
        403,
      )
    const session = createSession(vault, { sessionArn, roleArn, durationSeconds, sessionPolicy }, clock())
    const AssumedRoleId = String(userIdentity({ ...parsePrincipal(sessionArn), identityArn: roleArn }).principalId)
    noted.response = {
      credentials: { accessKeyId: session.accessKeyId, expiration: new Date(session.expiresAt).toISOString() },
      assumedRoleUser: { assumedRoleId: AssumedRoleId, arn: sessionArn },
    }
    return {
      AssumedRoleUser: { AssumedRoleId, Arn: sessionArn },
      Credentials: {
        AccessKeyId: session.accessKeyId,
        SecretAccessKey: session.secretAccessKey,
        SessionToken: session.sessionToken,
        Expiration: `${new Date(session.expiresAt).toISOString().slice(0, 19)}Z`,
      },
    }
  },
}

/** HTTP-3.3: what would change a session's rights or attributes and is not built is refused, not ignored. */
const UNBUILT =
  /^(?:PolicyArns\.|Tags\.|TransitiveTagKeys\.|SerialNumber$|TokenCode$|SourceIdentity$|ProvidedContexts\.)/

function readAssumeRole(form: URLSearchParams) {
  const unbuilt = [...form.keys()].find((name) => UNBUILT.test(name))
  if (unbuilt !== undefined) throw invalid(`The parameter ${unbuilt} is not supported by the embedded KMS.`)
  const roleArn = form.get("RoleArn") ?? ""
  const sessionName = form.get("RoleSessionName") ?? ""
  const [, partition, accountId, roleName] = ROLE.exec(roleArn) ?? []
  if (roleName === undefined) throw invalid(`${roleArn} is invalid`)
  if (!SESSION_NAME.test(sessionName))
    throw invalid(
      `1 validation error detected: Value '${sessionName}' at 'roleSessionName' failed to satisfy constraint: ` +
        "Member must satisfy regular expression pattern: [\\w+=,.@-]*",
    )
  const duration = form.get("DurationSeconds") ?? String(DEFAULT_SECONDS)
  const durationSeconds = /^\d{1,9}$/.test(duration) ? Number(duration) : Number.NaN
  if (!(durationSeconds >= MIN_SECONDS && durationSeconds <= MAX_SECONDS))
    throw invalid(
      `1 validation error detected: Value '${duration}' at 'durationSeconds' failed to satisfy constraint: ` +
        `Member must have value ${durationSeconds > MAX_SECONDS ? `less than or equal to ${MAX_SECONDS}` : `greater than or equal to ${MIN_SECONDS}`}`,
    )
  const sessionPolicy = form.get("Policy") ?? undefined
  if (sessionPolicy !== undefined) checkSessionPolicy(sessionPolicy)
  const sessionArn = `arn:${partition}:sts::${accountId}:assumed-role/${roleName}/${sessionName}`
  const externalId = form.get("ExternalId") ?? undefined
  return { roleArn, sessionName, sessionArn, durationSeconds, externalId, sessionPolicy }
}

/** POL-12.5 @throws KmsFault `MalformedPolicyDocument`, `PackedPolicyTooLarge` */
function checkSessionPolicy(text: string): void {
  if (text.length > MAX_SESSION_POLICY)
    throw new KmsFault("PackedPolicyTooLarge", `The session policy is longer than ${MAX_SESSION_POLICY} characters.`)
  const parsed = readPolicy(text, "identity")
  if (!parsed.ok) throw new KmsFault("MalformedPolicyDocument", parsed.problems.map(describeProblem).join("; "))
}

const invalid = (message: string): KmsFault => new KmsFault("ValidationError", message)

/** Until there are trust policies: a role trusts its own account, and root becomes no role, as at AWS. */
export const trustOwnAccount: MayAssumeRole = ({ caller, roleArn }) =>
  caller.accountId === roleArn.split(":")[4] && caller.type !== "Root" ? true : ""

type Xml = { readonly [name: string]: string | Xml }

function xmlReply(statusCode: number, requestId: string, content: Xml): JsonReply {
  const text = Object.entries(content).map(([name, inner]) => `<${name} xmlns="${NAMESPACE}">${xml(inner)}</${name}>`)
  return {
    statusCode,
    headers: { "content-type": "text/xml", "x-amzn-requestid": requestId },
    body: utf8(`${text.join("")}\n`),
  }
}

const xml = (content: string | Xml): string =>
  typeof content === "string"
    ? escapeXml(content)
    : Object.entries(content)
        .map(([name, inner]) => `<${name}>${xml(inner)}</${name}>`)
        .join("")

const escapes: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&apos;",
}

/** What XML cannot hold at all becomes a question mark. */
const escapeXml = (text: string): string =>
  text
    // biome-ignore lint/suspicious/noControlCharactersInRegex: XML 1.0 has no control characters but these three.
    .replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g, "?")
    .replace(/[&<>"']/g, (character) => escapes[character]!)
