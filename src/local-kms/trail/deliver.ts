import { EnvelopeError, utf8 } from "../../core/index.ts"
import type { AuditEvent } from "../audit.ts"
import type { Store } from "../store/store.ts"
import { oldestEvent } from "./append.ts"
import {
  type Digest,
  type DigestOptions,
  damagedTrail,
  newestDigest,
  readDigest,
  type SigningKey,
  type SigningTrail,
  signDigest,
  signingKey,
  signText,
} from "./digest.ts"
import {
  compress,
  type DigestFile,
  digestFileName,
  type LogFileEntry,
  logFileName,
  type Stream,
  sha256Hex,
  streamName,
  streamOf,
  textToSign,
} from "./log-files.ts"
import { readHead } from "./records.ts"
import { type DeliverySink, folderSink } from "./sink.ts"
import { walk } from "./walk.ts"

export interface Delivery {
  /** What this call delivered. */
  readonly events: number
  readonly logFiles: number
  readonly digestFiles: number
  /** The newest event that the destination has now; 0 without any. */
  readonly lastEvent: number
}

/** AUD-5.6: how far a destination is. Kept there, so that it may move. */
interface State {
  readonly version: 1
  readonly digest: number
  readonly lastEvent: number
  readonly streams: Readonly<Record<string, StreamState>>
}

interface StreamState extends Stream {
  readonly endTime: string
  readonly object: string
  readonly hash: string
  readonly signature: string
}

const EVENTS_A_FILE = 10_000
const NOTHING: State = { version: 1, digest: 0, lastEvent: 0, streams: {} }
const stateName = (storeId: string): string => `AWSLogs/kms-envelope/${storeId}.json`

/**
 * AUD-5.1: signs a digest of what is new and delivers what the destination has not got. Each digest is delivered as a whole,
 * always as the same files under the same names, and counts once they are all there: whatever ends a delivery, the next one goes
 * on from there.
 *
 * @throws EnvelopeError `KmsStore` for a trail that was changed; the destination's own errors
 */
export async function deliverTrail(
  store: Store,
  trail: SigningTrail,
  destination: string | DeliverySink,
  options: DigestOptions,
): Promise<Delivery> {
  const sink = typeof destination === "string" ? folderSink(destination) : destination
  await signDigest(store, trail, options)
  const key = await signingKey(store, trail.vault)
  let state = await readState(sink, options.storeId)
  const total = { events: 0, logFiles: 0, digestFiles: 0 }
  for (;;) {
    const digest = nextDigest(store, state)
    if (digest === undefined) return { ...total, lastEvent: state.lastEvent }
    const logs = await writeLogFiles(store, trail, sink, digest)
    state = await writeDigestFiles(sink, key, digest, logs, state)
    await sink.write(stateName(digest.storeId), { body: utf8(`${JSON.stringify(state)}\n`) })
    total.events += [...logs.values()].reduce((sum, { delivered }) => sum + delivered, 0)
    total.logFiles += [...logs.values()].reduce((sum, { files }) => sum + files.length, 0)
    total.digestFiles += Object.keys(state.streams).length
  }
}

async function readState(sink: DeliverySink, storeId: string): Promise<State> {
  const name = stateName(storeId)
  const file = await sink.read(name)
  if (file === undefined) return NOTHING
  try {
    const state = JSON.parse(Buffer.from(file.body).toString()) as State
    if (state.version === 1 && Number.isSafeInteger(state.digest)) return state
  } catch {}
  throw new EnvelopeError("KmsStore", `${name} at the destination does not tell how far the delivery was`)
}

function nextDigest(store: Store, { digest: done }: State): Digest | undefined {
  return store.read((reader) => {
    const newest = newestDigest(reader)?.digest.number ?? 0
    if (done >= newest) return undefined
    const next = readDigest(reader, done + 1)
    if (next !== undefined) return next.digest
    throw new EnvelopeError(
      "KmsStore",
      `the audit digest ${done + 1} is missing: verify the trail to see what is wrong`,
    )
  })
}

interface StreamLogs extends Stream {
  readonly files: LogFileEntry[]
  /** Events. */
  delivered: number
}

/** AUD-5.3. @throws EnvelopeError `KmsStore` for events that were changed or dropped */
async function writeLogFiles(
  store: Store,
  trail: SigningTrail,
  sink: DeliverySink,
  digest: Digest,
): Promise<ReadonlyMap<string, StreamLogs>> {
  const streams = new Map<string, StreamLogs & { events: AuditEvent[]; first: number }>()
  // What was dropped before it was delivered, which a store in memory may do, is not there any more.
  let next = Math.max(digest.firstEvent, oldestEvent(store.read(readHead), trail))
  if (next > digest.lastEvent) return streams
  let mac = ""
  for await (const { at, record, genuine } of walk(store, trail.vault, next, digest.lastEvent)) {
    if (!genuine || at !== next || record.n !== at || (mac !== "" && record.previous !== mac)) break
    next++
    mac = record.mac
    const stream = streamOf(record.event)
    const name = streamName(stream)
    let open = streams.get(name)
    if (open === undefined) {
      open = { ...stream, files: [], delivered: 0, events: [], first: at }
      streams.set(name, open)
    }
    if (open.events.length === 0) open.first = at
    open.events.push(record.event)
    if (open.events.length === EVENTS_A_FILE) await flush(sink, digest, open)
  }
  if (next <= digest.lastEvent || mac !== digest.mac) throw damagedTrail(next)
  for (const open of streams.values()) if (open.events.length > 0) await flush(sink, digest, open)
  return streams
}

async function flush(
  sink: DeliverySink,
  { endTime, storeId }: Digest,
  stream: StreamLogs & { events: AuditEvent[]; first: number },
): Promise<void> {
  const records = stream.events
  stream.events = []
  stream.delivered += records.length
  const text = JSON.stringify({ Records: records })
  const s3Object = logFileName(stream, endTime, storeId, stream.first)
  const times = records.map(({ eventTime }) => eventTime).sort()
  await sink.write(s3Object, { body: await compress(text) })
  stream.files.push({
    s3Bucket: sink.bucket,
    s3Object,
    hashValue: sha256Hex(text),
    hashAlgorithm: "SHA-256",
    newestEventTime: times.at(-1)!,
    oldestEventTime: times[0]!,
  })
}

/** AUD-5.4: every account and Region seen so far gets a digest file, so that a missing one shows. */
async function writeDigestFiles(
  sink: DeliverySink,
  key: SigningKey,
  digest: Digest,
  logs: ReadonlyMap<string, StreamLogs>,
  before: State,
): Promise<State> {
  const names = [...new Set([...Object.keys(before.streams), ...logs.keys()])].sort()
  const streams: Record<string, StreamState> = {}
  for (const name of names) {
    const previous = before.streams[name]
    const { accountId, region } = (previous ?? logs.get(name))!
    const file = digestFile(sink, digest, { accountId, region }, logs.get(name)?.files ?? [], previous, names)
    const text = JSON.stringify(file)
    const signature = signText(key, textToSign(file, text)).toString("hex")
    await sink.write(file.digestS3Object, { body: await compress(text), signature })
    const { digestS3Object: object, digestEndTime: endTime } = file
    streams[name] = { accountId, region, endTime, object, hash: sha256Hex(text), signature }
  }
  return { version: 1, digest: digest.number, lastEvent: digest.lastEvent, streams }
}

function digestFile(
  { bucket }: DeliverySink,
  { storeId, number, startTime, endTime, firstEvent, lastEvent, mac, publicKeyFingerprint }: Digest,
  stream: Stream,
  logFiles: readonly LogFileEntry[],
  previous: StreamState | undefined,
  streams: readonly string[],
): DigestFile {
  return {
    awsAccountId: stream.accountId,
    digestStartTime: previous?.endTime ?? startTime,
    digestEndTime: endTime,
    digestS3Bucket: bucket,
    digestS3Object: digestFileName(stream, endTime, storeId),
    digestPublicKeyFingerprint: publicKeyFingerprint,
    digestSignatureAlgorithm: "SHA256withRSA",
    newestEventTime:
      logFiles
        .map(({ newestEventTime }) => newestEventTime)
        .sort()
        .at(-1) ?? null,
    oldestEventTime: logFiles.map(({ oldestEventTime }) => oldestEventTime).sort()[0] ?? null,
    previousDigestS3Bucket: previous === undefined ? null : bucket,
    previousDigestS3Object: previous?.object ?? null,
    previousDigestHashValue: previous?.hash ?? null,
    previousDigestHashAlgorithm: previous === undefined ? null : "SHA-256",
    previousDigestSignature: previous?.signature ?? null,
    logFiles,
    localKms: { storeId, digest: number, firstEvent, lastEvent, mac, streams },
  }
}
