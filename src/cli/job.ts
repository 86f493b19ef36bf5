import type { FileHandle } from "node:fs/promises"
import { basename } from "node:path"
import { pipeline } from "node:stream/promises"
import type { FileResult, MessageHeader, MessageStream } from "../message/index.ts"
import { decodeBase64, encodeBase64 } from "./base64.ts"
import { ioError, isErrno, orUsageError, usageError } from "./failures.ts"
import { print } from "./fd.ts"
import { jsonHeader } from "./header-json.ts"
import { noteDone, write } from "./messages.ts"
import { type Progress, startProgress } from "./progress.ts"
import type { Source } from "./source.ts"
import type { Target } from "./target.ts"
import { formatBytes, printable, toJson } from "./text.ts"

type Chunks = AsyncIterable<Uint8Array>

/** One file or stream on its way through the command. */
export interface Job {
  /** `encrypting`, `decrypting`, `re-encrypting`; and how it reads when it is done. */
  readonly verb: readonly [now: string, past: string]
  readonly source: Source
  readonly target: Target
  readonly json: boolean
}

export interface JobStages {
  /** The source's chunks, or what was decoded and peeked of them. */
  readonly input: Chunks
  readonly stream: () => MessageStream
  /** The same straight from file to file, faster; absent where bytes are to be changed on their way. */
  readonly files?: ((source: FileHandle, target: FileHandle, progress: Reach) => Promise<FileResult>) | undefined
  readonly encodesBase64?: boolean
  /** The output is to be read on a terminal. */
  readonly textOnly?: boolean
}

/** Told how many bytes of the source were read in all. */
type Reach = (bytes: number) => void

/**
 * Pumps the source through the stages into the target, which appears only when all went well, and reports.
 *
 * @param plan makes the stages from the source's chunks, counted for the progress bar
 */
export async function runJob(job: Job, plan: (chunks: Chunks) => Promise<JobStages>): Promise<void> {
  const { source, target, verb } = job
  const progress = startProgress(`${verb[0]} ${printable(basename(source.name))}`, source.size, !target.isTerminal)
  const started = performance.now()
  try {
    const stages = await plan(counted(source.chunks, progress))
    const { header, outputLength } = await intoTarget(target, () =>
      stages.files !== undefined && source.handle !== undefined && target.openFile !== undefined
        ? workFiles(stages.files, source.handle, target.openFile, job, progress)
        : pump(stages, target),
    )
    progress.end()
    const seconds = (performance.now() - started) / 1000
    await reportDone(job, header, { inputLength: progress.bytes, outputLength, seconds })
  } finally {
    progress.end()
  }
}

/** Decodes what comes in, where `--base64` says so. */
export const decodeInput = (chunks: Chunks, base64: boolean | undefined): Chunks =>
  base64 ? decodeBase64(chunks) : chunks

// --- internal ---

async function* counted(chunks: Chunks, progress: Progress): Chunks {
  for await (const chunk of chunks) {
    progress.add(chunk.length)
    yield chunk
  }
}

interface Outcome {
  readonly header: MessageHeader
  /** Bytes written. */
  readonly outputLength: number
}

async function intoTarget(target: Target, work: () => Promise<Outcome>): Promise<Outcome> {
  try {
    const outcome = await work()
    await target.commit()
    return outcome
  } catch (error) {
    await target.discard()
    throw isErrno(error) ? ioError(`cannot write ${target.name}`, error) : error
  }
}

async function pump(
  { input, stream: makeStream, encodesBase64, textOnly }: JobStages,
  target: Target,
): Promise<Outcome> {
  const stream = orUsageError(makeStream)
  const output = await target.open()
  const last = encodesBase64 ? encodeBase64 : textOnly ? refuseBinary : undefined
  await (last === undefined ? pipeline(input, stream, output) : pipeline(input, stream, last, output))
  return { header: await stream.header, outputLength: output.written }
}

async function workFiles(
  work: NonNullable<JobStages["files"]>,
  input: FileHandle,
  openOutput: () => Promise<FileHandle>,
  { source }: Job,
  progress: Progress,
): Promise<Outcome> {
  const output = await openOutput()
  try {
    const { header } = await orUsageError(() => work(input, output, (bytes) => progress.reach(bytes)))
    const { size } = await output.stat()
    return { header, outputLength: size }
  } catch (error) {
    throw isErrno(error) && error.syscall === "read" ? ioError(`cannot read ${source.name}`, error) : error
  }
}

/** Keeps binary data, and whatever else could steer a terminal, off the screen. */
async function* refuseBinary(chunks: Chunks): Chunks {
  let before = 0
  for await (const chunk of chunks) {
    for (const byte of chunk) {
      if (isControl(before, byte)) throw notText()
      before = byte
    }
    yield chunk
  }
}

const notText = () =>
  usageError(
    "the plaintext is no text, and the output a terminal",
    "write it to a file: -o FILE; or print it all the same: -o -",
  )

/** Control characters of ASCII but for tab, line feed and carriage return, and those of ISO 6429 as UTF-8. */
const isControl = (before: number, byte: number): boolean =>
  (byte < 0x20 && byte !== 0x09 && byte !== 0x0a && byte !== 0x0d) ||
  byte === 0x7f ||
  (before === 0xc2 && byte >= 0x80 && byte < 0xa0)

interface Measures {
  /** Bytes read and written. */
  readonly inputLength: number
  readonly outputLength: number
  readonly seconds: number
}

async function reportDone(
  { verb, source, target, json }: Job,
  header: MessageHeader,
  measures: Measures,
): Promise<void> {
  const { inputLength, seconds } = measures
  if (json) {
    const report = { input: source.name, output: target.name, ...measures, header: jsonHeader(header) }
    const line = toJson(report)
    // Standard output holds the data itself when that goes there.
    if (target.isFile) await print(line)
    else write(line)
    return
  }
  if (!target.isFile) return
  const rate = `${formatBytes(Math.round(inputLength / seconds))}/s`
  noteDone(
    `${verb[1]} ${source.name} to ${target.name}: ${formatBytes(inputLength)} in ${seconds.toFixed(1)} s, ${rate}`,
  )
}
