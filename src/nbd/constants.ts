/** Numbers of the NBD protocol (NetworkBlockDevice/nbd, doc/proto.md). All integers on the wire are big-endian. */

/** "NBDMAGIC" and "IHAVEOPT", as two halves each. */
export const NBD_MAGIC = [0x4e42444d, 0x41474943] as const
export const OPTION_MAGIC = [0x49484156, 0x454f5054] as const
export const OPTION_REPLY_MAGIC = [0x0003e889, 0x045565a9] as const
export const REQUEST_MAGIC = 0x25609513
export const SIMPLE_REPLY_MAGIC = 0x67446698
export const CHUNK_MAGIC = 0x668e33ef

/** Of the server, and of the client that answers it. */
export const HANDSHAKE_FLAGS = { fixedNewstyle: 1, noZeroes: 2 } as const

export const OPTION = {
  exportName: 1,
  abort: 2,
  list: 3,
  startTls: 5,
  info: 6,
  go: 7,
  structuredReply: 8,
  listMetaContext: 9,
  setMetaContext: 10,
} as const

export const OPTION_REPLY = {
  ack: 1,
  server: 2,
  info: 3,
  metaContext: 4,
  unsupported: 0x8000_0001,
  policy: 0x8000_0002,
  invalid: 0x8000_0003,
  tlsRequired: 0x8000_0005,
  unknown: 0x8000_0006,
  tooBig: 0x8000_0009,
} as const

export const INFO = { export: 0, name: 1, description: 2, blockSize: 3 } as const

export const EXPORT_FLAGS = {
  hasFlags: 1 << 0,
  readOnly: 1 << 1,
  flush: 1 << 2,
  fua: 1 << 3,
  trim: 1 << 5,
  writeZeroes: 1 << 6,
  dontFragment: 1 << 7,
  multiConnection: 1 << 8,
  cache: 1 << 10,
  fastZero: 1 << 11,
} as const

export const COMMAND = {
  read: 0,
  write: 1,
  disconnect: 2,
  flush: 3,
  trim: 4,
  cache: 5,
  writeZeroes: 6,
  blockStatus: 7,
} as const

export const COMMAND_FLAGS = {
  fua: 1 << 0,
  noHole: 1 << 1,
  dontFragment: 1 << 2,
  requestOne: 1 << 3,
  fastZero: 1 << 4,
} as const

export const CHUNK = { none: 0, offsetData: 1, offsetHole: 2, blockStatus: 5, error: 0x8001 } as const
export const CHUNK_DONE = 1

export const ERRNO = {
  EPERM: 1,
  EIO: 5,
  ENOMEM: 12,
  EINVAL: 22,
  ENOSPC: 28,
  EOVERFLOW: 75,
  ENOTSUP: 95,
  ESHUTDOWN: 108,
} as const

export type Errno = (typeof ERRNO)[keyof typeof ERRNO]

/** Extent states of `base:allocation`. */
export const STATE = { hole: 1, zero: 2 } as const

export const BASE_ALLOCATION = "base:allocation"
/** The only metadata context there is; the number is the server's to choose. */
export const BASE_ALLOCATION_ID = 1

/** Bytes of payload in one request or reply, and of what is drained of a refused one. */
export const MAX_PAYLOAD = 32 * 1024 * 1024
/** Bytes of an export's name, of its description, of a query. */
export const MAX_STRING = 4096
