import { createHash, createHmac } from "node:crypto"
import { utf8 } from "../../core/index.ts"
import { constantTimeEqual } from "../../crypto/index.ts"
import { KmsFault } from "../faults.ts"

/** A request as it came in. */
export interface SignedRequest {
  readonly method: string
  /** Before the question mark. */
  readonly path: string
  /** After it, or empty. */
  readonly query: string
  /** Names in lower case, each with all its values as they were sent (a character for a byte). */
  readonly headers: ReadonlyMap<string, readonly string[]>
  readonly body: Uint8Array
}

/** What the `Authorization` header says. */
export interface Authorization {
  readonly accessKeyId: string
  /** `YYYYMMDD` */
  readonly date: string
  readonly region: string
  readonly service: string
  /** In lower case, sorted. */
  readonly signedHeaders: readonly string[]
  /** 64 hexadecimal digits. */
  readonly signature: string
  /** `YYYYMMDDTHHMMSSZ`, from `X-Amz-Date`. */
  readonly timestamp: string
}

const ALGORITHM = "AWS4-HMAC-SHA256"
const TERMINATOR = "aws4_request"
const SKEW_MS = 300_000
/** Headers that say what a request does, when, and whose it is. */
const BINDING = ["x-amz-target", "x-amz-date", "x-amz-security-token"]
const REGION = /^[a-z]{2,}(?:-[a-z]+)+-\d+$/

const incomplete = (message: string): KmsFault => new KmsFault("IncompleteSignatureException", message)
const invalidSignature = (message: string): KmsFault => new KmsFault("InvalidSignatureException", message)
export const mismatch = (): KmsFault =>
  invalidSignature(
    "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key " +
      "and signing method. Consult the service documentation for details.",
  )

/** All values of a header, joined as HTTP joins them; `undefined` when it was not sent. */
export const headerValue = ({ headers }: Pick<SignedRequest, "headers">, name: string): string | undefined =>
  headers.get(name)?.join(",")

/**
 * HTTP-1.1: reads the credential, the names of the signed headers and the signature, and holds them to their form.
 *
 * @returns `undefined` for a request that is not signed
 * @throws KmsFault `IncompleteSignatureException`; `InvalidSignatureException` for a signature in the query
 */
export function readAuthorization(request: SignedRequest): Authorization | undefined {
  if (/(?:^|&)x-amz-(?:algorithm|signature|credential)=/i.test(request.query))
    throw invalidSignature("Signatures in the query string are not accepted: sign the Authorization header.")
  const header = headerValue(request, "authorization")
  if (header === undefined) return undefined
  const shown = `Authorization=${header.slice(0, 1024).replace(/(Signature=)[^,\s]*/, "$1…")}`
  const space = header.indexOf(" ")
  if (space < 0 || header.slice(0, space) !== ALGORITHM)
    throw incomplete(`Authorization header requires the algorithm ${ALGORITHM}. ${shown}`)
  const parameters = readParameters(header.slice(space + 1))
  const timestamp = headerValue(request, "x-amz-date")
  if (parameters === undefined) throw incomplete(`Authorization header is not well formed. ${shown}`)
  const missing = ["Credential", "Signature", "SignedHeaders"]
    .filter((name) => !parameters.get(name))
    .map((name) => `Authorization header requires '${name}' parameter.`)
  if (timestamp === undefined) missing.push("Authorization header requires existence of a 'X-Amz-Date' header.")
  if (timestamp === undefined || missing.length > 0) throw incomplete(`${missing.join(" ")} ${shown}`)
  return {
    ...readScope(parameters.get("Credential")!),
    signedHeaders: readSignedHeaders(parameters.get("SignedHeaders")!),
    signature: parameters.get("Signature")!,
    timestamp,
  }
}

/** @returns `undefined` for what is no list of names with values, or names one twice */
function readParameters(text: string): ReadonlyMap<string, string> | undefined {
  const parameters = new Map<string, string>()
  for (const part of text.split(",")) {
    const [, name, value] = /^\s*(\w+)=(\S*)\s*$/.exec(part) ?? []
    if (name === undefined || parameters.has(name)) return undefined
    parameters.set(name, value!)
  }
  return parameters
}

function readScope(credential: string): Pick<Authorization, "accessKeyId" | "date" | "region" | "service"> {
  const parts = credential.split("/")
  if (parts.length !== 5)
    throw incomplete(
      `Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got '${credential.slice(0, 256)}'`,
    )
  const [accessKeyId, date, region, service, terminator] = parts as [string, string, string, string, string]
  if (terminator !== TERMINATOR)
    throw invalidSignature(`Credential should be scoped with a valid terminator: '${TERMINATOR}', not '${terminator}'.`)
  if (!REGION.test(region)) throw invalidSignature(`Credential should be scoped to a valid region, not '${region}'. `)
  return { accessKeyId, date, region, service }
}

function readSignedHeaders(text: string): readonly string[] {
  const names = text.split(";")
  if (names.some((name, i) => !/^[!#$%&'*+.^_`|~0-9a-z-]+$/.test(name) || (i > 0 && names[i - 1]! >= name)))
    throw incomplete(`SignedHeaders must be lower-case names in order, separated by ';', got '${text.slice(0, 1024)}'`)
  return names
}

/**
 * HTTP-1.2 and HTTP-1.4: what the signature must be about, before its own check.
 *
 * @param service the one whose requests these are, for instance `kms`
 * @throws KmsFault `InvalidSignatureException`
 */
export function checkScope(request: SignedRequest, signed: Authorization, service: string, now: number): void {
  if (signed.service !== service)
    throw invalidSignature(`Credential should be scoped to correct service: '${service}'. `)
  checkTime(signed, now)
  const mustBeSigned = ["host", ...BINDING.filter((name) => request.headers.has(name))]
  const unsigned = mustBeSigned.find((name) => !signed.signedHeaders.includes(name))
  if (unsigned !== undefined) throw invalidSignature(`'${unsigned}' must be a 'SignedHeader' in the AWS Authorization.`)
  const absent = signed.signedHeaders.find((name) => !request.headers.has(name))
  if (absent !== undefined) throw invalidSignature(`The signed header '${absent}' is not in the request.`)
}

function checkTime({ timestamp, date }: Authorization, now: number): void {
  const time = parseTimestamp(timestamp)
  if (time === undefined)
    throw incomplete(
      `Date must be in ISO-8601 'basic format'. Got '${timestamp.slice(0, 64)}'. See http://en.wikipedia.org/wiki/ISO_8601`,
    )
  if (timestamp.slice(0, 8) !== date)
    throw invalidSignature(
      "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: " +
        `'${date}' != '${timestamp.slice(0, 8)}', from '${timestamp}'.`,
    )
  const [here, bound] = [formatTimestamp(now), (ms: number) => formatTimestamp(now + ms)]
  if (time < now - SKEW_MS)
    throw invalidSignature(`Signature expired: ${timestamp} is now earlier than ${bound(-SKEW_MS)} (${here} - 5 min.)`)
  if (time > now + SKEW_MS)
    throw invalidSignature(
      `Signature not yet current: ${timestamp} is still later than ${bound(SKEW_MS)} (${here} + 5 min.)`,
    )
}

/** Milliseconds since 1970, or `undefined` for what is no time of a calendar. */
function parseTimestamp(text: string): number | undefined {
  if (!/^\d{8}T\d{6}Z$/.test(text)) return undefined
  const time = Date.parse(text.replace(/^(....)(..)(..)T(..)(..)(..)Z$/, "$1-$2-$3T$4:$5:$6Z"))
  return Number.isNaN(time) || formatTimestamp(time) !== text ? undefined : time
}

const formatTimestamp = (time: number): string =>
  Math.abs(time) < 8.64e15 ? `${new Date(time).toISOString().slice(0, 19).replace(/[-:]/g, "")}Z` : "?"

/**
 * HTTP-1.5: whether the signature is the one that the signing key makes of the request. The time this takes depends
 * on the request alone.
 */
export function isSignedBy(signingKey: Uint8Array, request: SignedRequest, signed: Authorization): boolean {
  const { timestamp, date, region, service } = signed
  const digest = createHash("sha256").update(canonicalRequest(request, signed.signedHeaders), "latin1").digest("hex")
  const scope = `${date}/${region}/${service}/${TERMINATOR}`
  const expected = createHmac("sha256", signingKey)
    .update(`${ALGORITHM}\n${timestamp}\n${scope}\n${digest}`)
    .digest("hex")
  return constantTimeEqual(utf8(expected), utf8(signed.signature))
}

/** HTTP-1.3: a hash that the request claims for its body must be the body's. */
export function checkBodyHash(request: SignedRequest): void {
  const claimed = headerValue(request, "x-amz-content-sha256")
  if (claimed !== undefined && claimed !== bodyHash(request))
    throw invalidSignature("The value of x-amz-content-sha256 is not the SHA-256 of the body.")
}

const bodyHash = ({ body }: SignedRequest): string => createHash("sha256").update(body).digest("hex")

function canonicalRequest(request: SignedRequest, signedHeaders: readonly string[]): string {
  const lines = signedHeaders.map((name) => `${name}:${canonicalHeader(request, name)}\n`)
  return [
    request.method,
    canonicalPath(request.path),
    canonicalQuery(request.query),
    lines.join(""),
    signedHeaders.join(";"),
    bodyHash(request),
  ].join("\n")
}

/** Spaces at the ends go, spaces in a row are one. */
const canonicalHeader = ({ headers }: SignedRequest, name: string): string =>
  (headers.get(name) ?? []).map((value) => value.trim().replace(/ {2,}/g, " ")).join(",")

const encode = (text: string): string =>
  encodeURIComponent(text).replace(/[!'()*]/g, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`)

/** Every part of a path is encoded once more than it was sent. */
const canonicalPath = (path: string): string => path.split("/").map(encode).join("/")

function canonicalQuery(query: string): string {
  if (query === "") return ""
  const pairs = query.split("&").map((pair): [string, string] => {
    const at = pair.includes("=") ? pair.indexOf("=") : pair.length
    return [encode(decode(pair.slice(0, at))), encode(decode(pair.slice(at + 1)))]
  })
  const order = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)
  pairs.sort(([a, x], [b, y]) => order(a, b) || order(x, y))
  return pairs.map(([name, value]) => `${name}=${value}`).join("&")
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    throw mismatch()
  }
}

/** HTTP-1.5: the key of one day, Region and service. @param secret stays the caller's, to overwrite */
export function deriveSigningKey(
  secret: Uint8Array,
  { date, region, service }: Pick<Authorization, "date" | "region" | "service">,
): Uint8Array {
  const initial = new Uint8Array(4 + secret.length)
  initial.set(utf8("AWS4"))
  initial.set(secret, 4)
  let key: Uint8Array = initial
  for (const part of [date, region, service, TERMINATOR]) {
    const next = createHmac("sha256", key).update(part).digest()
    key.fill(0)
    key = next
  }
  return key
}
