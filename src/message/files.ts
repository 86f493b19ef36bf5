import { type FileHandle, open } from "node:fs/promises"
import { availableParallelism } from "node:os"
import { pipeline } from "node:stream/promises"
import { allocate, allocateUnfilled, type EncryptionMaterials, type MessageTrace, traced } from "../core/index.ts"
import { wipe } from "../crypto/index.ts"
import { encodeHeader, headerLength } from "../format/index.ts"
import { type FileJob, layoutOfPlaintext, workInLanes } from "../framing/index.ts"
import { ownHeader } from "./encryptor.ts"
import { type FilePath, targetOf } from "./file-target.ts"
import { type MessageHeader, toMessageHeader } from "./header-info.ts"
import { decryptTrace, planRead, type ReadPlan } from "./open.ts"
import { openAt, readHeader } from "./open-at.ts"
import type { DecryptOptions, EncryptOptions } from "./options.ts"
import { fileReader } from "./source.ts"
import { decryptStream, encryptStream, type MessageStream } from "./streams.ts"
import { encryptTrace, obtainMaterials, openWrite, planWrite, type WritePlan } from "./write.ts"

export interface FileOptions {
  /** Replace a file that has the target's name. Default false: the call fails with the system error `EEXIST`. */
  readonly overwrite?: boolean
  /**
   * Worker threads for large files, at most. Default: the number of processors, up to 4, as each costs some 12 MiB of
   * memory; 0 keeps everything on this thread.
   */
  readonly lanes?: number
  /** Called some ten times a second with the bytes read so far, and at the end with all of them. */
  readonly progress?: (bytes: number) => void
}

export interface FileResult {
  readonly header: MessageHeader
  /** Bytes. */
  readonly plaintextLength: number
}

/** From this many bytes on, worker threads make up for the time they take to start (`npm run bench -- cores`). */
const LANES_FROM = 32 * 1024 * 1024
const DEFAULT_MOST_LANES = 4
const CHUNK_LENGTH = 1024 * 1024

/**
 * Encrypts a file into a file: from 32 MiB on all processors, each lane with its own reads and writes, so that memory
 * and the event loop stay free. A target named by its path appears whole or not at all, with mode 0600.
 *
 * @param source a path, or an open file, read from its start
 * @param target a path, or an open, empty file
 * @throws what `encrypt` throws, and the errors of the file system
 */
export async function encryptFile(
  source: FilePath | FileHandle,
  target: FilePath | FileHandle,
  options: EncryptOptions & FileOptions,
): Promise<FileResult> {
  const plan = planWrite(options)
  return withFiles(source, target, options, async (files) => {
    if (!files.large || plan.suite.signed) return throughStream(files, encryptStream(options), "in", options)
    return traced(
      "encrypt",
      () => encryptTrace(plan, "encryptFile", files.size),
      (trace) => sealFile(files, plan, options, trace),
    )
  })
}

/**
 * Decrypts a file that holds one message into a file, as `encryptFile` does. Signed messages are accepted: a target
 * named by its path appears only after the signature verified. After a failure, an open file that was handed over as
 * target may hold the plaintext of some frames.
 *
 * @throws what `decrypt` throws, and the errors of the file system
 */
export async function decryptFile(
  source: FilePath | FileHandle,
  target: FilePath | FileHandle,
  options: DecryptOptions & FileOptions,
): Promise<FileResult> {
  const plan = planRead(options)
  return withFiles(source, target, options, async (files) => {
    const inOrder = () => throughStream(files, decryptStream({ ...options, signed: "verify-at-end" }), "out", options)
    if (!files.large) return inOrder()
    const header = await readHeader(fileReader(files.input, files.size), plan)
    if (header.suite.signed || header.contentType === "non-framed") return inOrder()
    return traced(
      "decrypt",
      () => decryptTrace(plan, "decryptFile"),
      (trace) => openFile(files, plan, options, trace),
    )
  })
}

// --- internal ---

interface Files {
  readonly input: FileHandle
  /** Bytes of the source. */
  readonly size: number
  readonly output: FileHandle
  /** Whether lanes pay: a regular file of some size. */
  readonly large: boolean
}

async function withFiles(
  source: FilePath | FileHandle,
  target: FilePath | FileHandle,
  { overwrite = false, lanes }: FileOptions,
  work: (files: Files) => Promise<FileResult>,
): Promise<FileResult> {
  if (lanes !== undefined && !(Number.isInteger(lanes) && lanes >= 0)) throw new RangeError("lanes must be 0 or more")
  const opened = typeof source === "string" || source instanceof URL ? await open(source, "r") : undefined
  try {
    const input = opened ?? (source as FileHandle)
    const stats = await input.stat()
    if (stats.isDirectory()) throw Object.assign(new Error("the source is a folder"), { code: "EISDIR" })
    const written = await targetOf(target, overwrite)
    try {
      const large = stats.isFile() && stats.size >= LANES_FROM && lanes !== 0
      const result = await work({ input, size: stats.size, output: written.handle, large })
      await written.commit()
      return result
    } catch (error) {
      await written.discard()
      throw error
    }
  } finally {
    await opened?.close()
  }
}

/** In order and on this thread. @param plaintext on which side of the stream the plaintext is */
async function throughStream(
  { input, output }: Files,
  stream: MessageStream,
  plaintext: "in" | "out",
  { progress, signal }: FileOptions & { signal?: AbortSignal },
): Promise<FileResult> {
  const counts = { in: 0, out: 0 }
  const timer = progress && setInterval(() => progress(counts.in), 100)
  async function* read() {
    for (;;) {
      const { bytesRead, buffer } = await input.read(allocateUnfilled(CHUNK_LENGTH), 0, CHUNK_LENGTH)
      if (bytesRead === 0) return
      counts.in += bytesRead
      yield buffer.subarray(0, bytesRead)
    }
  }
  async function write(pieces: AsyncIterable<Uint8Array>) {
    for await (const piece of pieces) {
      await output.writeFile(piece)
      counts.out += piece.length
    }
  }
  try {
    await pipeline(read, stream, write, signal ? { signal } : {})
  } finally {
    clearInterval(timer)
  }
  progress?.(counts.in)
  return { header: await stream.header, plaintextLength: counts[plaintext] }
}

async function sealFile(
  files: Files,
  plan: WritePlan,
  options: FileOptions,
  trace: MessageTrace | undefined,
): Promise<FileResult> {
  const { size, output } = files
  const layout = layoutOfPlaintext(size, plan.frameLength)
  const materials: EncryptionMaterials = await obtainMaterials(plan, size)
  if (trace !== undefined) trace.wrappedKeyCount = materials.wrappedKeys.length
  let key: Uint8Array | undefined
  try {
    const write = openWrite(plan, materials)
    key = write.key
    const bytes = allocate(headerLength(write.fields))
    encodeHeader(write.fields, bytes, write.tag)
    await output.write(bytes, 0, bytes.length, 0)
    const { suite, messageId } = write.fields
    const shape = { contentType: "framed", frameLength: plan.frameLength } as const
    const body = { suiteId: suite.id, key, messageId, shape, layout, bodyAt: bytes.length }
    await inLanes({ direction: "seal", ...body, ...descriptors(files) }, plan.signal, options)
    options.progress?.(size)
    return { header: ownHeader(bytes), plaintextLength: size }
  } finally {
    wipe(key)
    materials.release()
  }
}

async function openFile(
  files: Files,
  plan: ReadPlan,
  options: FileOptions,
  trace: MessageTrace | undefined,
): Promise<FileResult> {
  const { opened, last } = await openAt(fileReader(files.input, files.size), plan, trace)
  try {
    const { header, key } = opened
    const { plaintextLength, regularFrames } = last
    const layout = { regularFrames, finalLength: plaintextLength - regularFrames * header.frameLength }
    const { suite, messageId, contentType, frameLength } = header
    const shape = { contentType, frameLength }
    const body = { suiteId: suite.id, key, messageId, shape, layout, bodyAt: header.length }
    await inLanes({ direction: "open", ...body, ...descriptors(files) }, plan.signal, options)
    options.progress?.(files.size)
    return { header: toMessageHeader(header, true), plaintextLength }
  } finally {
    wipe(opened.key, last.plaintext)
  }
}

const descriptors = ({ input, output }: Files) => ({ sourceFd: input.fd, targetFd: output.fd })

const inLanes = (job: FileJob, signal: AbortSignal | undefined, { lanes, progress }: FileOptions): Promise<void> =>
  workInLanes(job, lanes ?? Math.min(availableParallelism(), DEFAULT_MOST_LANES), signal, progress)
