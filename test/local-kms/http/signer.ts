import { createHash, createHmac } from "node:crypto"

export interface Credentials {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  readonly sessionToken?: string
}

export interface Unsigned {
  readonly method?: string
  readonly path?: string
  readonly query?: string
  /** Without the host. */
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
}

export interface SignOptions {
  readonly credentials: Credentials
  readonly host: string
  readonly now: number
  readonly service?: string
  readonly region?: string
  /** Sign all headers but these. */
  readonly leaveOut?: readonly string[]
}

export interface Signed {
  readonly method: string
  readonly path: string
  readonly query: string
  readonly headers: Record<string, string>
  readonly body: string
}

const hash = (text: string): string => createHash("sha256").update(text).digest("hex")
const mac = (key: string | Buffer, text: string): Buffer => createHmac("sha256", key).update(text).digest()

/** Signature Version 4, written down once more from its documentation, for plain requests: what the server is held against. */
export function sign(unsigned: Unsigned, options: SignOptions): Signed {
  const { credentials, host, now, service = "kms", region = "us-east-1", leaveOut = [] } = options
  const { method = "POST", path = "/", query = "", body = "" } = unsigned
  const time = `${new Date(now).toISOString().slice(0, 19).replace(/\W/g, "")}Z`
  const headers: Record<string, string> = { host, "x-amz-date": time, ...unsigned.headers }
  if (credentials.sessionToken !== undefined) headers["x-amz-security-token"] = credentials.sessionToken
  const names = Object.keys(headers)
    .filter((name) => !leaveOut.includes(name))
    .sort()
  const lines = names.map((name) => `${name}:${headers[name]!.trim().split(/ +/).join(" ")}\n`).join("")
  const canonical = `${method}\n${path}\n${query.split("&").sort().join("&")}\n${lines}\n${names.join(";")}\n${hash(body)}`
  const scope = `${time.slice(0, 8)}/${region}/${service}/aws4_request`
  const key = scope.split("/").reduce<string | Buffer>(mac, `AWS4${credentials.secretAccessKey}`)
  const signature = mac(key as Buffer, `AWS4-HMAC-SHA256\n${time}\n${scope}\n${hash(canonical)}`).toString("hex")
  headers.authorization = `AWS4-HMAC-SHA256 Credential=${credentials.accessKeyId}/${scope}, SignedHeaders=${names.join(";")}, Signature=${signature}`
  return { method, path, query, headers, body }
}
