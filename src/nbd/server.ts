import { createServer, type Server, type Socket } from "node:net"
import { resolve } from "node:path"
import { type Connection, type ConnectionOptions, serveConnection } from "./connection.ts"
import { ERRNO, MAX_PAYLOAD } from "./constants.ts"
import type { BlockDevice } from "./device.ts"
import { errnoOf } from "./errno.ts"
import { type ExportOptions, type Exports, findExport, readExports } from "./exports.ts"
import { createSlabs } from "./outbox.ts"
import { createPayloads } from "./payloads.ts"
import { type NbdTlsOptions, readTlsOptions } from "./secure.ts"
import { createCounters, type NbdStats } from "./stats.ts"
import { listenOnPath, type UnixSocket } from "./unix-socket.ts"

export interface NbdOptions {
  /** The path of a Unix socket to listen on; this or `port`. */
  readonly unix?: string
  /** Access rights of the Unix socket. Default 0o600: its owner alone. */
  readonly mode?: number
  /** A TCP port to listen on, 0 for one that is free; the protocol's own is 10809. */
  readonly port?: number
  /** An address or host name to bind `port` to. Default `127.0.0.1`. What is not of this machine alone takes `tls`. */
  readonly host?: string
  /** Serve over TLS, which clients must ask for (STARTTLS). Default none. */
  readonly tls?: NbdTlsOptions
  /** Allow another host than a loopback one without TLS, so that the data travels in the clear. Default false. */
  readonly insecure?: boolean
  /** Connections at a time; those above are closed at once. Default 64. */
  readonly maxConnections?: number
  /** Requests of one connection under way at a time, above which no more are read from it. Default 256. */
  readonly maxRequestsInFlight?: number
  /**
   * Bytes of data of one connection under way at a time, above which no more requests are read from it. The request that
   * crosses it is taken, so that the most is this plus 32 MiB. Default 32 MiB.
   */
  readonly maxBytesInFlight?: number
  /** From connecting to the first request, TLS included. Default 10. */
  readonly handshakeSeconds?: number
  /** Told of what a device failed with, which the client sees only as a number. Default: nobody is told. */
  readonly onError?: (error: unknown) => void
}

export type NbdAddress = { readonly unix: string } | { readonly host: string; readonly port: number }

export interface NbdServer extends AsyncDisposable {
  readonly address: NbdAddress
  /** What clients are given to connect to the first export, for instance `nbd+unix:///?socket=/run/disk.sock`. */
  readonly uri: string
  /** The same for an export by name. @throws RangeError for one that there is not */
  uriOf(exportName: string): string
  /** A copy of the present counts. */
  readonly stats: NbdStats
  /**
   * Takes no more connections and requests, answers what is under way, closes, then flushes every device that can be written
   * to. The devices stay open: they are the caller's. Later calls give the first one's promise.
   *
   * @param options.graceSeconds for what is under way and for clients to take their replies; default 10
   * @throws what a device's flush fails with
   */
  close(options?: { readonly graceSeconds?: number }): Promise<void>
}

/** Silence after which the system asks whether a client on the network is still there. */
const KEEP_ALIVE_MILLISECONDS = 60_000

/**
 * Serves block devices by the NBD protocol: to qemu, libnbd, fio, the Linux kernel's client and others.
 *
 * @param given one device, which is the export of the empty name, or exports by name
 * @throws TypeError for options that do not fit together, and for a host that others can reach without `tls` or `insecure`;
 *   RangeError for a number out of range; the system's error where it cannot listen, with the code `EADDRINUSE` for a path or
 *   port that is in use
 */
export async function serveNbd(
  given: BlockDevice | { readonly exports: Readonly<Record<string, BlockDevice | ExportOptions>> },
  options: NbdOptions,
): Promise<NbdServer> {
  const exports = readExports(given)
  const { tls, maxConnections = 64 } = options
  // What the listener throws must not reach the connection that had something to tell.
  const onError = (error: unknown): void => queueMicrotask(() => options.onError?.(error))
  checkPlace(options)
  const counters = createCounters()
  const connections = new Set<Connection>()
  const connectionOptions: ConnectionOptions = {
    exports,
    tlsMode: tls === undefined ? "none" : tls.optional === true ? "optional" : "required",
    ...readLimits(options),
    tls: tls && readTlsOptions(tls, options.handshakeSeconds ?? 10),
    slabs: createSlabs(),
    payloads: createPayloads(),
    counters,
    onError,
  }
  const limit = atLeast(1, maxConnections, "maxConnections")
  const accept = (socket: Socket): void => {
    // NBD-5.5.
    if (connections.size >= limit) {
      socket.destroy()
      return
    }
    if (options.unix === undefined) {
      socket.setNoDelay(true)
      socket.setKeepAlive(true, KEEP_ALIVE_MILLISECONDS)
    }
    const connection = serveConnection(socket, connectionOptions)
    connections.add(connection)
    void connection.done.then(() => connections.delete(connection))
  }
  const server = createServer({ pauseOnConnect: true, allowHalfOpen: true }, accept)
  const { address, path } = await listen(server, options)
  server.on("error", onError)

  const uriOf = (exportName: string): string => {
    if (findExport(exports, exportName) === undefined)
      throw new RangeError(`there is no export of the name ${JSON.stringify(exportName)}`)
    return nbdUri(address, exportName, tls !== undefined)
  }

  let closing: Promise<void> | undefined
  const close = async (graceSeconds: number): Promise<void> => {
    server.close()
    const all = [...connections]
    for (const connection of all) connection.stop()
    await path?.remove()
    await settledWithin(Promise.all(all.map(({ done }) => done)), graceSeconds)
    for (const connection of all) connection.destroy()
    await flushAll(exports)
  }

  const handle: NbdServer = {
    address,
    uri: uriOf(exports.keys().next().value!),
    uriOf,
    get stats() {
      return { ...counters }
    },
    close({ graceSeconds = 10 } = {}) {
      closing ??= close(graceSeconds)
      return closing
    },
    [Symbol.asyncDispose]: () => handle.close(),
  }
  return handle
}

async function listen(server: Server, options: NbdOptions): Promise<{ address: NbdAddress; path?: UnixSocket }> {
  if (options.unix !== undefined) {
    const path = await listenOnPath(server, resolve(options.unix), options.mode ?? 0o600)
    return { address: { unix: path.path }, path }
  }
  const { host = "127.0.0.1", port } = options
  await new Promise<void>((onListening, reject) => {
    server.once("error", reject)
    server.listen({ host, port }, () => {
      server.removeListener("error", reject)
      onListening()
    })
  })
  const bound = server.address()
  return { address: { host, port: typeof bound === "object" && bound !== null ? bound.port : (port ?? 0) } }
}

/** NBD-6.3. @throws TypeError */
function checkPlace({ unix, mode, port, host, tls, insecure }: NbdOptions): void {
  if ((unix === undefined) === (port === undefined)) throw new TypeError("give either unix or port")
  if (unix === undefined && mode !== undefined) throw new TypeError("mode is for a Unix socket")
  if (unix !== undefined && host !== undefined) throw new TypeError("host is for a port")
  if (host !== undefined && !isLoopback(host) && tls === undefined && insecure !== true)
    throw new TypeError(`listening on ${host} takes tls, or insecure: true: the data would travel in the clear`)
}

const isLoopback = (host: string): boolean =>
  host === "localhost" || host === "::1" || /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(host)

/** @throws RangeError */
function readLimits(options: NbdOptions) {
  const { maxRequestsInFlight = 256, maxBytesInFlight = MAX_PAYLOAD, handshakeSeconds = 10 } = options
  if (!(handshakeSeconds > 0 && handshakeSeconds <= 86_400))
    throw new RangeError(`handshakeSeconds must be from 0 to 86400, not ${handshakeSeconds}`)
  return {
    maxRequests: atLeast(1, maxRequestsInFlight, "maxRequestsInFlight"),
    maxBytes: atLeast(1, maxBytesInFlight, "maxBytesInFlight"),
    handshakeSeconds,
  }
}

function atLeast(least: number, value: number, name: string): number {
  if (Number.isSafeInteger(value) && value >= least) return value
  throw new RangeError(`${name} must be a whole number of at least ${least}, not ${value}`)
}

/** NBD-6.4: the NBD URI specification (NetworkBlockDevice/nbd, doc/uri.md). */
function nbdUri(address: NbdAddress, exportName: string, tls: boolean): string {
  const scheme = tls ? "nbds" : "nbd"
  const name = encodeURIComponent(exportName)
  if ("unix" in address) return `${scheme}+unix:///${name}?socket=${encodePath(address.unix)}`
  const host = address.host.includes(":") ? `[${address.host}]` : address.host
  return `${scheme}://${host}:${address.port}/${name}`
}

const encodePath = (path: string): string => path.split("/").map(encodeURIComponent).join("/")

/** Waits for `work`, which does not fail, but no longer than that. */
async function settledWithin(work: Promise<unknown>, seconds: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const timeout = new Promise<void>((onTimeout) => {
    timer = setTimeout(onTimeout, seconds * 1000)
  })
  await Promise.race([work, timeout])
  clearTimeout(timer)
}

/** NBD-5.4: every device that can be written to, once, even where another's flush fails. A closed one has nothing to flush. */
async function flushAll(exports: Exports): Promise<void> {
  const devices = new Set([...exports.values()].filter(({ readOnly }) => !readOnly).map(({ device }) => device))
  const results = await Promise.allSettled([...devices].map(async (device) => device.flush()))
  const failed = results.find((result) => result.status === "rejected" && errnoOf(result.reason) !== ERRNO.ESHUTDOWN)
  if (failed?.status === "rejected") throw failed.reason
}
