import { randomInt } from "node:crypto"
import { concatBytes, fromUtf8, utf8 } from "../core/index.ts"
import { constantTimeEqual, randomBytes, wipe } from "../crypto/index.ts"
import { type Principal, parsePrincipal } from "./principal.ts"
import { type AwsService, awsService } from "./services.ts"
import type { StoreReader, StoreTransaction } from "./store/store.ts"
import type { Vault } from "./vault.ts"

/** A long-term access key, without its secret. */
export interface AccessKey {
  readonly accessKeyId: string
  /** The ARN of whoever signs with it. */
  readonly principal: string
  /** The AWS service that signs with it, on behalf of the principal; only the operator can register one. */
  readonly service?: string
  readonly status: "Active" | "Inactive"
  readonly createdAt: Date
}

/** The one time that the secret is shown. */
export interface NewAccessKey extends AccessKey {
  readonly secretAccessKey: string
}

export interface AccessKeyOptions {
  /** The ARN of an account root, a user, a role or a role session. */
  readonly principal: string
  /** An AWS service, for instance `s3`: requests signed with this key come through it (`kms:ViaService`). */
  readonly service?: string
  /** Default: a new one, `AKIA…`. For tests that need a known one: 3 to 128 of `A-Z a-z 0-9 _ -`. */
  readonly accessKeyId?: string
  /** Default: 30 random bytes in base64. 8 to 128 printable ASCII characters. */
  readonly secretAccessKey?: string
}

/** HTTP-2.1 */
interface AccessKeyRecord {
  readonly principal: string
  readonly service?: string
  readonly sealed: string
  readonly status: AccessKey["status"]
  readonly createdAt: number
}

const PREFIX = "credential/"
const ACCESS_KEY_ID = /^[\w-]{3,128}$/
const SECRET = /^[!-~]{8,128}$/
const SESSION_PREFIX = "ASIA"
const SECRET_LENGTH = 40

const pathOf = (accessKeyId: string): string => PREFIX + accessKeyId
const secretPurpose = (accessKeyId: string): string => `credential/${accessKeyId}`
const sessionPurpose = (accessKeyId: string): string => `session/${accessKeyId}`

/**
 * @throws TypeError for a principal, service, id or secret that is none; RangeError for an id that is taken
 */
export function createAccessKey(
  tx: StoreTransaction,
  vault: Vault,
  options: AccessKeyOptions,
  now: number,
): NewAccessKey {
  const { principal, service, accessKeyId = newAccessKeyId("AKIA"), secretAccessKey = newSecret() } = options
  parsePrincipal(principal)
  if (!ACCESS_KEY_ID.test(accessKeyId) || accessKeyId.startsWith(SESSION_PREFIX))
    throw new TypeError(`accessKeyId must be 3 to 128 of A-Z a-z 0-9 _ - and not begin with ${SESSION_PREFIX}`)
  if (!SECRET.test(secretAccessKey)) throw new TypeError("secretAccessKey must be 8 to 128 printable ASCII characters")
  if (tx.get(pathOf(accessKeyId)) !== undefined) throw new RangeError(`the access key ${accessKeyId} exists already`)
  const secret = utf8(secretAccessKey)
  const record: AccessKeyRecord = {
    principal,
    ...(service === undefined ? {} : { service: awsService(service).name }),
    // HTTP-2.2
    sealed: vault.seal(secretPurpose(accessKeyId), secret),
    status: "Active",
    createdAt: now,
  }
  wipe(secret)
  tx.put(pathOf(accessKeyId), record)
  return { ...shown(accessKeyId, record), secretAccessKey }
}

/** @param principal only the keys of this ARN */
export const listAccessKeys = (reader: StoreReader, principal?: string): AccessKey[] =>
  [...reader.range<AccessKeyRecord>(PREFIX)]
    .map(([path, record]) => shown(path.slice(PREFIX.length), record))
    .filter((key) => principal === undefined || key.principal === principal)

/** @throws RangeError when there is no such key */
export function setAccessKeyStatus(
  tx: StoreTransaction,
  accessKeyId: string,
  status: AccessKey["status"],
): Pick<AccessKey, "principal"> {
  const record = requireRecord(tx, accessKeyId)
  tx.put(pathOf(accessKeyId), { ...record, status })
  return record
}

/** @throws RangeError when there is no such key */
export function deleteAccessKey(tx: StoreTransaction, accessKeyId: string): Pick<AccessKey, "principal"> {
  const record = requireRecord(tx, accessKeyId)
  tx.remove(pathOf(accessKeyId))
  return record
}

/** The account that an access key is of, whatever its status; `undefined` where there is no such key. */
export const accessKeyAccount = (reader: StoreReader, accessKeyId: string): string | undefined =>
  ACCESS_KEY_ID.test(accessKeyId)
    ? reader.get<AccessKeyRecord>(pathOf(accessKeyId))?.principal.split(":")[4]
    : undefined

/** Whether a key is there with this very secret, principal and service. */
export function compareAccessKey(
  reader: StoreReader,
  vault: Vault,
  wanted: AccessKeyOptions & { readonly accessKeyId: string; readonly secretAccessKey: string },
): "absent" | "same" | "different" {
  const record = reader.get<AccessKeyRecord>(pathOf(wanted.accessKeyId))
  if (record === undefined) return "absent"
  const service = wanted.service && awsService(wanted.service).name
  const secret = vault.open(secretPurpose(wanted.accessKeyId), record.sealed)
  const isSame = secret !== undefined && constantTimeEqual(secret, utf8(wanted.secretAccessKey))
  wipe(secret)
  return isSame && record.principal === wanted.principal && record.service === service ? "same" : "different"
}

function requireRecord(reader: StoreReader, accessKeyId: string): AccessKeyRecord {
  const record = ACCESS_KEY_ID.test(accessKeyId) ? reader.get<AccessKeyRecord>(pathOf(accessKeyId)) : undefined
  if (record === undefined) throw new RangeError(`there is no access key ${accessKeyId}`)
  return record
}

const shown = (accessKeyId: string, { principal, service, status, createdAt }: AccessKeyRecord): AccessKey => ({
  accessKeyId,
  principal,
  ...(service === undefined ? {} : { service }),
  status,
  createdAt: new Date(createdAt),
})

/** A role session's credentials, as AssumeRole hands them out. */
export interface SessionCredentials {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  readonly sessionToken: string
  readonly expiresAt: number
}

export interface SessionRequest {
  /** The session's ARN, `arn:aws:sts::…:assumed-role/Name/Session`. */
  readonly sessionArn: string
  /** The ARN of the role behind it, with its path. */
  readonly roleArn: string
  readonly durationSeconds: number
  /** Checked already (POL-12.5). */
  readonly sessionPolicy?: string | undefined
}

interface SessionClaims {
  readonly arn: string
  readonly role: string
  readonly from: number
  readonly until: number
  /** The session policy. */
  readonly policy?: string
}

/**
 * HTTP-2.3: a session needs no record. Its token is its secret and claims, sealed for its access key id under the root
 * key, so that every process on the store knows it, and nothing is left to clean up.
 */
export function createSession(vault: Vault, request: SessionRequest, now: number): SessionCredentials {
  const { sessionArn, roleArn, durationSeconds, sessionPolicy: policy } = request
  const accessKeyId = newAccessKeyId(SESSION_PREFIX)
  const secretAccessKey = newSecret()
  const expiresAt = now + durationSeconds * 1000
  const claims: SessionClaims = {
    arn: sessionArn,
    role: roleArn,
    from: now,
    until: expiresAt,
    ...(policy && { policy }),
  }
  const content = concatBytes([utf8(secretAccessKey), utf8(JSON.stringify(claims))])
  const sessionToken = vault.seal(sessionPurpose(accessKeyId), content)
  wipe(content)
  return { accessKeyId, secretAccessKey, sessionToken, expiresAt }
}

/** Whose a request's credentials are. */
export interface Credential {
  readonly accessKeyId: string
  readonly principal: Principal
  readonly service?: AwsService
  /** When a session began. */
  readonly issuedAt?: number
  /** Changes with the secret. */
  readonly version: string
  /** Lends the secret access key's bytes, which are overwritten afterwards. */
  withSecret<T>(use: (secret: Uint8Array) => T): T
}

/**
 * @returns `unknown` for credentials that are not, or no longer, anybody's
 */
export function findCredential(
  reader: StoreReader,
  vault: Vault,
  accessKeyId: string,
  sessionToken: string | undefined,
  now: number,
): Credential | "unknown" | "expired" {
  if (!ACCESS_KEY_ID.test(accessKeyId)) return "unknown"
  if (accessKeyId.startsWith(SESSION_PREFIX))
    return sessionToken === undefined ? "unknown" : openSession(vault, accessKeyId, sessionToken, now)
  const record = sessionToken === undefined ? reader.get<AccessKeyRecord>(pathOf(accessKeyId)) : undefined
  if (record?.status !== "Active") return "unknown"
  return {
    accessKeyId,
    principal: parsePrincipal(record.principal),
    ...(record.service === undefined ? {} : { service: awsService(record.service) }),
    version: record.sealed,
    withSecret(use) {
      const secret = vault.open(secretPurpose(accessKeyId), record.sealed)
      if (secret === undefined) throw new Error(`the stored secret of the access key ${accessKeyId} is damaged`)
      return lend(secret, secret, use)
    },
  }
}

function openSession(
  vault: Vault,
  accessKeyId: string,
  sessionToken: string,
  now: number,
): Credential | "unknown" | "expired" {
  const content = vault.open(sessionPurpose(accessKeyId), sessionToken)
  if (content === undefined) return "unknown"
  const claims: SessionClaims = JSON.parse(fromUtf8(content.subarray(SECRET_LENGTH))!)
  wipe(content)
  if (now >= claims.until) return "expired"
  return {
    accessKeyId,
    // The session's ARN leaves out the role's path.
    principal: {
      ...parsePrincipal(claims.arn),
      identityArn: claims.role,
      ...(claims.policy === undefined ? {} : { sessionPolicy: claims.policy }),
    },
    issuedAt: claims.from,
    version: sessionToken,
    withSecret(use) {
      const opened = vault.open(sessionPurpose(accessKeyId), sessionToken)!
      return lend(opened.subarray(0, SECRET_LENGTH), opened, use)
    },
  }
}

function lend<T>(secret: Uint8Array, whole: Uint8Array, use: (secret: Uint8Array) => T): T {
  try {
    return use(secret)
  } finally {
    wipe(whole)
  }
}

const ID_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"

function newAccessKeyId(prefix: string): string {
  let id = prefix
  for (let i = 0; i < 16; i++) id += ID_ALPHABET[randomInt(ID_ALPHABET.length)]
  return id
}

/** 40 characters of base64, as AWS's are. */
function newSecret(): string {
  const bytes = randomBytes(30)
  const secret = Buffer.from(bytes.buffer).toString("base64")
  wipe(bytes)
  return secret
}
