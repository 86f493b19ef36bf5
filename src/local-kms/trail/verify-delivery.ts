import { createPublicKey, type KeyObject } from "node:crypto"
import { isSigned } from "./digest.ts"
import {
  DIGESTS,
  type DigestFile,
  decompress,
  LOGS,
  type LogFileEntry,
  sha256Hex,
  streamName,
  textToSign,
} from "./log-files.ts"
import { type DeliverySource, folderSink } from "./sink.ts"

export interface DeliveryProblem {
  readonly file: string
  readonly text: string
}

export interface DeliveryReport {
  readonly valid: boolean
  readonly digestFiles: number
  readonly logFiles: number
  readonly events: number
  /** The end of the newest digest, which is how far the report reaches; `undefined` without any. */
  readonly endTime?: string
  /** In order of the files' names. */
  readonly problems: readonly DeliveryProblem[]
}

interface Chained {
  readonly name: string
  readonly file: DigestFile
  readonly text: string
  readonly signature: string
}

/**
 * AUD-5.7: checks delivered log files with nothing but the public key: that each digest file is signed and follows the one before it,
 * that each log file is there as its digest says, and that there are no others.
 *
 * @param publicKey PEM, as `auditPublicKey()` gives it
 * @throws Error of Node.js when the folder cannot be read or the key is none
 */
export async function verifyDelivery(
  source: string | DeliverySource,
  publicKey: string | KeyObject,
): Promise<DeliveryReport> {
  const key = typeof publicKey === "string" ? createPublicKey(publicKey) : publicKey
  const from = typeof source === "string" ? folderSink(source) : source
  const problems: DeliveryProblem[] = []
  const names: string[] = []
  for await (const name of from.list()) names.push(name)
  const chains = await readChains(from, key, names.filter((name) => name.includes(`/${DIGESTS}/`)).sort(), problems)
  for (const chain of chains.values()) checkChain(chain, problems)
  checkStreams(chains, problems)
  const digests = [...chains.values()].flat()
  const entries = digests.flatMap(({ file }) => file.logFiles)
  let events = 0
  for (const entry of entries) events += await checkLogFile(from, entry, problems)
  const known = new Set(entries.map(({ s3Object }) => s3Object))
  for (const name of names)
    if (name.includes(`/${LOGS}/`) && !known.has(name)) problems.push({ file: name, text: "no digest file names it" })
  const endTime = digests
    .map(({ file }) => file.digestEndTime)
    .sort()
    .at(-1)
  return {
    valid: problems.length === 0,
    digestFiles: digests.length,
    logFiles: entries.length,
    events,
    ...(endTime === undefined ? {} : { endTime }),
    problems: problems.sort((a, b) => (a.file < b.file ? -1 : 1)),
  }
}

/** The signed digest files of each store, account and Region, oldest first. */
async function readChains(
  source: DeliverySource,
  key: KeyObject,
  names: readonly string[],
  problems: DeliveryProblem[],
): Promise<ReadonlyMap<string, Chained[]>> {
  const chains = new Map<string, Chained[]>()
  for (const name of names) {
    const digest = await readDigestFile(source, key, name)
    if (typeof digest === "string") {
      problems.push({ file: name, text: digest })
      continue
    }
    const { storeId } = digest.file.localKms
    const chain = `${storeId}/${nameOfStream(digest.file)}`
    chains.set(chain, [...(chains.get(chain) ?? []), digest])
  }
  for (const chain of chains.values()) chain.sort((a, b) => a.file.localKms.digest - b.file.localKms.digest)
  return chains
}

const nameOfStream = ({ awsAccountId, digestS3Object }: DigestFile): string =>
  streamName({ accountId: awsAccountId, region: digestS3Object.split("/")[3] ?? "" })

/** @returns what is wrong with it */
async function readDigestFile(source: DeliverySource, key: KeyObject, name: string): Promise<Chained | string> {
  const delivered = await source.read(name)
  if (delivered?.signature === undefined) return "its signature is missing"
  let text: string
  let file: DigestFile
  try {
    text = await decompress(delivered.body)
    file = JSON.parse(text) as DigestFile
  } catch {
    return "it is no digest file"
  }
  const signature = Buffer.from(delivered.signature, "hex")
  if (typeof file !== "object" || file === null || !isSigned(key, textToSign(file, text), signature))
    return "its signature does not verify"
  if (file.digestS3Object !== name) return `it was delivered as ${file.digestS3Object}`
  return { name, file, text, signature: delivered.signature }
}

function checkChain(chain: readonly Chained[], problems: DeliveryProblem[]): void {
  let before: Chained | undefined
  for (const digest of chain) {
    const { previousDigestS3Object, previousDigestHashValue, previousDigestSignature } = digest.file
    if (previousDigestS3Object !== (before?.name ?? null))
      problems.push({ file: previousDigestS3Object ?? digest.name, text: "this digest file is missing" })
    else if (
      before !== undefined &&
      (previousDigestHashValue !== sha256Hex(before.text) || previousDigestSignature !== before.signature)
    )
      problems.push({ file: before.name, text: "the digest file after it tells of another one" })
    before = digest
  }
}

/** Digest files of one time name each other's accounts and Regions. */
function checkStreams(chains: ReadonlyMap<string, readonly Chained[]>, problems: DeliveryProblem[]): void {
  const newest = new Map<string, Chained>()
  for (const digest of [...chains.values()].flat()) {
    const { storeId, digest: number } = digest.file.localKms
    const other = newest.get(storeId)
    if (other === undefined || number > other.file.localKms.digest) newest.set(storeId, digest)
  }
  for (const [storeId, { name, file }] of newest) {
    for (const stream of file.localKms.streams) {
      const last = chains.get(`${storeId}/${stream}`)?.at(-1)
      if (last?.file.localKms.digest !== file.localKms.digest)
        problems.push({ file: name, text: `the digest file of ${stream} for the same time is missing` })
    }
  }
}

/** @returns how many events it holds */
async function checkLogFile(source: DeliverySource, entry: LogFileEntry, problems: DeliveryProblem[]): Promise<number> {
  const { s3Object: file, hashValue } = entry
  const delivered = await source.read(file)
  if (delivered === undefined) {
    problems.push({ file, text: "this log file is missing" })
    return 0
  }
  try {
    const text = await decompress(delivered.body)
    if (sha256Hex(text) === hashValue) return (JSON.parse(text) as { Records: unknown[] }).Records.length
  } catch {}
  problems.push({ file, text: "it was changed after it was delivered" })
  return 0
}
