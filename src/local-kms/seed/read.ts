import { isBuiltSpec, type KeySpec, keySpecs } from "../key-specs.ts"
import { parsePrincipal } from "../principal.ts"
import type { PolicyInput, PrincipalOptions, RoleOptions, UserOptions } from "../principals/manage.ts"
import { awsService } from "../services.ts"

/** HTTP-5.1: what a start-up file says. Everything that it does not name is left as it is. */
export interface Seed {
  readonly groups?: readonly SeedGroup[]
  readonly users?: readonly SeedUser[]
  readonly roles?: readonly SeedRole[]
  readonly keys?: readonly SeedKey[]
  readonly accessKeys?: readonly SeedAccessKey[]
}

/** As `kms.principals.createGroup` takes it; known by its name. */
export type SeedGroup = PrincipalOptions
/** As `kms.principals.createUser` takes it; known by its name. */
export type SeedUser = UserOptions
/** As `kms.principals.createRole` takes it; known by its name. */
export type SeedRole = RoleOptions

/** A key, known by its id, or else by its first alias. */
export interface SeedKey {
  /** A UUID, or `mrk-` and 32 hexadecimal digits for a multi-Region key. Without it a new key gets a random one. */
  readonly keyId?: string
  /** Default: the account of the KMS. */
  readonly accountId?: string
  /** Default: the Region of the KMS. */
  readonly region?: string
  /** Default `SYMMETRIC_DEFAULT`. */
  readonly keySpec?: KeySpec
  /** The key material in base64, for tests of stored ciphertexts. Whoever reads the file has the key. Default: random. */
  readonly material?: string
  readonly description?: string
  readonly enabled?: boolean
  /** The key policy, as JSON or text; somebody must be able to change it again. Default: the account's root may do everything. */
  readonly policy?: PolicyInput
  /** Let `policy` be one that nobody can change again. Default false. */
  readonly bypassPolicyLockoutSafetyCheck?: boolean
  readonly tags?: Readonly<Record<string, string>>
  /** With their prefix, `alias/app`. */
  readonly aliases?: readonly string[]
}

export interface SeedAccessKey {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  /** The ARN of an account root, a user, a role or a role session. */
  readonly principal: string
  /** An AWS service that acts for the principal, for instance `s3`. */
  readonly service?: string
}

const KEY_ID = /^(?:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|mrk-[0-9a-f]{32})$/
const REGION = /^[a-z]{2,}(?:-[a-z]+)+-\d+$/
const ALIAS = /^alias\/[a-zA-Z0-9/_-]{1,250}$/
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/

/** @throws TypeError that names the place and what is wrong there */
export function readSeed(value: unknown): Seed {
  const seed = object<Seed>(value, "the file", {
    groups: (groups, path) => list(groups, path, (group, at) => named(object(group, at, principal), at)),
    users: (users, path) => list(users, path, (user, at) => named(object(user, at, userMembers), at)),
    roles: (roles, path) => list(roles, path, (role, at) => named(object(role, at, roleMembers), at)),
    keys: (keys, path) => list(keys, path, readKey),
    accessKeys: (keys, path) => list(keys, path, readAccessKey),
  })
  unique(seed.keys ?? [], "keys", ({ keyId }) => keyId)
  unique(seed.accessKeys ?? [], "accessKeys", ({ accessKeyId }) => accessKeyId)
  return seed
}

// What is in these members is checked with the principal as a whole, when it is made.
const text: Reader<string> = (value, path) => (typeof value === "string" ? value : wrong(path, "a text"))
const policy: Reader<PolicyInput> = (value, path) =>
  typeof value === "string" || (typeof value === "object" && value !== null && !Array.isArray(value))
    ? value
    : wrong(path, "a policy: an object, or its text")
const principal = {
  name: text,
  accountId: text,
  path: text,
  policies: ((value, path) => record(value, path, policy)) as Reader<Record<string, PolicyInput>>,
}
const userMembers = {
  ...principal,
  tags: readTags,
  groups: ((value, path) => list(value, path, text)) as Reader<string[]>,
}
const roleMembers = { ...principal, tags: readTags, trustPolicy: policy }

function named<T extends { readonly name?: string }>(value: T, path: string): T {
  if (value.name === undefined) throw new TypeError(`${path} needs a name`)
  return value
}

function readKey(value: unknown, path: string): SeedKey {
  const key = object<SeedKey>(value, path, {
    keyId: matching(KEY_ID, "a UUID, or mrk- and 32 hexadecimal digits"),
    accountId: matching(/^\d{12}$/, "twelve digits"),
    region: matching(REGION, "an AWS Region"),
    keySpec: (spec, at) =>
      typeof spec === "string" && isBuiltSpec(spec) ? spec : wrong(at, `one of ${Object.keys(keySpecs).join(", ")}`),
    material: matching(BASE64, "base64"),
    description: matching(/^[\s\S]{0,8192}$/, "a text of up to 8,192 characters"),
    enabled: (enabled, at) => (typeof enabled === "boolean" ? enabled : wrong(at, "true or false")),
    policy,
    bypassPolicyLockoutSafetyCheck: (bypass, at) => (typeof bypass === "boolean" ? bypass : wrong(at, "true or false")),
    tags: readTags,
    aliases: (aliases, at) => list(aliases, at, readAlias),
  })
  const { material, keySpec = "SYMMETRIC_DEFAULT", keyId, aliases = [] } = key
  if (keyId === undefined && aliases.length === 0) throw new TypeError(`${path} needs a keyId or an alias`)
  const { materialLength } = keySpecs[keySpec]
  if (material !== undefined && Buffer.byteLength(material, "base64") !== materialLength)
    throw new TypeError(`${path}.material must be ${materialLength} bytes for a key of spec ${keySpec}`)
  return key
}

const readAccessKey = (value: unknown, path: string): SeedAccessKey => {
  const key = object<SeedAccessKey>(value, path, {
    accessKeyId: matching(/^(?!ASIA)[\w-]{3,128}$/, "3 to 128 of A-Z a-z 0-9 _ -, and not begin with ASIA"),
    secretAccessKey: matching(/^[!-~]{8,128}$/, "8 to 128 printable ASCII characters", true),
    principal: (arn, at) => checked(arn, at, parsePrincipal),
    service: (service, at) => checked(service, at, awsService),
  })
  for (const name of ["accessKeyId", "secretAccessKey", "principal"] as const)
    if (key[name] === undefined) throw new TypeError(`${path} needs ${name}`)
  return key
}

function readAlias(value: unknown, path: string): string {
  const alias = matching(ALIAS, "alias/ and up to 250 of A-Z a-z 0-9 / _ -")(value, path)
  if (alias.startsWith("alias/aws/")) throw new TypeError(`${path}: names beginning with alias/aws/ are reserved`)
  return alias
}

function readTags(value: unknown, path: string): Readonly<Record<string, string>> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw wrongType(path, "an object")
  const tags = Object.entries(value)
  if (tags.length > 50) throw new TypeError(`${path} has more than 50 tags`)
  for (const [name, text] of tags) {
    if (name === "" || name.length > 128 || /^aws:/i.test(name))
      throw new TypeError(`${path}: a tag's name has 1 to 128 characters and does not begin with aws:`)
    if (typeof text !== "string" || text.length > 256)
      throw wrongType(`${path}.${name}`, "a text of up to 256 characters")
  }
  return Object.fromEntries(tags) as Record<string, string>
}

type Reader<T> = (value: unknown, path: string) => T

/** An object with no member that the readers do not know: a misspelt name must not go unnoticed. */
function object<T extends object>(
  value: unknown,
  path: string,
  readers: { readonly [K in keyof T]-?: Reader<NonNullable<T[K]>> },
): T {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw wrongType(path, "an object")
  const prefix = path === "the file" ? "" : `${path}.`
  const read: Record<string, unknown> = {}
  for (const [name, member] of Object.entries(value)) {
    const reader = Object.hasOwn(readers, name) ? readers[name as keyof T] : undefined
    if (reader === undefined)
      throw new TypeError(`${path} has no member ${name}: there are ${Object.keys(readers).join(", ")}`)
    read[name] = reader(member, prefix + name)
  }
  return read as T
}

function record<T>(value: unknown, path: string, reader: Reader<T>): Record<string, T> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw wrongType(path, "an object")
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, reader(member, `${path}.${name}`)]))
}

function list<T>(value: unknown, path: string, reader: Reader<T>): T[] {
  if (!Array.isArray(value)) throw wrongType(path, "a list")
  return value.map((item, i) => reader(item, `${path}[${i}]`))
}

/** @param secret what does not match is not shown */
const matching =
  (pattern: RegExp, what: string, secret = false): Reader<string> =>
  (value, path) => {
    if (typeof value === "string" && pattern.test(value)) return value
    const shown = secret || typeof value !== "string" || value.length > 256 ? "" : `, not '${value}'`
    throw new TypeError(`${path} must be ${what}${shown}`)
  }

function checked(value: unknown, path: string, check: (text: string) => unknown): string {
  if (typeof value !== "string") throw wrongType(path, "a text")
  try {
    check(value)
  } catch (error) {
    throw new TypeError(`${path}: ${(error as Error).message}`)
  }
  return value
}

const wrongType = (path: string, what: string): TypeError => new TypeError(`${path} must be ${what}`)

const wrong = (path: string, what: string): never => {
  throw wrongType(path, what)
}

function unique<T>(items: readonly T[], path: string, idOf: (item: T) => string | undefined): void {
  const seen = new Map<string, number>()
  for (const [i, item] of items.entries()) {
    const id = idOf(item)
    if (id === undefined) continue
    if (seen.has(id)) throw new TypeError(`${path}[${i}] has the id of ${path}[${seen.get(id)}], ${id}`)
    seen.set(id, i)
  }
}
