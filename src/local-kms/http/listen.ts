import { randomUUID } from "node:crypto"
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http"
import { createServer as createTlsServer } from "node:https"
import { type AddressInfo, isIP } from "node:net"
import { utf8 } from "../../core/index.ts"
import { wipe } from "../../crypto/index.ts"
import type { AuditEvent } from "../audit.ts"
import type { Dispatch } from "../dispatcher.ts"
import { KmsFault, unknownOperation } from "../faults.ts"
import { encodeReply, type JsonReply } from "../json-protocol.ts"
import type { Store } from "../store/store.ts"
import type { Vault } from "../vault.ts"
import { type ApiOptions, answerApi } from "./api.ts"
import { createMetrics, type Metrics } from "./metrics.ts"
import { signingKeys } from "./signing-keys.ts"
import { type MayAssumeRole, trustOwnAccount } from "./sts.ts"

export interface TlsOptions {
  /** The certificate and its chain, PEM. */
  readonly cert: string | Uint8Array
  /** The private key, PEM. */
  readonly key: string | Uint8Array
  /** Of the private key, where it is encrypted. */
  readonly passphrase?: string
}

export interface ListenOptions {
  /** Default 0: one that is free. */
  readonly port?: number
  /** An address or host name to bind to. Default `127.0.0.1`. What is not of this machine alone takes `tls`. */
  readonly host?: string
  /** Serve HTTPS (TLS 1.2 and later). */
  readonly tls?: TlsOptions
  /** Allow another host than a loopback one without TLS, so that plaintext data keys travel in the clear. Default false. */
  readonly insecure?: boolean
  /**
   * Check no signatures: whoever reaches the port is the root of the KMS's account. Default false. On a loopback address
   * only requests to `localhost` or an IP address are answered then, so that no web page can send any.
   */
  readonly open?: boolean
  /**
   * Where `/metrics` is: `true`, the default, on this port; a port of its own, over plain HTTP, on the host given (default
   * `127.0.0.1`); or `false`, nowhere.
   */
  readonly metrics?: boolean | { readonly port: number; readonly host?: string }
  /** Told of errors in the server itself, such as a full disk. They hold no secrets. Default: nobody. */
  readonly onError?: (error: unknown) => void
  /** Seconds that `close()` waits for running requests. Default 10. */
  readonly graceSeconds?: number
}

export interface KmsServer {
  /** For an SDK's `endpoint`: `http://127.0.0.1:4599`. */
  readonly endpoint: string
  readonly port: number
  /** Where `/metrics` is; `undefined` when nowhere. */
  readonly metricsUrl: string | undefined
  /** Refuses new requests, waits for running ones, closes all connections. The KMS stays open. */
  close(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

/** What the server is in front of. */
export interface Served {
  readonly dispatch: Dispatch
  readonly store: Store
  readonly vault: Vault
  readonly clock: () => number
  readonly accountId: string
  readonly region: string
  readonly partition: string
  readonly mayAssumeRole?: MayAssumeRole
  readonly record: (events: readonly AuditEvent[]) => Promise<void>
}

// HTTP-4.4
const HEADERS_TIMEOUT_MS = 10_000
const REQUEST_TIMEOUT_MS = 30_000
const KEEP_ALIVE_MS = 75_000
const MAX_CONNECTIONS = 1000
/** AUD-1.10 */
const REFUSALS_A_MINUTE = 60

/**
 * Opens the HTTP door.
 *
 * @throws TypeError for a host that others can reach without `tls` or `insecure`; the system's error for a port that is taken
 */
export async function listen(served: Served, options: ListenOptions): Promise<KmsServer> {
  const { host = "127.0.0.1", port = 0, tls, open = false, onError = () => {}, graceSeconds = 10 } = options
  // HTTP-4.5
  if (!isLoopback(host) && tls === undefined && options.insecure !== true)
    throw new TypeError(`listening on ${host} takes tls, or insecure: true: data keys would travel in the clear`)
  const keys = signingKeys()
  const metrics = createMetrics()
  const api: ApiOptions = {
    mayAssumeRole: trustOwnAccount,
    ...served,
    keys,
    metrics,
    onError,
    mayRecordRefusal: atMost(REFUSALS_A_MINUTE, served.clock),
    openAccount: open ? served.accountId : undefined,
    isTrustedHost: (name) => !isLoopback(host) || isLocalName(name),
  }
  const doors: Door[] = []
  const close = async (): Promise<void> => {
    await Promise.all(doors.map((door) => door.close(graceSeconds * 1000)))
    keys.close()
  }
  const own = options.metrics ?? true
  try {
    const main = await openDoor(tls, host, port, (closing) =>
      router({ closing, served, metrics: own === true ? metrics : undefined, api }),
    )
    doors.push(main)
    if (typeof own === "object") {
      const side = { closing: () => false, served, metrics, api: undefined }
      doors.push(await openDoor(undefined, own.host ?? "127.0.0.1", own.port, () => router(side)))
    }
    return {
      endpoint: main.endpoint,
      port: main.port,
      metricsUrl: own === false ? undefined : `${doors.at(-1)!.endpoint}/metrics`,
      close,
      [Symbol.asyncDispose]: close,
    }
  } catch (error) {
    await close()
    throw error
  }
}

/** Whoever has no access key must not be able to fill the disk. */
function atMost(count: number, clock: () => number): () => boolean {
  let minute = 0
  let left = count
  return () => {
    const now = Math.floor(clock() / 60_000)
    if (now !== minute) [minute, left] = [now, count]
    return left-- > 0
  }
}

const isLoopback = (host: string): boolean =>
  host === "localhost" || host === "::1" || (isIP(host) === 4 && host.startsWith("127."))

/** A `Host` header that no foreign name stands in. */
function isLocalName(header: string): boolean {
  const name = header.replace(/:\d+$/, "").toLowerCase()
  return name === "localhost" || name.endsWith(".localhost") || isIP(name.replace(/^\[(.*)\]$/, "$1")) !== 0
}

interface Door {
  readonly endpoint: string
  readonly port: number
  close(graceMs: number): Promise<void>
}

type Handler = (message: IncomingMessage) => Promise<JsonReply | undefined>

async function openDoor(
  tls: TlsOptions | undefined,
  host: string,
  port: number,
  makeHandler: (closing: () => boolean) => Handler,
): Promise<Door> {
  let closing = false
  const handle = makeHandler(() => closing)
  const limits = {
    headersTimeout: HEADERS_TIMEOUT_MS,
    requestTimeout: REQUEST_TIMEOUT_MS,
    connectionsCheckingInterval: 1000,
  }
  const serve = (message: IncomingMessage, response: ServerResponse): void =>
    void handle(message).then((reply) => (reply === undefined ? response.destroy() : send(response, reply, closing)))
  const server: Server =
    tls === undefined
      ? createServer(limits, serve)
      : createTlsServer({ ...limits, ...tls, cert: asPem(tls.cert), key: asPem(tls.key), minVersion: "TLSv1.2" }, serve)
  server.keepAliveTimeout = KEEP_ALIVE_MS
  server.maxConnections = MAX_CONNECTIONS
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject)
    server.listen(port, host, () => {
      server.off("error", reject)
      resolve()
    })
  })
  const address = server.address() as AddressInfo
  return {
    endpoint: `${tls === undefined ? "http" : "https"}://${endpointHost(host)}:${address.port}`,
    port: address.port,
    close(graceMs) {
      // HTTP-4.6
      closing = true
      return new Promise((resolve) => {
        const cut = setTimeout(() => server.closeAllConnections(), graceMs)
        server.close(() => {
          clearTimeout(cut)
          resolve()
        })
        server.closeIdleConnections()
      })
    },
  }
}

const asPem = (value: string | Uint8Array): string | Buffer =>
  typeof value === "string" ? value : Buffer.from(value.buffer, value.byteOffset, value.byteLength)

/** Every address of this machine is reached by its own name. */
const endpointHost = (host: string): string =>
  host === "0.0.0.0" || host === "::" ? "localhost" : isIP(host) === 6 ? `[${host}]` : host

/** HTTP-4.1: AWS's headers; replies hold plaintext, which no cache may keep. */
function send(response: ServerResponse, { statusCode, headers, body }: JsonReply, closing: boolean): void {
  const { "x-amzn-requestid": requestId, ...others } = headers
  response.writeHead(statusCode, {
    ...(requestId === undefined ? {} : { "x-amzn-RequestId": requestId }),
    "Cache-Control": "no-cache, no-store, must-revalidate, private",
    ...others,
    "Content-Length": body.length,
    // The client of a request that was too large may still be sending it.
    ...(closing || statusCode === 413 ? { Connection: "close" } : {}),
  })
  response.end(response.req.method === "HEAD" ? undefined : body)
  response.once("close", () => wipe(body))
}

interface Routes {
  readonly closing: () => boolean
  readonly served: Served
  /** `undefined`: not on this port. */
  readonly metrics: Metrics | undefined
  readonly api: ApiOptions | undefined
}

/** HTTP-4.2: calls at `/`, and two pages for whoever watches the server. */
function router({ closing, served, metrics, api }: Routes): Handler {
  return async (message) => {
    const path = message.url?.split("?")[0]
    const isRead = message.method === "GET" || message.method === "HEAD"
    if (isRead && path === "/health") return health(closing(), served)
    if (isRead && path === "/metrics" && metrics !== undefined)
      return text(200, "text/plain; version=0.0.4; charset=utf-8", metrics.render())
    if (message.method !== "POST" || path !== "/" || api === undefined) return fault(unknownOperation(""), 404)
    if (closing()) return fault(new KmsFault("ServiceUnavailableException", "The server is shutting down."), 503)
    return answerApi(message, api)
  }
}

/** Whether the store answers. */
function health(closing: boolean, { store }: Served): JsonReply {
  const state = closing ? "closing" : canRead(store) ? "ok" : "store unavailable"
  return text(state === "ok" ? 200 : 503, "application/json", `${JSON.stringify({ status: state })}\n`)
}

function canRead(store: Store): boolean {
  try {
    store.read((reader) => reader.get("meta/store"))
    return true
  } catch {
    return false
  }
}

const text = (statusCode: number, type: string, content: string): JsonReply => ({
  statusCode,
  headers: { "content-type": type },
  body: utf8(content),
})

const fault = (cause: KmsFault, statusCode: number): JsonReply => ({
  ...encodeReply({ requestId: randomUUID(), fault: cause }),
  statusCode,
})
