import { connect as connectNet, type Socket } from "node:net"
import { type ConnectionOptions, connect as connectTls } from "node:tls"
import type { NbdAddress } from "../../src/nbd/index.ts"

/**
 * A small NBD client that shares nothing with the server but the protocol's document: numbers and layouts are written
 * down here a second time.
 */
export interface NbdClient {
  readonly socket: Socket
  /** Of the server's greeting. */
  readonly handshakeFlags: number
  /** Sends raw bytes. */
  send(bytes: Uint8Array): void
  /** The next bytes that come. @throws when the connection ends before */
  receive(length: number): Promise<Buffer>
  /** Sends an option and reads its replies up to the last one. */
  option(option: number, data?: Uint8Array): Promise<OptionReply[]>
  /** GO: from here on `request` works. @throws for an error */
  go(name?: string, infos?: readonly number[]): Promise<{ size: number; flags: number; infos: Buffer[] }>
  structured(): Promise<void>
  /** Turns the connection into a TLS one, after the server's ACK to STARTTLS. */
  secure(options: ConnectionOptions): Promise<NbdClient>
  request(request: ClientRequest): Promise<Reply>
  /** Starts to read replies without GO, for those that got there by another way. */
  readReplies(): void
  /** Resolves when the server has ended the connection. */
  readonly ended: Promise<void>
  close(): void
}

export interface OptionReply {
  readonly type: number
  readonly data: Buffer
}

export interface ClientRequest {
  readonly type: number
  readonly flags?: number
  readonly offset?: number | bigint
  readonly length?: number
  readonly data?: Uint8Array
}

export interface Chunk {
  readonly flags: number
  readonly type: number
  readonly payload: Buffer
}

export interface Reply {
  readonly error: number
  /** Of a READ, put together. */
  readonly data: Buffer
  /** Of a structured reply. */
  readonly chunks: readonly Chunk[]
}

export const OK = 1
export const CMD = { read: 0, write: 1, disc: 2, flush: 3, trim: 4, cache: 5, zeroes: 6, status: 7 } as const
export const FLAG = { fua: 1, noHole: 2, df: 4, reqOne: 8, fastZero: 16 } as const
export const ERR = { unsup: 1, policy: 2, invalid: 3, tlsReqd: 5, unknown: 6, tooBig: 9 } as const
export const E = { perm: 1, io: 5, inval: 22, nospc: 28, overflow: 75, notsup: 95, shutdown: 108 } as const

export const u16 = (value: number): Buffer => {
  const bytes = Buffer.alloc(2)
  bytes.writeUInt16BE(value)
  return bytes
}
export const u32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}
export const u64 = (value: number | bigint): Buffer => {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64BE(BigInt(value))
  return bytes
}
export const text = (value: string): Buffer => Buffer.concat([u32(Buffer.byteLength(value)), Buffer.from(value)])

export const infoData = (name: string, infos: readonly number[] = []): Buffer =>
  Buffer.concat([text(name), u16(infos.length), ...infos.map(u16)])
export const metaData = (name: string, queries: readonly string[]): Buffer =>
  Buffer.concat([text(name), u32(queries.length), ...queries.map(text)])
export const optionBytes = (option: number, data: Uint8Array = new Uint8Array(0)): Buffer =>
  Buffer.concat([Buffer.from("IHAVEOPT"), u32(option), u32(data.length), data])
export const requestBytes = (request: ClientRequest, cookie: bigint): Buffer => {
  const { type, flags = 0, offset = 0, data = new Uint8Array(0), length = data.length } = request
  return Buffer.concat([u32(0x25609513), u16(flags), u16(type), u64(cookie), u64(offset), u32(length), data])
}

export const connectTo = (address: NbdAddress): Socket =>
  "unix" in address ? connectNet(address.unix) : connectNet(address.port, address.host)

/** Connects and answers the greeting. @param flags the client's */
export async function connectNbd(address: NbdAddress, flags = 3): Promise<NbdClient> {
  const client = clientOver(connectTo(address))
  const greeting = await client.receive(18)
  if (greeting.toString("latin1", 0, 16) !== "NBDMAGICIHAVEOPT") throw new Error("no NBD greeting")
  client.send(u32(flags))
  return Object.assign(client, { handshakeFlags: greeting.readUInt16BE(16) })
}

function clientOver(socket: Socket): NbdClient {
  const reader = byteReader(socket)
  const waiting = new Map<bigint, { resolve: (reply: Reply) => void; reject: (error: Error) => void; offset: number }>()
  let nextCookie = 1n
  let reading = false

  const readSimple = async (cookie: bigint, error: number, readLength: number): Promise<void> => {
    const data = error === 0 && readLength > 0 ? await reader.read(readLength) : Buffer.alloc(0)
    finish(cookie, { error, data, chunks: [] })
  }
  const finish = (cookie: bigint, reply: Reply): void => {
    const entry = waiting.get(cookie)
    if (entry === undefined) throw new Error(`a reply to ${cookie}, which nobody asked`)
    waiting.delete(cookie)
    entry.resolve(reply)
  }
  const lengths = new Map<bigint, number>()
  const chunksOf = new Map<bigint, Chunk[]>()

  const readChunk = async (): Promise<void> => {
    const head = await reader.read(16)
    const [flags, type, cookie] = [head.readUInt16BE(0), head.readUInt16BE(2), head.readBigUInt64BE(4)]
    const chunks = chunksOf.get(cookie) ?? []
    chunksOf.set(cookie, chunks)
    chunks.push({ flags, type, payload: await reader.read(head.readUInt32BE(12)) })
    if ((flags & 1) === 0) return
    chunksOf.delete(cookie)
    finish(cookie, assemble(chunks, waiting.get(cookie)!.offset, lengths.get(cookie) ?? 0))
  }

  const readReplies = async (): Promise<void> => {
    for (;;) {
      const magic = (await reader.read(4)).readUInt32BE(0)
      if (magic === 0x668e33ef) await readChunk()
      else if (magic === 0x67446698) {
        const rest = await reader.read(12)
        const cookie = rest.readBigUInt64BE(4)
        await readSimple(cookie, rest.readUInt32BE(0), lengths.get(cookie) ?? 0)
      } else throw new Error(`a reply starts with ${magic.toString(16)}`)
    }
  }

  const client: NbdClient = {
    socket,
    handshakeFlags: 0,
    send: (bytes) => {
      socket.write(bytes)
    },
    receive: reader.read,
    async option(option, data) {
      socket.write(optionBytes(option, data))
      const replies: OptionReply[] = []
      for (;;) {
        const head = await reader.read(20)
        if (head.readBigUInt64BE(0) !== 0x3e889045565a9n) throw new Error("no option reply")
        if (head.readUInt32BE(8) !== option) throw new Error("a reply to another option")
        const type = head.readUInt32BE(12)
        replies.push({ type, data: await reader.read(head.readUInt32BE(16)) })
        if (type === OK || type >= 0x8000_0000) return replies
      }
    },
    async go(name = "", infos = []) {
      const replies = await client.option(7, infoData(name, infos))
      const last = replies.at(-1)!
      if (last.type !== OK) throw new Error(`GO: error ${last.type - 0x8000_0000}: ${last.data.toString()}`)
      const details = replies.slice(0, -1).map(({ data }) => data)
      const main = details.find((data) => data.readUInt16BE(0) === 0)!
      client.readReplies()
      return { size: Number(main.readBigUInt64BE(2)), flags: main.readUInt16BE(10), infos: details }
    },
    async structured() {
      const [reply] = await client.option(8)
      if (reply?.type !== OK) throw new Error("no structured replies")
    },
    async secure(options) {
      reader.stop()
      const encrypted = connectTls({ socket, ...options })
      const secured = clientOver(encrypted)
      await new Promise<void>((resolve, reject) => {
        encrypted.once("secureConnect", resolve)
        encrypted.once("error", reject)
      })
      return secured
    },
    readReplies() {
      if (reading) return
      reading = true
      readReplies().catch((error: Error) => {
        for (const { reject } of waiting.values()) reject(error)
        waiting.clear()
      })
    },
    request(request) {
      const cookie = (nextCookie++ << 40n) + 7n
      if (request.type === CMD.read) lengths.set(cookie, request.length ?? 0)
      const reply = new Promise<Reply>((resolve, reject) => {
        waiting.set(cookie, { resolve, reject, offset: Number(request.offset ?? 0) })
      })
      socket.write(requestBytes(request, cookie))
      return reply
    },
    ended: reader.ended,
    close: () => socket.destroy(),
  }
  return client
}

/** What a structured reply says; every byte of a READ must be there once. */
function assemble(chunks: readonly Chunk[], offset: number, length: number): Reply {
  const data = Buffer.alloc(length)
  let covered = 0
  let error = 0
  for (const { type, payload } of chunks) {
    if (type === 0x8001) error = payload.readUInt32BE(0)
    if (type !== 1 && type !== 2) continue
    const at = Number(payload.readBigUInt64BE(0)) - offset
    if (type === 1) data.set(payload.subarray(8), at)
    covered += type === 1 ? payload.length - 8 : payload.readUInt32BE(8)
  }
  if (error === 0 && covered !== length) throw new Error(`chunks cover ${covered} bytes of ${length}`)
  return { error, data: error === 0 ? data : Buffer.alloc(0), chunks }
}

/** Reads exact numbers of bytes from a socket, in turn. */
function byteReader(socket: Socket) {
  let chunks: Buffer[] = []
  let have = 0
  let over = false
  let wake = (): void => {}
  const onData = (chunk: Buffer): void => {
    chunks.push(chunk)
    have += chunk.length
    wake()
  }
  const ended = new Promise<void>((resolve) => {
    const end = (): void => {
      over = true
      wake()
      resolve()
    }
    socket.once("end", end)
    socket.once("close", end)
  })
  socket.on("data", onData)
  socket.on("error", () => {})
  return {
    ended,
    stop: () => socket.removeListener("data", onData),
    async read(length: number): Promise<Buffer> {
      while (have < length) {
        if (over) throw new Error("the server has ended the connection")
        await new Promise<void>((resolve) => {
          wake = resolve
        })
      }
      const all = Buffer.concat(chunks)
      chunks = [all.subarray(length)]
      have -= length
      return all.subarray(0, length)
    },
  }
}
