import { allocate, copyBytes, EnvelopeError, equalBytes } from "../core/index.ts"
import type { Disk } from "./disk.ts"
import { tamperedVolume } from "./failures.ts"
import { logName } from "./files.ts"
import type { Geometry } from "./geometry.ts"
import type { VolumeHeader } from "./header.ts"
import { Domain, type VolumeKeys } from "./keys.ts"
import { type LogMark, MAX_LOG_LENGTH } from "./log.ts"
import {
  decodeBody,
  decodeRecordHeader,
  type Item,
  RECORD_HEADER_LENGTH,
  RECORD_MAGIC,
  type RecordBody,
  recordLength,
  TAG_LENGTH,
} from "./record.ts"

export interface LogRecord {
  readonly sequence: number
  readonly tag: Uint8Array
  readonly items: readonly Item[]
}

/** A log as found. */
export interface FoundLog {
  readonly records: readonly LogRecord[]
  /** The highest that a record claims (VOL-5.4). */
  readonly durableSequence: number
  readonly end: LogMark
}

/**
 * VOL-7.2, VOL-7.3: the valid records of the log that the header names.
 *
 * @throws EnvelopeError `TamperedVolume` when it is absent, or a valid record shows that one before it was durable
 */
export async function readLog(
  disk: Disk,
  keys: VolumeKeys,
  geometry: Geometry,
  header: VolumeHeader,
): Promise<FoundLog> {
  const file = await disk.open(logName(header.log))
  // VOL-3.4
  if (file === undefined) throw tamperedVolume(`the volume's log, file ${logName(header.log)}, is missing: the volume`)
  try {
    if (!disk.readOnly) await file.sync()
    const size = await file.size()
    if (size > MAX_LOG_LENGTH) throw tamperedVolume("the volume's log, which is longer than any,")
    const bytes = allocate(size)
    await file.read(bytes, 0)
    return parseLog(bytes, keys, geometry, header)
  } finally {
    await file.close()
  }
}

function parseLog(bytes: Uint8Array, keys: VolumeKeys, geometry: Geometry, header: VolumeHeader): FoundLog {
  const records: LogRecord[] = []
  let durableSequence = header.firstSequence - 1
  let end: LogMark = { position: 0, sequence: header.firstSequence - 1, tag: allocate(TAG_LENGTH) }
  for (;;) {
    const found = openRecord(bytes, end.position, keys, geometry, header.log)
    if (found === undefined || found.sequence !== end.sequence + 1) break
    if (!equalBytes(found.body.previousTag, end.tag)) break
    durableSequence = Math.max(durableSequence, found.body.durableSequence)
    records.push({ sequence: found.sequence, tag: found.tag, items: found.body.items })
    end = { position: found.end, sequence: found.sequence, tag: found.tag }
  }
  if (durableSequence > end.sequence || isCut(bytes, end, keys, geometry, header.log)) {
    throw tamperedVolume(`the volume's log, without its durable record ${end.sequence + 1},`)
  }
  return { records, durableSequence, end }
}

interface OpenRecord {
  readonly sequence: number
  readonly tag: Uint8Array
  readonly body: RecordBody
  /** Position after it. */
  readonly end: number
}

/** @returns undefined when there is no valid record at `at` */
function openRecord(
  bytes: Uint8Array,
  at: number,
  keys: VolumeKeys,
  geometry: Geometry,
  log: number,
): OpenRecord | undefined {
  const fields = decodeRecordHeader(bytes, at)
  if (fields === undefined) return undefined
  const end = at + recordLength(fields.bodyLength)
  if (end > bytes.length) return undefined
  const start = at + RECORD_HEADER_LENGTH
  const tag = copyBytes(bytes.subarray(end - TAG_LENGTH, end))
  const aad = keys.recordAad(bytes.subarray(at, start), log)
  const body = keys.open(Domain.record, fields, aad, bytes.subarray(start, end - TAG_LENGTH), tag)
  if (body === undefined) return undefined
  try {
    return { sequence: fields.sequence, tag, end, body: decodeBody(body, geometry.blockSize, geometry.blockCount) }
  } catch (error) {
    if (error instanceof EnvelopeError) return undefined
    throw error
  }
}

/** VOL-7.3: whether a valid record after the end says that the first missing one was durable. */
function isCut(bytes: Uint8Array, end: LogMark, keys: VolumeKeys, geometry: Geometry, log: number): boolean {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
  const magic = Buffer.from(RECORD_MAGIC)
  for (let at = buffer.indexOf(magic, end.position); at >= 0; at = buffer.indexOf(magic, at + 1)) {
    const fields = decodeRecordHeader(bytes, at)
    if (fields === undefined || fields.sequence <= end.sequence) continue
    const found = openRecord(bytes, at, keys, geometry, log)
    if (found !== undefined && found.body.durableSequence > end.sequence) return true
  }
  return false
}
