import type { FileHandle } from "node:fs/promises"
import { basename } from "node:path"
import { Readable } from "node:stream"
import { pipeline } from "node:stream/promises"
import { CopyObjectCommand, GetObjectCommand, PutObjectCommand } from "@aws-sdk/client-s3"
import { type InspectedObject, inspectObject } from "../../s3/index.ts"
import { CliError, ioError, isErrno, usageError } from "../failures.ts"
import { print } from "../fd.ts"
import { noteDone, write } from "../messages.ts"
import { type Progress, startProgress } from "../progress.ts"
import { formatS3Place, isS3Place, parseS3Object, parseS3Target, type S3Place } from "../s3-place.ts"
import { readRules, ruleOf } from "../s3-rules.ts"
import {
  keyArnsOf,
  noSuchObject,
  type ObjectOptions,
  type ObjectSession,
  sendOptions,
  withObjects,
} from "../s3-session.ts"
import { openSource, type Source } from "../source.ts"
import { openTarget, type Target } from "../target.ts"
import { formatBytes, printable, toJson } from "../text.ts"

export interface PutOptions extends ObjectOptions {
  readonly contentType?: string
  readonly storageClass?: string
  readonly metadata?: string[]
  readonly ifAbsent?: boolean
}

export interface GetOptions extends ObjectOptions {
  readonly range?: string
  readonly force?: boolean
  readonly versionId?: string
}

const PARALLEL = 4
/** Bytes of one request of a parallel download, and of the smallest object that is worth it. */
const PIECE = 16 * 1024 * 1024
const LARGE = 2 * PIECE

export async function s3PutCommand(file: string, to: string, options: PutOptions): Promise<void> {
  const source = await openSource(file)
  const place = parseS3Target(to, source.name === "standard input" ? undefined : basename(source.name))
  const rule = options.key === undefined ? ruleOf(await readRules(), place) : undefined
  if (rule?.encryption.off && source.size === undefined) {
    throw usageError("the length of what is not to be encrypted must be known", "put a file, or encrypt it: --key")
  }
  await withObjects(
    options,
    async () => ({ writes: place }),
    async ({ client }) => {
      const progress = startProgress(`putting ${printable(basename(source.name))}`, source.size, true)
      const started = performance.now()
      try {
        const command = new PutObjectCommand({
          Bucket: place.bucket,
          Key: place.key,
          Body: Readable.from(counted(source.chunks, progress), { objectMode: false, highWaterMark: 1024 * 1024 }),
          ...(source.size !== undefined && { ContentLength: source.size }),
          ...objectFields(options),
        })
        const { ETag, VersionId } = await client.send(command, sendOptions(options))
        progress.end()
        const done = { input: source.name, output: formatS3Place(place), etag: ETag, versionId: VersionId }
        await report(["put", source.name, formatS3Place(place)], done, progress.bytes, started, options, true)
      } finally {
        progress.end()
      }
    },
  )
}

export async function s3GetCommand(from: string, file: string | undefined, options: GetOptions): Promise<void> {
  const place = parseS3Object(from)
  const path = file ?? basename(place.key)
  if (path === "") throw usageError(`'${from}' has no file name`, "name the file: envelope s3 get S3-URL FILE")
  await download(place, path, options)
}

export const s3CatCommand = (from: string, options: GetOptions): Promise<void> =>
  download(parseS3Object(from), undefined, options)

/** Between buckets, and, for those used to it, between a bucket and a file. */
export async function s3CopyCommand(from: string, to: string, options: PutOptions & GetOptions): Promise<void> {
  if (!isS3Place(from)) return s3PutCommand(from, to, options)
  if (!isS3Place(to)) return s3GetCommand(from, to, options)
  const source = parseS3Object(from)
  const place = parseS3Target(to, basename(source.key))
  let size = 0
  await withObjects(
    options,
    async (s3) => {
      const found = await inspectObject({ client: s3, ...source })
      if (found === undefined) throw noSuchObject(source)
      size = found.plaintextLength ?? found.size
      return { reads: keyArnsOf(found), writes: place }
    },
    async ({ client }) => {
      const started = performance.now()
      const command = new CopyObjectCommand({
        Bucket: place.bucket,
        Key: place.key,
        CopySource: `${source.bucket}/${source.key.split("/").map(encodeURIComponent).join("/")}`,
        ...(options.ifAbsent && { IfNoneMatch: "*" }),
      })
      const { CopyObjectResult, VersionId } = await client.send(command, sendOptions(options))
      const names = { input: formatS3Place(source), output: formatS3Place(place) }
      const done = { ...names, etag: CopyObjectResult?.ETag, versionId: VersionId }
      await report(["copied", names.input, names.output], done, size, started, options, true)
    },
  )
}

// --- internal ---

async function* counted(chunks: AsyncIterable<Uint8Array>, progress: Progress): AsyncGenerator<Uint8Array> {
  for await (const chunk of chunks) {
    progress.add(chunk.length)
    yield chunk
  }
}

function objectFields({ contentType, storageClass, metadata, ifAbsent }: PutOptions) {
  const pairs = (metadata ?? []).map((text): [string, string] => {
    const at = text.indexOf("=")
    if (at <= 0) throw usageError(`--metadata '${text}' is no pair`, "write --metadata NAME=VALUE")
    return [text.slice(0, at), text.slice(at + 1)]
  })
  return {
    ...(contentType !== undefined && { ContentType: contentType }),
    ...(storageClass !== undefined && { StorageClass: storageClass as "STANDARD" }),
    ...(pairs.length > 0 && { Metadata: Object.fromEntries(pairs) }),
    ...(ifAbsent && { IfNoneMatch: "*" }),
  }
}

async function download(place: S3Place, path: string | undefined, options: GetOptions): Promise<void> {
  const { range, force = false, versionId } = options
  const name = formatS3Place(place)
  const Range = range === undefined ? undefined : rangeHeader(range)
  let found: InspectedObject | undefined
  await withObjects(
    options,
    async (s3) => {
      found = await inspectObject({ client: s3, ...place, ...(versionId !== undefined && { versionId }) })
      if (found === undefined) throw noSuchObject(place)
      if (found.format !== "plaintext" && found.format !== "empty") return { reads: keyArnsOf(found) }
      if (options.allowPlaintext) return {}
      throw new CliError("notEncrypted", `${name} is not encrypted`)
    },
    async (session) => {
      const size = Range === undefined ? found!.plaintextLength : undefined
      const target = await openTarget({ path, force, source: nothing(name) })
      const progress = startProgress(`getting ${printable(basename(place.key))}`, size, !target.isTerminal)
      const started = performance.now()
      try {
        const isLarge =
          size !== undefined && size >= LARGE && target.openFile !== undefined && found!.format === "message"
        const job = { session, place, object: found!, target, options, progress, Range }
        await (isLarge ? inPieces(job, size) : asStream(job))
        await target.commit()
        progress.end()
        const done = { input: name, output: target.name, versionId: found!.versionId }
        await report(["got", name, target.name], done, progress.bytes, started, options, target.isFile)
      } catch (error) {
        await target.discard()
        throw isErrno(error) && error.syscall === "write" ? ioError(`cannot write ${target.name}`, error) : error
      } finally {
        progress.end()
      }
    },
  )
}

interface Download {
  readonly session: ObjectSession
  readonly place: S3Place
  readonly object: InspectedObject
  readonly target: Target
  readonly options: GetOptions
  readonly progress: Progress
  readonly Range: string | undefined
}

function getCommand({ place, object, options }: Download, Range: string | undefined): GetObjectCommand {
  const { versionId } = options
  return new GetObjectCommand({
    Bucket: place.bucket,
    Key: place.key,
    ...(versionId !== undefined && { VersionId: versionId }),
    // The object that was looked at, and no other.
    ...(object.etag !== undefined && { IfMatch: object.etag }),
    ...(Range !== undefined && { Range }),
  })
}

async function asStream(job: Download): Promise<void> {
  const { Body } = await job.session.client.send(getCommand(job, job.Range), sendOptions(job.options))
  const output = await job.target.open()
  await pipeline(counted(Body as Readable, job.progress), output)
}

/** Several ranges at a time; the last one goes to the end that the final frame authenticates, whatever was expected. */
async function inPieces(job: Download, size: number): Promise<void> {
  const file = await job.target.openFile!()
  const starts = Array.from({ length: Math.ceil(size / PIECE) }, (_, i) => i * PIECE)
  const last = starts.at(-1)
  // The first range fetches header and data key for all.
  await piece(job, file, starts.shift()!, false)
  const worker = async (): Promise<void> => {
    for (let start = starts.shift(); start !== undefined; start = starts.shift()) {
      await piece(job, file, start, start === last)
    }
  }
  const workers = Array.from({ length: job.options.parallel ?? PARALLEL }, worker)
  const outcomes = await Promise.allSettled(workers)
  const failed = outcomes.find((outcome) => outcome.status === "rejected")
  if (failed !== undefined) throw failed.reason
}

async function piece(job: Download, file: FileHandle, start: number, isLast: boolean): Promise<void> {
  const Range = `bytes=${start}-${isLast ? "" : start + PIECE - 1}`
  const { Body } = await job.session.client.send(getCommand(job, Range), sendOptions(job.options))
  let at = start
  for await (const chunk of Body as Readable) {
    await file.write(chunk as Uint8Array, 0, (chunk as Uint8Array).length, at)
    at += (chunk as Uint8Array).length
    job.progress.add((chunk as Uint8Array).length)
  }
}

/** `0-99`, `100-`, `-16`: as the header has it. */
function rangeHeader(text: string): string {
  if (/^(\d+-\d*|-\d+)$/.test(text)) return `bytes=${text}`
  throw usageError(`'${text}' is no range`, "bytes from 0, both ends included: 0-99, 100-, or -16 for the last 16")
}

const nothing = (name: string): Source => ({
  name,
  size: undefined,
  file: undefined,
  handle: undefined,
  chunks: (async function* () {})(),
})

async function report(
  [verb, from, to]: readonly [string, string, string],
  facts: Readonly<Record<string, unknown>>,
  bytes: number,
  started: number,
  { json }: ObjectOptions,
  isFile: boolean,
): Promise<void> {
  const seconds = (performance.now() - started) / 1000
  if (json) {
    const line = toJson({ ...facts, bytes, seconds })
    // Standard output holds the data itself when that goes there.
    if (isFile) await print(line)
    else write(line)
  } else if (isFile) {
    const rate = `${formatBytes(Math.round(bytes / seconds))}/s`
    noteDone(`${verb} ${from} to ${to}: ${formatBytes(bytes)} in ${seconds.toFixed(1)} s, ${rate}`)
  }
}
