import { type IncomingHttpHeaders, request } from "node:http"
import { onTestFinished } from "vitest"
import { type KmsServer, type ListenOptions, LocalKms, type LocalKmsOptions } from "../../../src/local-kms/index.ts"
import { ACCOUNT } from "../helpers.ts"
import { type Credentials, type Signed, type SignOptions, sign, type Unsigned } from "./signer.ts"

export const ROOT = `arn:aws:iam::${ACCOUNT}:root`
export const NOW = Date.UTC(2026, 4, 20, 20, 45)

export interface Served {
  readonly kms: LocalKms
  readonly server: KmsServer
  readonly host: string
  readonly credentials: Credentials
  /** A signed request for an operation of KMS. */
  call(operation: string, input?: object, options?: Partial<SignOptions>): Promise<Reply>
  signed(unsigned: Unsigned, options?: Partial<SignOptions>): Signed
}

export interface Reply {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly text: string
  // biome-ignore lint/suspicious/noExplicitAny: tests look into replies of every operation.
  readonly json: any
}

/** A served KMS in memory, with an access key of the account's root. */
export async function served(
  options: ListenOptions = {},
  settings: LocalKmsOptions & { readonly kms?: LocalKms } = {},
): Promise<Served> {
  const kms = settings.kms ?? LocalKms.inMemory({ clock: () => NOW, ...settings })
  onTestFinished(() => kms.close())
  const credentials = await kms.accessKeys.create({ principal: ROOT })
  const server = await kms.listen(options)
  const host = new URL(server.endpoint).host
  const signed: Served["signed"] = (unsigned, more = {}) => sign(unsigned, { credentials, host, now: NOW, ...more })
  return {
    kms,
    server,
    host,
    credentials,
    signed,
    call: (operation, input = {}, more = {}) => send(server.endpoint, signed(kmsRequest(operation, input), more)),
  }
}

export const kmsRequest = (operation: string, input: object = {}): Unsigned => ({
  headers: { "content-type": "application/x-amz-json-1.1", "x-amz-target": `TrentService.${operation}` },
  body: JSON.stringify(input),
})

export const stsRequest = (parameters: Readonly<Record<string, string>>): Unsigned => ({
  headers: { "content-type": "application/x-www-form-urlencoded; charset=utf-8" },
  body: new URLSearchParams({ Version: "2011-06-15", ...parameters }).toString(),
})

export function send(endpoint: string, { method, path, query, headers, body }: Partial<Signed>): Promise<Reply> {
  const { hostname, port } = new URL(endpoint)
  const target = `${path ?? "/"}${query ? `?${query}` : ""}`
  return new Promise((resolve, reject) => {
    const outgoing = request(
      { hostname, port, method: method ?? "POST", path: target, headers: headers ?? {} },
      (message) => {
        let text = ""
        message.setEncoding("utf8").on("data", (chunk) => {
          text += chunk
        })
        message.on("end", () => {
          const isJson = message.headers["content-type"]?.includes("json") && text !== ""
          resolve({
            status: message.statusCode!,
            headers: message.headers,
            text,
            json: isJson ? JSON.parse(text) : undefined,
          })
        })
      },
    )
    outgoing.on("error", reject)
    outgoing.end(body ?? "")
  })
}
