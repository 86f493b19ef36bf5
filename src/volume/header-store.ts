import { allocate, EnvelopeError, equalBytes } from "../core/index.ts"
import { constantTimeEqual } from "../crypto/index.ts"
import type { Anchor, AnchorState } from "./anchor.ts"
import type { Disk, DiskFile } from "./disk.ts"
import { malformedVolume, tamperedVolume } from "./failures.ts"
import { isContent } from "./files.ts"
import { volumeName } from "./geometry.ts"
import {
  decodeHeader,
  encodeHeader,
  type HeaderFile,
  MAC_LENGTH,
  MAX_HEADER_LENGTH,
  type VolumeHeader,
} from "./header.ts"
import type { VolumeKeys } from "./keys.ts"

const headerName = (generation: number): string => `header.${generation % 2}`

/** What is in one of the two files. */
export interface HeaderSlot {
  readonly file: HeaderFile | undefined
  /** Why there is none, although there is a file. */
  readonly problem?: unknown
}

/** Both headers as they are, not authenticated. @throws EnvelopeError `MalformedVolume` when there is no header at all */
export async function readHeaderSlots(disk: Disk): Promise<HeaderSlot[]> {
  const slots = await Promise.all([0, 1].map((slot) => readSlot(disk, slot)))
  if (slots.some(({ file }) => file !== undefined)) return slots
  const problem = slots.find((slot) => slot.problem !== undefined)?.problem
  if (problem instanceof EnvelopeError) throw problem
  throw malformedVolume("there is no volume: its folder has no header")
}

/** The readable headers, the newest first. */
export const newestFirst = (slots: readonly HeaderSlot[]): HeaderFile[] =>
  slots.flatMap(({ file }) => file ?? []).sort((a, b) => b.header.generation - a.header.generation)

/**
 * VOL-3.2 to 3.5: the header that counts.
 *
 * @throws EnvelopeError `TamperedVolume` when neither is valid, or the volume does not fit it
 */
export async function chooseHeader(
  disk: Disk,
  slots: readonly HeaderSlot[],
  keys: VolumeKeys,
): Promise<{ readonly chosen: HeaderFile; readonly older: boolean }> {
  const isAuthentic = ({ header, body, mac }: HeaderFile): boolean =>
    header.generation === 0 ? mac.every((byte) => byte === 0) : constantTimeEqual(keys.mac(body), mac)
  const chosen = newestFirst(slots).find(isAuthentic)
  if (chosen === undefined) throw tamperedVolume("the volume's header")
  const { header } = chosen
  if (header.generation === 0 && (await disk.list()).some(isContent)) {
    throw tamperedVolume("the volume's header, that of one never attached,")
  }
  // VOL-3.5
  const other = slots[1 - (header.generation % 2)]!
  const before =
    other.file !== undefined && isAuthentic(other.file) && other.file.header.generation === header.generation - 1
  return { chosen, older: header.generation === 0 ? other.problem !== undefined : !before }
}

/** The header that counts, and how it is replaced. */
export interface HeaderStore {
  readonly current: HeaderFile
  /** Makes the next generation durable, then advances the anchor. */
  write(changes: Partial<VolumeHeader>): Promise<void>
  /** Advances the anchor within a generation, after a flush. */
  advance(sequence: number, tag: Uint8Array): Promise<void>
}

export function headerStore(disk: Disk, first: HeaderFile, keys: VolumeKeys, anchored?: Anchored): HeaderStore {
  let current = first
  let anchorState = anchored?.state
  const moveAnchor = async (next: AnchorState): Promise<void> => {
    if (anchored === undefined) return
    if (!(await anchored.anchor.replace(anchorState, next))) {
      throw new EnvelopeError(
        "VolumeRollback",
        "the anchor was advanced by somebody else: the volume is attached elsewhere",
      )
    }
    anchorState = next
  }
  return {
    get current() {
      return current
    },
    async write(changes) {
      const generation = current.header.generation + 1
      const header = { ...current.header, epochs: keys.epochs, ...changes, generation, previousMac: current.mac }
      const body = encodeHeader(header)
      const mac = keys.mac(body)
      await writeSlot(disk, headerName(generation), [body, mac])
      current = { header, body, mac }
      await moveAnchor(anchorOf(current))
    },
    advance: (sequence, tag) => moveAnchor({ ...anchorOf(current), sequence, tag: hex(tag) }),
  }
}

/** An anchor with what it holds. */
export interface Anchored {
  readonly anchor: Anchor
  readonly state: AnchorState | undefined
}

/**
 * VOL-9.1: the header must be the anchor's, or the one after it, written just before a crash.
 *
 * @throws EnvelopeError `VolumeRollback`
 */
export function checkAnchor({ header, mac }: HeaderFile, state: AnchorState | undefined): void {
  if (state === undefined) return
  const isIt = header.generation === state.generation && hex(mac) === state.mac
  const follows = header.generation === state.generation + 1 && hex(header.previousMac) === state.mac
  if (state.volumeId === volumeName(header.volumeId) && (isIt || follows)) return
  throw new EnvelopeError(
    "VolumeRollback",
    `the anchor knows generation ${state.generation} of ${state.volumeId}; the volume shows generation ${header.generation} of ${volumeName(header.volumeId)}`,
  )
}

const anchorOf = ({ header, mac }: HeaderFile): AnchorState => ({
  volumeId: volumeName(header.volumeId),
  generation: header.generation,
  mac: hex(mac),
  sequence: 0,
  tag: "",
})

export const hex = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("hex")

/** VOL-3.3: generation 0, which has no MAC. */
export async function writeFirstHeader(disk: Disk, header: VolumeHeader): Promise<void> {
  await writeSlot(disk, headerName(0), [encodeHeader(header), allocate(MAC_LENGTH)])
}

// --- internal ---

async function readSlot(disk: Disk, slot: number): Promise<HeaderSlot> {
  const opened = await disk.open(`header.${slot}`)
  if (opened === undefined) return { file: undefined }
  try {
    const file = decodeHeader(await readAll(opened))
    if (file.header.generation % 2 !== slot) throw malformedVolume("a header is in the other header's file")
    return { file }
  } catch (problem) {
    if (problem instanceof EnvelopeError && problem.code === "VolumeIo") throw problem
    return { file: undefined, problem }
  } finally {
    await opened.close()
  }
}

async function readAll(file: DiskFile): Promise<Uint8Array> {
  const size = await file.size()
  if (size > MAX_HEADER_LENGTH) throw malformedVolume(`a header is not ${size} bytes long`)
  const bytes = allocate(size)
  return bytes.subarray(0, await file.read(bytes, 0))
}

async function writeSlot(disk: Disk, name: string, parts: readonly Uint8Array[]): Promise<void> {
  const found = await disk.open(name)
  const file = found ?? (await disk.create(name))
  try {
    await file.write(parts, 0)
    await file.truncate(parts.reduce((sum, part) => sum + part.length, 0))
    await file.sync()
    if (found === undefined) await disk.syncFolder()
  } finally {
    await file.close()
  }
}

/** Whether two headers name one data key. */
export const sameKey = (a: VolumeHeader, b: VolumeHeader): boolean =>
  equalBytes(encodeHeader({ ...a, ...blank }), encodeHeader({ ...b, ...blank }))

const blank = {
  generation: 0,
  previousMac: allocate(MAC_LENGTH),
  size: 0,
  clean: true,
  root: allocate(24),
  log: 0,
  firstSequence: 0,
  epochs: [],
}
