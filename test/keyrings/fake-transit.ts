import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto"
import { createServer, type IncomingMessage, type Server } from "node:http"
import type { AddressInfo } from "node:net"

/**
 * As much of Vault's transit engine as a keyring needs: encrypt and decrypt under keys of type aes256-gcm96, with
 * associated data, behind a token. Answers as Vault does: 400 for what does not decrypt, 403 for a wrong token.
 */
export async function fakeTransit(token: string): Promise<{ address: string; server: Server; paths: string[] }> {
  const keys = new Map<string, Buffer>()
  const paths: string[] = []
  const server = createServer(async (request, response) => {
    paths.push(request.url!)
    const answer = (status: number, body: object) => response.writeHead(status).end(JSON.stringify(body))
    const [, operation, name] = /^\/v1\/transit\/(encrypt|decrypt)\/([\w-]+)$/.exec(request.url!) ?? []
    if (request.headers["x-vault-token"] !== token) return answer(403, { errors: ["permission denied"] })
    if (request.method !== "POST" || operation === undefined) return answer(404, { errors: [] })
    if (!keys.has(name!)) keys.set(name!, randomBytes(32))
    try {
      const input = JSON.parse(await bodyOf(request)) as Record<string, string>
      return answer(200, { data: { encrypt, decrypt }[operation as "encrypt" | "decrypt"](keys.get(name!)!, input) })
    } catch {
      return answer(400, { errors: ["cipher: message authentication failed"] })
    }
  })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  return { address: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, server, paths }
}

const PREFIX = "vault:v1:"

function encrypt(key: Buffer, input: Record<string, string>): object {
  const iv = randomBytes(12)
  const cipher = createCipheriv("aes-256-gcm", key, iv).setAAD(Buffer.from(input.associated_data!, "base64"))
  const sealed = Buffer.concat([iv, cipher.update(input.plaintext!, "base64"), cipher.final(), cipher.getAuthTag()])
  return { ciphertext: PREFIX + sealed.toString("base64"), key_version: 1 }
}

function decrypt(key: Buffer, input: Record<string, string>): object {
  const text = input.ciphertext!
  const sealed = Buffer.from(text.slice(PREFIX.length), "base64")
  // Vault takes strict base64 only; Node skips what it does not know.
  if (PREFIX + sealed.toString("base64") !== text) throw new Error("invalid ciphertext")
  const decipher = createDecipheriv("aes-256-gcm", key, sealed.subarray(0, 12), { authTagLength: 16 })
  decipher.setAAD(Buffer.from(input.associated_data!, "base64")).setAuthTag(sealed.subarray(-16))
  const plaintext = Buffer.concat([decipher.update(sealed.subarray(12, -16)), decipher.final()])
  return { plaintext: plaintext.toString("base64") }
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  let body = ""
  for await (const chunk of request.setEncoding("utf8")) body += chunk
  return body
}
