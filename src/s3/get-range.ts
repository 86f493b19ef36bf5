import type { GetObjectCommandOutput } from "@aws-sdk/client-s3"
import { EnvelopeError, truncated } from "../core/index.ts"
import { wipe } from "../crypto/index.ts"
import type { Header } from "../format/index.ts"
import { type FrameLayout, frameOffset } from "../framing/index.ts"
import { type OpenedRead, openMessage } from "../message/index.ts"
import { collect, nodeBody } from "./bodies.ts"
import { sendAs } from "./call.ts"
import type { FrameRun } from "./frames.ts"
import { withEnvelopeInfo } from "./metadata.ts"
import { collectFrames, jobOf, layoutOf, openHeader, type Span, streamFrames } from "./opened.ts"
import { bytesBody } from "./output-body.ts"
import { getPinned, isChanged, type Pin, pinOf } from "./pinned.ts"
import { type ByteRange, resolveRange } from "./range.ts"
import type { CachedObject } from "./read-cache.ts"
import { findS3ec, isS3ec, openS3ecRange, rangeableLength, type S3ecObject } from "./read-s3ec.ts"
import {
  beginReading,
  boundPlace,
  envelopeInfo,
  type GetCall,
  headerAt,
  plainOutput,
  plaintextInfo,
  requireMessagesAllowed,
  requirePlaintextAllowed,
} from "./reading.ts"

/** The first request of a read brings the header, and small objects whole. */
const FIRST_READ = 4 * 1024
/** Ranges above this many bytes are opened as they are read. */
const AT_ONCE = 4 * 1024 * 1024
/** A gap that is cheaper to fetch than another request. */
const GAP = 256 * 1024

/** OBJ-5.2: the bytes of a range, from the frames that hold them. Restarts once when the object is replaced meanwhile. */
export async function getRange(call: GetCall, range: ByteRange): Promise<GetObjectCommandOutput> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await tryRange(call, range)
    } catch (error) {
      if (!(error instanceof Changed)) throw error
      if (attempt === 2) {
        throw new EnvelopeError("ObjectChanged", "the object was replaced twice while it was read", {
          cause: error.cause,
        })
      }
    }
  }
}

/** The object was replaced between two requests of one read. */
class Changed extends Error {}

/** An object, authentic as far as its header goes. */
interface Opened extends Omit<CachedObject, "key" | "encryptionContext"> {
  /** Header and key once they are authentic: what they open is fetched meanwhile. */
  readonly opening: Promise<Pick<OpenedRead, "header" | "key">>
  /** The output to answer with, but for body and lengths. */
  readonly output: GetObjectCommandOutput | undefined
  /** Bytes from the object's start that are there already. */
  readonly start: Uint8Array
}

async function tryRange(call: GetCall, range: ByteRange): Promise<GetObjectCommandOutput> {
  const { cache } = call.session
  const id = cacheId(call)
  const cached = id === undefined ? undefined : cache?.get(id)
  if (cached !== undefined) {
    try {
      const opening = Promise.resolve(cached)
      return await readFrames(call, range, { ...cached, opening, output: undefined, start: new Uint8Array(0) })
    } catch (error) {
      cache!.evict(id!)
      if (!(error instanceof Changed)) throw error
    } finally {
      wipe(cached.key)
    }
  }
  const first = await firstRequest(call)
  if (first === undefined) return passThrough(call)
  const { output, start, size, header } = first
  const s3ec = header === undefined ? await findS3ec(call, output.Metadata) : undefined
  if (s3ec !== undefined) return readS3ecRange(call, range, output, size, s3ec)
  if (header === undefined) return passThrough(call)
  requireMessagesAllowed(call)
  if (header.suite.signed || header.contentType !== "framed") return viaHandle(call, range, output, size)
  const pin = pinOf(output)
  const opening = openHeader(call, header)
  try {
    // What is wrong without asking for a key is known by now, and nothing more is fetched.
    await Promise.race([opening, Promise.resolve()])
    const answer = await readFrames(call, range, { header, opening, size, pin, output, start })
    // Without the version, unless the caller names one: the next read is of what is current then, by its ETag.
    if (id !== undefined && pin.IfMatch !== undefined)
      cache?.put(id, { ...(await opening), size, pin: { IfMatch: pin.IfMatch } })
    return answer
  } finally {
    wipe((await opening.catch(() => undefined))?.key)
  }
}

/** CSE-5.2: not authenticated, and only where the options say so. */
async function readS3ecRange(
  call: GetCall,
  asked: ByteRange,
  output: GetObjectCommandOutput,
  size: number,
  object: S3ecObject,
): Promise<GetObjectCommandOutput> {
  const pin = pinOf(output)
  const total = rangeableLength(object, size)
  const range = resolveRange(asked, total)
  if (range === undefined) return beyondTheEnd(call, { pin, size })
  return openS3ecRange(call, object, output, range, total, (start, end) => fetchBytes(call, pin, start, end))
}

/** Whatever decides whether a read may use what another one opened. @returns undefined for none */
const cacheId = (call: GetCall): string | undefined => {
  const { Bucket, Key, VersionId, SSECustomerKey } = call.input
  const { encryptionContext, objectContext } = call.own
  if (call.own.encryption?.customerKey !== undefined || typeof objectContext === "function") return undefined
  return JSON.stringify([Bucket, Key, VersionId, SSECustomerKey, boundPlace(call), encryptionContext, objectContext])
}

interface FirstAnswer {
  readonly output: GetObjectCommandOutput
  readonly start: Uint8Array
  /** Bytes of the whole object. */
  readonly size: number
  /** Undefined for an object that is no message. */
  readonly header: Header | undefined
}

/** @returns undefined for an empty object */
async function firstRequest(call: GetCall): Promise<FirstAnswer | undefined> {
  const output = await sendAs<typeof call.input, GetObjectCommandOutput>(call, {
    ...call.input,
    Range: `bytes=0-${FIRST_READ - 1}`,
  }).catch((error) => {
    if (error?.name === "InvalidRange") return undefined
    throw error
  })
  if (output === undefined) return undefined
  const size = Number(/\/(\d+)$/.exec(output.ContentRange ?? "")?.[1] ?? Number.NaN)
  if (!Number.isSafeInteger(size)) throw new TypeError("the S3 client answered a range without ContentRange")
  let start = await collect(nodeBody(output.Body), output.ContentLength ?? 0)
  // Ciphertext of the other format may begin as a message by chance.
  if (isS3ec(output.Metadata)) return { output, start, size, header: undefined }
  for (;;) {
    const header = headerAt(start)
    if (typeof header !== "number") return { output, start, size, header }
    if (start.length === size || header > size) throw truncated("the object ends within its header")
    start = await fetchBytes(call, pinOf(output), 0, Math.min(size, Math.max(header, 2 * start.length)))
  }
}

/** S3 decides about ranges of objects that are not encrypted. */
async function passThrough(call: GetCall): Promise<GetObjectCommandOutput> {
  requirePlaintextAllowed(call)
  return withEnvelopeInfo(await sendAs<typeof call.input, GetObjectCommandOutput>(call, call.input), plaintextInfo)
}

async function readFrames(call: GetCall, asked: ByteRange, opened: Opened): Promise<GetObjectCommandOutput> {
  const { header, size } = opened
  const layout = layoutOf(header, size)
  const total = layout.plaintextLength
  const range = resolveRange(asked, total)
  if (range === undefined) {
    // That the range lies beyond the end is believed only when the final frame is there.
    await fetchFinal(call, opened, layout)
    return beyondTheEnd(call, opened)
  }
  const runs = runsFor(call, asked, range, layout, header.frameLength)
  const reads = await fetchRange(call, opened, layout, runs, range)
  const { output, body, authenticated } = reads
  const ContentRange = `bytes ${range.start}-${range.end - 1}/${total}`
  const fields = { Body: body, ContentLength: range.end - range.start, ContentRange }
  const info = envelopeInfo(header, { plaintextLength: total, authenticated })
  return withEnvelopeInfo(plainOutput(output, fields), info)
}

interface Runs {
  /** What holds the range. */
  readonly main: FrameRun
  /** The final frame by itself, to authenticate the total. */
  readonly apart: boolean
}

/** OBJ-5.3: the final frame is fetched where the range reaches it, where its length decides, and on request. */
function runsFor(
  { own, session }: GetCall,
  asked: ByteRange,
  { start, end }: Span,
  { regularFrames, finalLength }: FrameLayout,
  frameLength: number,
): Runs {
  const first = Math.floor(start / frameLength)
  const stop = Math.min(regularFrames, Math.ceil(end / frameLength))
  const inFinal = end > regularFrames * frameLength || asked.kind !== "closed"
  const wanted = inFinal || (own.authenticateTotal ?? session.settings.authenticateTotal)
  const near = (regularFrames - stop) * frameLength <= GAP
  const together = wanted && near
  const main = together
    ? { first: Math.min(first, regularFrames), regular: regularFrames - Math.min(first, regularFrames), finalLength }
    : { first, regular: stop - first }
  return { main, apart: wanted && !together }
}

interface FetchedRange {
  readonly output: GetObjectCommandOutput
  readonly body: NonNullable<GetObjectCommandOutput["Body"]>
  /** Whether the final frame stands behind the total. */
  readonly authenticated: boolean
}

async function fetchRange(
  call: GetCall,
  opened: Opened,
  layout: FrameLayout,
  { main, apart }: Runs,
  range: Span,
): Promise<FetchedRange> {
  const [from, to] = bytesOf(main, opened)
  const total = apart ? fetchFinal(call, opened, layout) : undefined
  total?.catch(() => {})
  const authenticated = apart || main.finalLength !== undefined
  const there = to <= opened.start.length
  const answer = there ? undefined : await pinned(call, opened.pin, from, to)
  const output = opened.output ?? answer!
  const fetched = answer && nodeBody(answer.Body)
  try {
    if (fetched !== undefined && to - from > AT_ONCE) {
      await total
      const body = streamFrames(jobOf(call, await opened.opening), main, fetched, range)
      return { output, body, authenticated: apart }
    }
    const chunks = fetched ?? [opened.start.subarray(from, to)]
    const bytes = await collectFrames(jobOf(call, await opened.opening), main, chunks, range)
    await total
    return { output, body: bytesBody(bytes), authenticated }
  } catch (error) {
    fetched?.destroy()
    throw error
  }
}

/** Where the frames stand in the object. */
function bytesOf(run: FrameRun, { header, size }: Opened): [number, number] {
  const from = header.length + frameOffset(run.first, header.frameLength)
  return [from, run.finalLength === undefined ? from + frameOffset(run.regular, header.frameLength) : size]
}

/** Authenticates the final frame, and with it the length. */
async function fetchFinal(call: GetCall, opened: Opened, { regularFrames, finalLength }: FrameLayout): Promise<void> {
  const run = { first: regularFrames, regular: 0, finalLength }
  const [from, to] = bytesOf(run, opened)
  const bytes =
    to <= opened.start.length ? opened.start.subarray(from, to) : await fetchBytes(call, opened.pin, from, to)
  await collectFrames(jobOf(call, await opened.opening), run, [bytes], { start: 0, end: 0 })
}

async function fetchBytes(call: GetCall, pin: Pin, from: number, to: number): Promise<Uint8Array> {
  const { Body } = await pinned(call, pin, from, to)
  const bytes = await collect(nodeBody(Body), to - from)
  if (bytes.length < to - from) throw truncated("the object ended before its length")
  return bytes
}

/** @throws Changed where S3 says that it is another object now, and the caller asked for none by its ETag */
async function pinned(call: GetCall, pin: Pin, from: number, to: number): Promise<GetObjectCommandOutput> {
  try {
    return await getPinned(call, pin, from, to)
  } catch (error) {
    if (!isChanged(error) || call.input.IfMatch !== undefined) throw error
    throw new Changed("the object was replaced", { cause: error })
  }
}

/** S3 answers with its own error. */
async function beyondTheEnd(
  call: GetCall,
  { pin, size }: Pick<Opened, "pin" | "size">,
): Promise<GetObjectCommandOutput> {
  await pinned(call, pin, size, size + 1)
  throw truncated("the object grew while it was read")
}

/** Signed and non-framed messages: by the general reader, which checks the signature over the whole first. */
async function viaHandle(
  call: GetCall,
  asked: ByteRange,
  output: GetObjectCommandOutput,
  size: number,
): Promise<GetObjectCommandOutput> {
  const pin = pinOf(output)
  const source = { size, read: (offset: number, length: number) => fetchBytes(call, pin, offset, offset + length) }
  const reading = beginReading(call)
  try {
    await using handle = await openMessage(source, reading.options)
    await handle.verify()
    const { plaintextLength, header } = handle
    const range = resolveRange(asked, plaintextLength)
    if (range === undefined) return await beyondTheEnd(call, { pin, size })
    const bytes = await handle.read(range.start, range.end)
    const ContentRange = `bytes ${range.start}-${range.end - 1}/${plaintextLength}`
    const fields = { Body: bytesBody(bytes), ContentLength: bytes.length, ContentRange }
    const info = { suite: { id: header.suiteId } as Header["suite"], wrappedKeys: header.wrappedKeys }
    return withEnvelopeInfo(plainOutput(output, fields), envelopeInfo(info, { plaintextLength, authenticated: true }))
  } finally {
    reading.close()
  }
}
