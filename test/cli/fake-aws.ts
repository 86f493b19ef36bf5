import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { onTestFinished } from "vitest"
import { LocalKms } from "../../src/local-kms/index.ts"

/** The bytes an embedded KMS's ciphertext begins with, and those AWS's begin with. */
const LOCAL = Buffer.from("LOCALKMS", "base64")
const AWS = Buffer.from("AQICAHha", "base64")

const isBlob = (name: string): boolean => name === "CiphertextBlob" || name === "Plaintext"

export interface FakeAws {
  readonly url: string
  /** Makes the AWS SDK, and so `--kms aws`, come here. */
  readonly env: Record<string, string>
  readonly keyArn: string
  /** `Decrypt us-east-1`, and so on, as they came. */
  readonly requests: string[]
}

/** AWS KMS as the SDK sees it: its protocol over HTTP, its ciphertexts' first bytes, and one key. */
export async function fakeAws(): Promise<FakeAws> {
  const kms = LocalKms.inMemory({ region: "eu-west-1", accountId: "444455556666" })
  const requests: string[] = []
  const send = (operation: string, input: object) =>
    kms.directClient().send({ input, constructor: { name: `${operation}Command` } })

  const server = createServer(async (request, response) => {
    let body = ""
    for await (const chunk of request) body += chunk
    const operation = String(request.headers["x-amz-target"]).replace("TrentService.", "")
    const region = /Credential=[^/]+\/\d+\/([^/]+)\/kms/.exec(request.headers.authorization ?? "")?.[1]
    requests.push(`${operation} ${region}`)
    const { status, output } = await answer(operation, JSON.parse(body || "{}"))
    response.writeHead(status, { "content-type": "application/x-amz-json-1.1" })
    response.end(JSON.stringify(output, encodeBlobs))
  })

  async function answer(operation: string, input: Record<string, unknown>) {
    const { CiphertextBlob, Plaintext } = input as { CiphertextBlob?: string; Plaintext?: string }
    try {
      const output = await send(operation, {
        ...input,
        ...(CiphertextBlob && { CiphertextBlob: swap(Buffer.from(CiphertextBlob, "base64"), AWS, LOCAL) }),
        ...(Plaintext && { Plaintext: Buffer.from(Plaintext, "base64") }),
      })
      delete output.$metadata
      return { status: 200, output }
    } catch (error) {
      const { name, message } = error as Error
      return { status: 400, output: { __type: name, message } }
    }
  }

  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  onTestFinished(async () => {
    server.closeAllConnections()
    server.close()
    await kms.close()
  })
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const { KeyMetadata } = await send("CreateKey", {})
  const env = {
    AWS_ENDPOINT_URL_KMS: url,
    AWS_ACCESS_KEY_ID: "AKIAIOSFODNN7EXAMPLE",
    AWS_SECRET_ACCESS_KEY: "secret",
    AWS_REGION: "eu-west-1",
  }
  return { url, env, keyArn: KeyMetadata.Arn, requests }
}

function encodeBlobs(this: Record<string, unknown>, name: string, value: unknown): unknown {
  const bytes = this[name]
  if (isBlob(name)) return Buffer.from(swap(Buffer.from(bytes as Uint8Array), LOCAL, AWS)).toString("base64")
  return bytes instanceof Date ? bytes.getTime() / 1000 : value
}

const swap = (bytes: Buffer, from: Buffer, to: Buffer): Buffer =>
  bytes.subarray(0, from.length).equals(from) ? Buffer.concat([to, bytes.subarray(from.length)]) : bytes
