import { allocate } from "../core/index.ts"
import type { DiskFile } from "./disk.ts"
import { Domain, type VolumeKeys } from "./keys.ts"
import { encodeBody, encodeRecordHeader, type Item, recordLength, TAG_LENGTH } from "./record.ts"

/** VOL-5.1: a log is at most this long. */
export const MAX_LOG_LENGTH = 2 ** 28
/** Bytes of zeros written ahead: a synchronisation that need not note a new file size costs half as much. */
const FILL_LENGTH = 2 ** 21
const FILL_MARGIN = 2 ** 18

/** Where a log stands between two records. */
export interface LogMark {
  /** Bytes. */
  readonly position: number
  /** Of the last record; one below the log's first for none. */
  readonly sequence: number
  readonly tag: Uint8Array
}

/** Appends sealed records to a log (VOL-5.1). */
export interface LogWriter {
  readonly number: number
  readonly mark: LogMark
  /** Seals a record now and writes it in the background. */
  append(items: readonly Item[], durableSequence: number): { readonly mark: LogMark; readonly written: Promise<void> }
  /** Goes back, after a write that failed: the next record takes the place of those after the mark. */
  rewind(mark: LogMark): void
  /**
   * Writes zeros ahead where that is wanted and little is left. No record may be appended before the promise has settled: the
   * zeros would come over it.
   */
  fill(wanted: boolean): Promise<void> | undefined
  sync(): Promise<void>
  close(): Promise<void>
}

export function logWriter(file: DiskFile, number: number, firstSequence: number, keys: VolumeKeys): LogWriter {
  let mark: LogMark = { position: 0, sequence: firstSequence - 1, tag: allocate(TAG_LENGTH) }
  let filled = 0
  let filling: Promise<void> | undefined
  return {
    number,
    get mark() {
      return mark
    },
    append(items, durableSequence) {
      // VOL-5.2: each record names the one before it.
      const body = encodeBody({ previousTag: mark.tag, durableSequence, items })
      const sequence = mark.sequence + 1
      const header = encodeRecordHeader({ bodyLength: body.length, sequence, ...keys.next() })
      const { ciphertext, tag } = keys.seal(Domain.record, keys.recordAad(header, number), body)
      const { position } = mark
      mark = { position: position + recordLength(body.length), sequence, tag }
      return { mark, written: file.write([header, ciphertext, tag], position) }
    },
    rewind(to) {
      mark = to
    },
    fill(wanted) {
      if (filling !== undefined || !wanted) return filling
      const from = Math.max(filled, mark.position)
      if (filled - mark.position > FILL_MARGIN || from + FILL_LENGTH > MAX_LOG_LENGTH) return undefined
      filling = file.write([allocate(FILL_LENGTH)], from).then(
        () => {
          filled = from + FILL_LENGTH
          filling = undefined
        },
        () => {
          // Only an economy; whoever needs the space hears of it.
          filled = MAX_LOG_LENGTH
          filling = undefined
        },
      )
      return filling
    },
    sync: () => file.sync(),
    async close() {
      await filling
      await file.close()
    },
  }
}
