import { createHash } from "node:crypto"
import { promisify } from "node:util"
import { gunzip, gzip } from "node:zlib"
import type { AuditEvent } from "../audit.ts"

/** CloudTrail keeps the events of each account and Region apart. */
export interface Stream {
  readonly accountId: string
  readonly region: string
}

export const streamOf = (event: AuditEvent): Stream => ({
  accountId: event.recipientAccountId,
  region: event.awsRegion,
})
export const streamName = ({ accountId, region }: Stream): string => `${accountId}/${region}`

/** One file of a digest, as CloudTrail describes it. */
export interface LogFileEntry {
  readonly s3Bucket: string
  readonly s3Object: string
  /** SHA-256 of the file's content before compression, hexadecimal. */
  readonly hashValue: string
  readonly hashAlgorithm: "SHA-256"
  readonly newestEventTime: string
  readonly oldestEventTime: string
}

/** AUD-5.4: a CloudTrail digest file, with a member of ours at the end. */
export interface DigestFile {
  readonly awsAccountId: string
  readonly digestStartTime: string
  readonly digestEndTime: string
  readonly digestS3Bucket: string
  readonly digestS3Object: string
  readonly digestPublicKeyFingerprint: string
  readonly digestSignatureAlgorithm: "SHA256withRSA"
  readonly newestEventTime: string | null
  readonly oldestEventTime: string | null
  readonly previousDigestS3Bucket: string | null
  readonly previousDigestS3Object: string | null
  readonly previousDigestHashValue: string | null
  readonly previousDigestHashAlgorithm: "SHA-256" | null
  /** Hexadecimal. */
  readonly previousDigestSignature: string | null
  readonly logFiles: readonly LogFileEntry[]
  readonly localKms: LocalKmsPart
}

/** What ties the digest files of one time together, and to the trail. */
export interface LocalKmsPart {
  readonly storeId: string
  /** The number of the digest (AUD-4.2). */
  readonly digest: number
  readonly firstEvent: number
  readonly lastEvent: number
  readonly mac: string
  /** All accounts and Regions that have digest files of this digest. */
  readonly streams: readonly string[]
}

export const LOGS = "CloudTrail"
export const DIGESTS = "CloudTrail-Digest"

/** `2026-05-20T20:45:00Z` as `20260520T204500Z`. */
const compact = (time: string): string => time.replace(/[-:]/g, "")

const folder = (kind: string, { accountId, region }: Stream, time: string): string =>
  `AWSLogs/${accountId}/${kind}/${region}/${time.slice(0, 10).replaceAll("-", "/")}`

const LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

/**
 * AUD-5.2: a name as CloudTrail makes it. What is random there follows here from the store and the file's first event, so
 * that a file delivered again has the same name.
 */
export function logFileName(stream: Stream, time: string, storeId: string, firstEvent: number): string {
  const hash = createHash("sha256")
    .update(`${storeId}\n${streamName(stream)}\n${firstEvent}`)
    .digest()
  const unique = Array.from(hash.subarray(0, 16), (byte) => LETTERS[byte % LETTERS.length]).join("")
  const { accountId, region } = stream
  const minute = `${compact(time).slice(0, 13)}Z`
  return `${folder(LOGS, stream, time)}/${accountId}_${LOGS}_${region}_${minute}_${unique}.json.gz`
}

/** AUD-5.2: digest files name the trail, which here is the store. */
export function digestFileName(stream: Stream, time: string, storeId: string): string {
  const { accountId, region } = stream
  const trail = `kms-${storeId.slice(0, 8)}`
  return `${folder(DIGESTS, stream, time)}/${accountId}_${DIGESTS}_${region}_${trail}_${region}_${compact(time)}.json.gz`
}

export const sha256Hex = (text: string): string => createHash("sha256").update(text).digest("hex")

export const compress = async (text: string): Promise<Uint8Array> => promisify(gzip)(text)

/** @throws Error for what is no gzip file */
export const decompress = async (body: Uint8Array): Promise<string> => (await promisify(gunzip)(body)).toString()

/** AUD-5.5: what the signature of a digest file is over, as at CloudTrail. */
export const textToSign = (file: DigestFile, fileText: string): string =>
  [
    file.digestEndTime,
    `${file.digestS3Bucket}/${file.digestS3Object}`,
    sha256Hex(fileText),
    file.previousDigestSignature ?? "null",
  ].join("\n")
