import type { Condition, Policy, PolicyKind, PolicyVersion, Statement, ValueList } from "./document.ts"
import { parseStrictJson } from "./json.ts"
import { readConditions } from "./parse-conditions.ts"
import { readPrincipals } from "./parse-principals.ts"
import { collectProblems, type PolicyProblem, type Problems } from "./problems.ts"

export type ParsedPolicy =
  | { readonly ok: true; readonly policy: Policy }
  /** At least one problem, in the order of the document. */
  | { readonly ok: false; readonly problems: readonly PolicyProblem[] }

/** Bytes of a key policy (AWS KMS quotas; POL-1.3). */
const MAX_KEY_POLICY_BYTES = 32_768
/** Characters of an identity policy without white space: what IAM allows a role's inline policies, its highest limit. */
const MAX_IDENTITY_POLICY_CHARACTERS = 10_240

// POL-1.4
const MEMBERS = ["Version", "Id", "Statement"]
const STATEMENT_MEMBERS = [
  "Sid",
  "Effect",
  "Principal",
  "NotPrincipal",
  "Action",
  "NotAction",
  "Resource",
  "NotResource",
  "Condition",
]
// biome-ignore lint/suspicious/noControlCharactersInRegex: AWS's own set: tab, line feed, carriage return, to Latin-1's end.
const CHARACTERS = /^[\u0009\u000A\u000D\u0020-\u00FF]+$/
const ACTION = /^(?:\*|[A-Za-z0-9-]+:[A-Za-z0-9*?]+)$/
const RESOURCE = /^(?:\*|arn:.*)$/
// POL-1.5
const IDENTITY_SID = /^[A-Za-z0-9]*$/

/** Reads a key policy. What comes back as `ok: false` has no form in which it could be evaluated (POL-1.1). */
export const parseKeyPolicy = (text: string): ParsedPolicy => parsePolicy(text, "key")

/** Reads a policy of a user, a group or a role: no principals, and resources are named. */
export const parseIdentityPolicy = (text: string): ParsedPolicy => parsePolicy(text, "identity")

export function parsePolicy(text: string, kind: PolicyKind): ParsedPolicy {
  const tooLong = checkSize(text, kind)
  if (tooLong !== undefined) return { ok: false, problems: [tooLong] }
  const problems = collectProblems()
  const policy = readDocument(text, kind, problems)
  return problems.list.length > 0 || policy === undefined
    ? { ok: false, problems: problems.list }
    : { ok: true, policy }
}

function checkSize(text: string, kind: PolicyKind): PolicyProblem | undefined {
  const tooLong = (message: string): PolicyProblem => ({ code: "LimitExceeded", path: "", message })
  if (kind === "key")
    return Buffer.byteLength(text) > MAX_KEY_POLICY_BYTES
      ? tooLong(`The key policy is longer than ${MAX_KEY_POLICY_BYTES} bytes.`)
      : undefined
  return text.length > MAX_IDENTITY_POLICY_CHARACTERS && text.replace(/\s/g, "").length > MAX_IDENTITY_POLICY_CHARACTERS
    ? tooLong(`The policy is longer than ${MAX_IDENTITY_POLICY_CHARACTERS} characters.`)
    : undefined
}

function readDocument(text: string, kind: PolicyKind, problems: Problems): Policy | undefined {
  if (!CHARACTERS.test(text)) {
    problems.add("", "A policy consists of tabs, line ends and the characters U+0020 to U+00FF")
    return undefined
  }
  let document: unknown
  try {
    document = parseStrictJson(text)
  } catch (error) {
    problems.add("", "The policy is not valid JSON", (error as Error).message)
    return undefined
  }
  if (!isObject(document)) {
    problems.add("", "A policy is a JSON object")
    return undefined
  }
  refuseUnknownMembers(document, MEMBERS, "", problems)
  const { Version = "2008-10-17", Id, Statement: stated } = document
  if (Version !== "2008-10-17" && Version !== "2012-10-17")
    problems.add("Version", "Version must be 2012-10-17 or 2008-10-17")
  if (Id !== undefined && typeof Id !== "string") problems.add("Id", "Id must be a string")
  const version = Version as PolicyVersion
  const statements = readStatements(stated, { kind, version }, problems)
  return { kind, version, ...(typeof Id === "string" ? { id: Id } : {}), statements }
}

interface Rules {
  readonly kind: PolicyKind
  readonly version: PolicyVersion
}

function readStatements(stated: unknown, rules: Rules, problems: Problems): Statement[] {
  const list = Array.isArray(stated) ? stated : [stated]
  if (stated === undefined || list.length === 0) problems.add("Statement", "A policy must have at least one statement")
  const sids = new Set<string>()
  return list.flatMap((raw: unknown, index) => {
    const path = Array.isArray(stated) ? `Statement[${index}]` : "Statement"
    if (!isObject(raw)) {
      if (stated !== undefined) problems.add(path, "A statement is a JSON object")
      return []
    }
    const statement = readStatement(raw, index, path, rules, problems)
    if (statement.sid !== undefined && statement.sid !== "" && sids.size === sids.add(statement.sid).size)
      problems.add(`${path}.Sid`, "Statement ids (Sid) must be unique within a policy", statement.sid)
    return [statement]
  })
}

function readStatement(
  raw: Record<string, unknown>,
  index: number,
  path: string,
  rules: Rules,
  problems: Problems,
): Statement {
  refuseUnknownMembers(raw, STATEMENT_MEMBERS, `${path}.`, problems)
  const { Sid, Effect } = raw
  if (Sid !== undefined && (typeof Sid !== "string" || (rules.kind === "identity" && !IDENTITY_SID.test(Sid))))
    problems.add(
      `${path}.Sid`,
      rules.kind === "key" ? "Sid must be a string" : "Sid must consist of letters and digits",
    )
  if (Effect !== "Allow" && Effect !== "Deny") problems.add(`${path}.Effect`, "Effect must be Allow or Deny")
  const conditions: Condition[] =
    raw.Condition === undefined ? [] : readConditions(raw.Condition, `${path}.Condition`, rules, problems)
  return {
    index,
    ...(typeof Sid === "string" ? { sid: Sid } : {}),
    effect: Effect as Statement["effect"],
    ...readPrincipalElement(raw, path, rules, problems),
    ...named("actions", readPair(raw, "Action", ACTION, "an action such as kms:Decrypt", path, problems)),
    ...named("resources", readPair(raw, "Resource", RESOURCE, '"*" or an ARN', path, problems)),
    conditions,
  }
}

const named = <K extends string, V>(name: K, value: V | undefined): { [P in K]?: V } =>
  (value === undefined ? {} : { [name]: value }) as { [P in K]?: V }

/** POL-1.6. */
function readPrincipalElement(
  raw: Record<string, unknown>,
  path: string,
  { kind }: Rules,
  problems: Problems,
): Pick<Statement, "principals"> {
  const { Principal, NotPrincipal } = raw
  if (kind === "identity") {
    if (Principal !== undefined || NotPrincipal !== undefined)
      problems.add(path, "Policy document should not specify a principal.")
    return {}
  }
  if ((Principal === undefined) === (NotPrincipal === undefined)) {
    problems.add(path, "A statement of a key policy must have one of Principal and NotPrincipal")
    return {}
  }
  const name = Principal === undefined ? "NotPrincipal" : "Principal"
  if (name === "NotPrincipal" && raw.Effect !== "Deny")
    problems.add(`${path}.NotPrincipal`, "NotPrincipal is allowed with Deny only")
  return { principals: readPrincipals(raw[name], name, `${path}.${name}`, problems) }
}

/** `Action` or `NotAction`, `Resource` or `NotResource`: both is malformed, neither is without effect (POL-1.7). */
function readPair(
  raw: Record<string, unknown>,
  name: "Action" | "Resource",
  form: RegExp,
  wanted: string,
  path: string,
  problems: Problems,
): ValueList | undefined {
  const opposite = `Not${name}`
  if (raw[name] !== undefined && raw[opposite] !== undefined)
    problems.add(path, `A statement must not have both ${name} and ${opposite}`)
  const member = raw[name] === undefined ? opposite : name
  const stated = raw[member]
  if (stated === undefined) return undefined
  const values = Array.isArray(stated) ? stated : [stated]
  if (values.length === 0) problems.add(`${path}.${member}`, `${member} must not be empty`)
  for (const value of values as unknown[])
    if (typeof value !== "string" || !form.test(value))
      problems.add(`${path}.${member}`, `${JSON.stringify(value)} is not ${wanted}`)
  return { negated: member === opposite, values: values as string[] }
}

const isObject = (raw: unknown): raw is Record<string, unknown> =>
  typeof raw === "object" && raw !== null && !Array.isArray(raw)

function refuseUnknownMembers(
  raw: Record<string, unknown>,
  known: readonly string[],
  prefix: string,
  problems: Problems,
): void {
  for (const member of Object.keys(raw))
    if (!known.includes(member)) problems.add(`${prefix}${member}`, `Unknown element ${member}`)
}
