import { basename } from "node:path"
import { pipeline } from "node:stream/promises"
import type { MessageHeader, MessageStream } from "../message/index.ts"
import { decodeBase64, encodeBase64 } from "./base64.ts"
import { ioError, isErrno, usageError } from "./failures.ts"
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
  readonly stream: MessageStream
  readonly encodesBase64?: boolean
  /** The output is to be read on a terminal. */
  readonly textOnly?: boolean
}

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
    const outputLength = await pump(stages, target)
    progress.end()
    const seconds = (performance.now() - started) / 1000
    await reportDone(job, await stages.stream.header, { inputLength: progress.bytes, outputLength, seconds })
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

/** @returns bytes written */
async function pump({ input, stream, encodesBase64, textOnly }: JobStages, target: Target): Promise<number> {
  try {
    const output = await target.open()
    const last = encodesBase64 ? encodeBase64 : textOnly ? refuseBinary : undefined
    await (last === undefined ? pipeline(input, stream, output) : pipeline(input, stream, last, output))
    await target.commit()
    return output.written
  } catch (error) {
    await target.discard()
    throw isErrno(error) ? ioError(`cannot write ${target.name}`, error) : error
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
