import type { PrincipalList, StatedPrincipal } from "./document.ts"
import type { Problems } from "./problems.ts"

const INVALID = "Policy contains a statement with one or more invalid principals."

const ACCOUNT = /^\d{12}$/
const ROOT = /^arn:(aws[a-z-]*):iam::(\d{12}):root$/
const GROUP = /^arn:aws[a-z-]*:iam::\d{12}:group\//
// Paths and names as IAM has them; session names likewise.
const IDENTITY = /^arn:aws[a-z-]*:iam::(\d{12}):(?:user|role)\/(?:[!-)+->@-~]+\/)*[\w+=,.@-]+$/
const SESSION = /^arn:aws[a-z-]*:sts::(\d{12}):(?:assumed-role\/[\w+=,.@-]+\/[\w+=,.@-]+|federated-user\/[\w+=,.@-]+)$/
const UNIQUE_ID = /^A(?:IDA|ROA)[A-Z0-9]{12,124}$/
const SERVICE = /^[a-z0-9-]+(?:\.[a-z0-9-]+)*\.amazonaws\.com(?:\.cn)?$/
const CANONICAL_USER = /^[0-9a-f]{64}$/

type Reader = (text: string) => StatedPrincipal | string

/** The forms of a principal by the member of the element that holds it (POL-2.1). A string tells what is wrong. */
const readers: ReadonlyMap<string, Reader> = new Map<string, Reader>([
  ["AWS", readAwsPrincipal],
  [
    "Service",
    (text) =>
      SERVICE.test(text) ? { type: "service", text } : `'${text}' is no service principal such as s3.amazonaws.com`,
  ],
  [
    "Federated",
    (text) => (text === "" || text.includes("*") ? `'${text}' names no provider` : { type: "federated", text }),
  ],
  [
    "CanonicalUser",
    (text) => (CANONICAL_USER.test(text) ? { type: "canonicalUser", text } : `'${text}' is no canonical user id`),
  ],
])

/** @param name `Principal` or `NotPrincipal` */
export function readPrincipals(
  raw: unknown,
  name: "Principal" | "NotPrincipal",
  path: string,
  problems: Problems,
): PrincipalList {
  const values: StatedPrincipal[] = []
  const negated = name === "NotPrincipal"
  if (raw === "*") return { negated, values: [{ type: "anyone", text: "*" }] }
  if (typeof raw !== "object" || raw === null || Array.isArray(raw) || Object.keys(raw).length === 0) {
    problems.add(path, INVALID, `${name} must be "*" or an object such as {"AWS": "arn:aws:iam::111122223333:root"}`)
    return { negated, values }
  }
  for (const [member, stated] of Object.entries(raw)) {
    const reader = readers.get(member)
    if (reader === undefined)
      problems.add(`${path}.${member}`, INVALID, `principals are of the types ${[...readers.keys()].join(", ")}`)
    else values.push(...readMember(stated, reader, `${path}.${member}`, problems))
  }
  return { negated, values }
}

function readMember(stated: unknown, reader: Reader, path: string, problems: Problems): StatedPrincipal[] {
  const texts = Array.isArray(stated) ? stated : [stated]
  if (texts.length === 0) problems.add(path, INVALID, "the list is empty")
  return texts.flatMap((text: unknown, index) => {
    const principal = typeof text === "string" ? reader(text) : "a principal is a string"
    if (typeof principal !== "string") return [principal]
    problems.add(Array.isArray(stated) ? `${path}[${index}]` : path, INVALID, principal)
    return []
  })
}

function readAwsPrincipal(text: string): StatedPrincipal | string {
  if (text === "*") return { type: "anyone", text }
  if (ACCOUNT.test(text)) return { type: "account", accountId: text, text }
  const [, partition, accountId] = ROOT.exec(text) ?? []
  if (partition !== undefined && accountId !== undefined) return { type: "account", accountId, partition, text }
  if (GROUP.test(text)) return "a group is no principal: allow the account, and give the group an identity policy"
  const owner = (IDENTITY.exec(text) ?? SESSION.exec(text))?.[1]
  if (owner !== undefined) return { type: "arn", accountId: owner, text }
  if (UNIQUE_ID.test(text)) return { type: "uniqueId", text }
  if (/[*?]/.test(text)) return `'${text}' has a wildcard: only "*" alone stands for more than one principal`
  return `'${text}' is no ARN of an account root, a user, a role or a role session, and no account id`
}
