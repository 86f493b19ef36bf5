import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import { pipeline } from "node:stream/promises"
import { S3Client, type S3ClientConfig } from "@aws-sdk/client-s3"
import { bucketOperations } from "./buckets.ts"
import { type Content, inFolder, inMemory } from "./content.ts"
import type { Answer, Exchange, Operation } from "./exchange.ts"
import { accessDenied, S3Fault } from "./fault.ts"
import { objectOperations } from "./objects.ts"
import { type Route, route } from "./route.ts"
import { type Attributes, type Buckets, bucketOf, createBucket, type Version, versionOf } from "./store.ts"
import { uploadOperations } from "./uploads.ts"
import { document } from "./xml.ts"

export type { Content } from "./content.ts"
export type { Version } from "./store.ts"

export interface LoggedRequest extends Route {
  readonly method: string
  readonly headers: IncomingHttpHeaders
  /** Set with the answer. */
  status?: number
}

/** What happens to a request instead of an answer. */
export type Trouble = "drop" | "drop-after-body" | "cut-answer" | { status: number; code: string }

export interface S3ServerOptions {
  /** Contents in files of this folder. Default: in memory. */
  readonly folder?: string
  /** Bytes of a part other than the last; default 5 MiB, as S3. */
  readonly minPartSize?: number
  /** Made at the start. */
  readonly buckets?: readonly string[]
}

export interface S3Server extends AsyncDisposable {
  readonly endpoint: string
  /** What makes the SDK's clients of another process find this server. */
  readonly environment: Readonly<Record<string, string>>
  /** Every request since the last `forget`, in the order of arrival. */
  readonly log: LoggedRequest[]
  /** Asked about each request before it is answered: gives a `Trouble`, or changes what is stored. */
  intervene: ((request: LoggedRequest) => unknown) | undefined
  client(config?: Partial<S3ClientConfig>): S3Client
  /** How many requests of this operation came. */
  count(operation: string): number
  forget(): void
  /** The current version as it is stored. @throws S3Fault */
  stored(bucket: string, key: string): Version
  /** Changes the stored bytes without anybody noticing: ETag and metadata stay, and there is no checksum to compare. */
  tamper(bucket: string, key: string, change: (bytes: Uint8Array) => Uint8Array): Promise<void>
  /** Changes what is stored beside the bytes. */
  edit(bucket: string, key: string, change: (attributes: Attributes) => Partial<Attributes>): void
  /** Moves what is stored under another key, as a copy outside the client would. */
  move(bucket: string, from: string, to: string): void
  /** Bytes of parts of unfinished uploads. */
  unfinished(bucket: string): Content[]
  close(): Promise<void>
}

const ACCESS_KEY = "TESTACCESSKEY"

const operations: Readonly<Record<string, Operation>> = {
  ...bucketOperations,
  ...objectOperations,
  ...uploadOperations,
}

/** A small S3 that is strict where clients go wrong: conditions, checksums, framing, part rules, limits. */
export async function startS3Server(options: S3ServerOptions = {}): Promise<S3Server> {
  const buckets: Buckets = new Map()
  for (const name of options.buckets ?? []) createBucket(buckets, name)
  const keep = options.folder === undefined ? inMemory : inFolder(options.folder)
  const minPartSize = options.minPartSize ?? 5 * 1024 * 1024
  const log: LoggedRequest[] = []
  const clients: S3Client[] = []

  const handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const logged: LoggedRequest = { ...route(request), method: request.method!, headers: request.headers }
    log.push(logged)
    const trouble = (await server.intervene?.(logged)) as Trouble | undefined
    if (trouble === "drop") return void request.socket.destroy()
    if (trouble === "drop-after-body") {
      for await (const _chunk of request);
      return void request.socket.destroy()
    }
    const answer = await answerTo(request, logged, trouble)
    logged.status = answer.status ?? 200
    await send(request, response, answer, trouble === "cut-answer")
  }

  const answerTo = async (
    request: IncomingMessage,
    logged: LoggedRequest,
    trouble: Trouble | undefined,
  ): Promise<Answer> => {
    try {
      if (typeof trouble === "object") throw new S3Fault(trouble.status, trouble.code, "Injected")
      checkCredentials(request, logged)
      const operation = operations[logged.operation]
      if (operation === undefined) throw new S3Fault(501, "NotImplemented", `No ${request.method} ${request.url} here.`)
      return await operation(exchangeOf(request, logged))
    } catch (error) {
      request.resume()
      return faultAnswer(error)
    }
  }

  const exchangeOf = (request: IncomingMessage, { operation, bucketName, key, query }: LoggedRequest): Exchange => ({
    operation,
    bucketName,
    key,
    query,
    headers: request.headers,
    request,
    buckets,
    keep,
    minPartSize,
    get bucket() {
      return bucketOf(buckets, bucketName)
    },
  })

  const http = createServer((request, response) => {
    handle(request, response).catch(() => request.socket.destroy())
  })
  http.keepAliveTimeout = 60_000
  await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve))
  const endpoint = `http://127.0.0.1:${(http.address() as AddressInfo).port}`

  const replaceNewest = (bucketName: string, key: string, change: (version: Version) => Version): void => {
    const bucket = bucketOf(buckets, bucketName)
    const [, ...older] = bucket.objects.get(key) ?? []
    bucket.objects.set(key, [change(versionOf(bucket, key)), ...older])
  }
  const close = async (): Promise<void> => {
    for (const client of clients) client.destroy()
    http.closeAllConnections()
    await new Promise((resolve) => http.close(resolve))
  }

  const server: S3Server = {
    endpoint,
    environment: {
      AWS_ENDPOINT_URL_S3: endpoint,
      AWS_REGION: "us-east-1",
      AWS_ACCESS_KEY_ID: ACCESS_KEY,
      AWS_SECRET_ACCESS_KEY: "secret",
    },
    log,
    intervene: undefined,
    client(config = {}) {
      const credentials = { accessKeyId: ACCESS_KEY, secretAccessKey: "secret" }
      const client = new S3Client({ endpoint, region: "us-east-1", forcePathStyle: true, credentials, ...config })
      clients.push(client)
      return client
    },
    count: (operation) => log.filter((request) => request.operation === operation).length,
    forget: () => {
      log.length = 0
    },
    stored: (bucket, key) => versionOf(bucketOf(buckets, bucket), key),
    async tamper(bucket, key, change) {
      const { content } = versionOf(bucketOf(buckets, bucket), key)
      const changed = await content.replace(change(new Uint8Array(await content.bytes())))
      replaceNewest(bucket, key, (version) => ({ ...version, checksums: {}, content: changed }))
    },
    edit: (bucket, key, change) => replaceNewest(bucket, key, (version) => ({ ...version, ...change(version) })),
    move(bucketName, from, to) {
      const { objects } = bucketOf(buckets, bucketName)
      objects.set(
        to,
        objects.get(from)!.map((version) => ({ ...version, key: to })),
      )
    },
    unfinished: (bucket) =>
      [...bucketOf(buckets, bucket).uploads.values()].flatMap(({ parts }) =>
        [...parts.values()].map(({ content }) => content),
      ),
    close,
    [Symbol.asyncDispose]: close,
  }
  return server
}

function checkCredentials({ headers }: IncomingMessage, { query }: LoggedRequest): void {
  const credential = query.get("X-Amz-Credential") ?? /Credential=([^,]+)/.exec(headers.authorization ?? "")?.[1]
  if (credential?.startsWith(`${ACCESS_KEY}/`) !== true) throw accessDenied()
}

function faultAnswer(error: unknown): Answer {
  const fault = error instanceof S3Fault ? error : new S3Fault(500, "InternalError", String(error))
  const body = fault.status === 304 ? "" : document("Error", { Code: fault.code, Message: fault.message })
  return { status: fault.status, headers: { "content-type": "application/xml" }, body }
}

async function send(request: IncomingMessage, response: ServerResponse, answer: Answer, cut: boolean): Promise<void> {
  const { status = 200, headers = {}, body = "" } = answer
  const id = Math.random().toString(16).slice(2).toUpperCase()
  const present = Object.entries(headers).filter((entry): entry is [string, string | number] => entry[1] !== undefined)
  const own = typeof body === "string" && request.method !== "HEAD" ? { "content-length": Buffer.byteLength(body) } : {}
  response.writeHead(status, { ...own, ...Object.fromEntries(present), "x-amz-request-id": id })
  if (cut) {
    response.flushHeaders()
    if (typeof body !== "string") {
      for await (const chunk of body) {
        await new Promise((resolve) => response.write(chunk.subarray(0, chunk.length >> 1), resolve))
        break
      }
    }
    return void request.socket.destroy()
  }
  if (request.method === "HEAD") response.end()
  else if (typeof body === "string") response.end(body)
  else await pipeline(body, response)
}
