import type { Writable } from "node:stream"

/** Holds a depth of 16 times 4 KiB with its headers. */
const SLAB = 128 * 1024
/** Data up to this many bytes is copied beside its header: one piece more for the system costs about as much. */
const COPY_UP_TO = 16 * 1024
/** Slabs kept for later. */
const SPARE_SLABS = 16

/** Slabs that no connection uses at present, for all connections of a server. */
export interface Slabs {
  take(): Buffer
  give(slab: Buffer): void
}

export function createSlabs(): Slabs {
  const spare: Buffer[] = []
  return {
    take: () => spare.pop() ?? Buffer.allocUnsafeSlow(SLAB),
    give(slab) {
      if (spare.length < SPARE_SLABS) spare.push(slab)
    },
  }
}

/** Gathers replies and hands them to the socket together: a system call for many replies, none copied that is large. */
export interface Outbox {
  /** Memory for the next `length` bytes: `slab`, from `position` on, until the next call. */
  reserve(length: number): void
  readonly slab: Buffer
  readonly position: number
  /** @param sent called when the bytes are needed no more: gone out, or copied, or the connection lost */
  append(data: Uint8Array | readonly Uint8Array[], sent?: () => void): void
  /** Hands over what there is. @param sent called when it has gone out, or the connection is lost */
  flush(sent: () => void): void
}

export function createOutbox(socket: Writable, slabs: Slabs): Outbox {
  let slab = slabs.take()
  let from = 0
  let used = 0
  let position = 0
  let pieces: Uint8Array[] = []
  let usedUp: Buffer[] = []
  let callbacks: (() => void)[] = []

  const cut = (): void => {
    if (used > from) pieces.push(slab.subarray(from, used))
    from = used
  }
  const nextSlab = (): void => {
    cut()
    usedUp.push(slab)
    slab = slabs.take()
    from = 0
    used = 0
  }
  const reserve = (length: number): void => {
    if (used + length > SLAB) nextSlab()
    position = used
    used += length
  }
  /** Whether the bytes were copied. */
  const appendPiece = (data: Uint8Array): boolean => {
    if (data.length > COPY_UP_TO) {
      cut()
      pieces.push(data)
      return false
    }
    reserve(data.length)
    slab.set(data, position)
    return true
  }

  return {
    reserve,
    get slab() {
      return slab
    },
    get position() {
      return position
    },
    append(data, sent) {
      let copied = true
      if (data instanceof Uint8Array) copied = appendPiece(data)
      else for (const piece of data) copied = appendPiece(piece) && copied
      if (sent === undefined) return
      if (copied) sent()
      else callbacks.push(sent)
    },
    flush(sent) {
      nextSlab()
      const [parts, slabsDone, done] = [pieces, usedUp, callbacks]
      pieces = []
      usedUp = []
      callbacks = []
      writeAll(socket, parts, () => {
        for (const each of slabsDone) slabs.give(each)
        for (const each of done) each()
        sent()
      })
    },
  }
}

function writeAll(socket: Writable, parts: readonly Uint8Array[], done: () => void): void {
  const last = parts.length - 1
  if (last > 0) socket.cork()
  for (let i = 0; i < last; i++) socket.write(parts[i]!)
  socket.write(parts[last]!, done)
  if (last > 0) socket.uncork()
}
