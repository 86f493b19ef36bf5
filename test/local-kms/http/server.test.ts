import { connect } from "node:net"
import { setTimeout as delay } from "node:timers/promises"
import { describe, expect, onTestFinished, test } from "vitest"
import { LocalKms } from "../../../src/local-kms/index.ts"
import { kmsRequest, ROOT, send, served } from "./served.ts"
import { TEST_CERT, TEST_KEY } from "./test-certificate.ts"

const LIMIT = 1_048_576

describe("replies", () => {
  test("HTTP-4.1: have AWS's headers and status", async () => {
    const { call } = await served()
    const created = await call("CreateKey")
    expect(created.status).toBe(200)
    expect(created.headers).toMatchObject({
      "content-type": "application/x-amz-json-1.1",
      "x-amzn-requestid": expect.stringMatching(/^[0-9a-f-]{36}$/),
      "cache-control": "no-cache, no-store, must-revalidate, private",
      "content-length": String(Buffer.byteLength(created.text)),
      date: expect.any(String),
    })
    expect(created.json.KeyMetadata.CreationDate).toBe(Date.UTC(2026, 4, 20, 20, 45) / 1000)
    const { KeyId } = created.json.KeyMetadata
    const empty = await call("DisableKey", { KeyId })
    expect([empty.status, empty.text]).toEqual([200, ""])
    const refused = await call("Encrypt", { KeyId, Plaintext: "AAAA" })
    expect(refused.status).toBe(400)
    expect(refused.json).toEqual({ __type: "DisabledException", message: expect.stringMatching(/ is disabled\.$/) })
    const noText = await call("Decrypt", { CiphertextBlob: "AAAA" })
    expect(noText.json).toEqual({ __type: "InvalidCiphertextException" })
  })

  test("leave events that name the access key and the address", async () => {
    const { kms, call, credentials } = await served()
    const { headers } = await call("ListKeys")
    const [event] = await kms.events({ eventSource: "kms.amazonaws.com" })
    expect(event).toMatchObject({
      sourceIPAddress: "127.0.0.1",
      requestID: headers["x-amzn-requestid"],
      userIdentity: { type: "Root", accessKeyId: credentials.accessKeyId },
    })
    expect(event).not.toHaveProperty("tlsDetails")
  })

  test("say what is wrong with a body", async () => {
    const { server, signed } = await served()
    const post = (body: string) => send(server.endpoint, signed({ ...kmsRequest("ListKeys"), body }))
    expect((await post("{")).json).toMatchObject({ __type: "SerializationException" })
    expect((await post("[]")).json).toMatchObject({ __type: "SerializationException" })
    expect((await post("")).status).toBe(200)
  })

  test("HTTP-4.2: to what is not served are UnknownOperationException", async () => {
    const { server, signed, call } = await served()
    const unknown = { __type: "UnknownOperationException" }
    for (const request of [
      { method: "GET", body: "" },
      { path: "/kms" },
      { method: "PUT" },
      { path: "/%2e%2e/health" },
    ]) {
      const reply = await send(server.endpoint, signed({ ...kmsRequest("ListKeys"), ...request }))
      expect([reply.status, reply.json], JSON.stringify(request)).toEqual([404, unknown])
    }
    const wrongType = kmsRequest("ListKeys")
    const headers = { ...wrongType.headers, "content-type": "application/json" }
    expect((await send(server.endpoint, signed({ ...wrongType, headers }))).json).toEqual(unknown)
    expect((await call("Nonsense")).json).toMatchObject(unknown)
  })

  test("HTTP-4.1: to a failure of the server tell nothing of its cause", async () => {
    const errors: unknown[] = []
    const { kms, call, server } = await served({ onError: (error) => errors.push(error) })
    const { KeyId } = (await call("CreateKey")).json.KeyMetadata
    const broken = new Error("the disk is on fire")
    // What any failure below the dispatcher does.
    Object.defineProperty(JSON, "stringify", {
      value: fails(JSON.stringify, broken),
      configurable: true,
      writable: true,
    })
    const reply = await call("Encrypt", { KeyId, Plaintext: "AAAA" }).finally(restoreStringify)
    expect(reply.status).toBe(500)
    expect(reply.json).toEqual({
      __type: "KMSInternalException",
      message: "The request failed inside the embedded KMS.",
    })
    expect(errors).toEqual([broken])
    expect(await text(server.metricsUrl!)).toMatch(
      /requests_total\{operation="(?:Encrypt|other)",outcome="failed"\} 1\n/,
    )
    await kms.close()
  })
})

const stringify = JSON.stringify
const restoreStringify = (): void => {
  JSON.stringify = stringify
}
/** Fails for audit events only. */
const fails = (original: typeof JSON.stringify, error: Error) =>
  function failing(value: unknown, ...rest: []) {
    if (typeof value === "object" && value !== null && "eventVersion" in value) throw error
    return original(value, ...rest)
  }

const text = async (url: string): Promise<string> => (await fetch(url)).text()

describe("limits", () => {
  test("HTTP-4.3: a body may have 1,048,576 bytes and no more", async () => {
    const { server, signed } = await served()
    const padded = (length: number) => {
      const start = '{"Limit":1,"x":"'
      return `${start}${"x".repeat(length - start.length - 2)}"}`
    }
    const post = (length: number) => send(server.endpoint, signed({ ...kmsRequest("ListKeys"), body: padded(length) }))
    expect((await post(LIMIT)).status).toBe(200)
    const refused = await post(LIMIT + 1)
    expect(refused.status).toBe(413)
    expect(refused.json).toEqual({
      __type: "RequestEntityTooLargeException",
      message: "The request is larger than 1048576 bytes.",
    })
    expect(refused.headers.connection).toBe("close")
  })

  test("HTTP-4.3: a body in pieces of no stated length is cut off at the same limit", async () => {
    const { server, port } = await withPort()
    const socket = connect(port, "127.0.0.1")
    onTestFinished(() => void socket.destroy())
    const reply = firstLine(socket)
    socket.write("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
    const chunk = `10000\r\n${"x".repeat(65_536)}\r\n`
    for (let i = 0; i < 17; i++) socket.write(chunk)
    expect(await reply).toBe("HTTP/1.1 413 Payload Too Large")
    expect((await fetch(`${server.endpoint}/health`)).status).toBe(200)
  })

  test("HTTP-4.4: whoever does not finish its headers is cut off", { timeout: 30_000 }, async () => {
    const { port } = await withPort()
    const socket = connect(port, "127.0.0.1")
    onTestFinished(() => void socket.destroy())
    const reply = firstLine(socket)
    socket.write("POST / HTTP/1.1\r\nHost: x\r\n")
    expect(await reply).toBe("HTTP/1.1 408 Request Timeout")
  })

  test("a client that goes away in the middle of its request leaves nothing behind", async () => {
    const { server, port, kms, call } = await withPort()
    const socket = connect(port, "127.0.0.1")
    socket.write("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
    await delay(50)
    socket.destroy()
    await expect.poll(() => text(server.metricsUrl!)).toMatch(/error="ConnectionLost"\} 1\n/)
    expect(await text(server.metricsUrl!)).toContain("kms_envelope_requests_in_flight 0\n")
    expect((await call("ListKeys")).status).toBe(200)
    expect(await kms.events({ eventSource: "kms.amazonaws.com" })).toHaveLength(1)
  })

  test("garbage is answered with 400 by HTTP itself", async () => {
    const { port } = await withPort()
    const socket = connect(port, "127.0.0.1")
    onTestFinished(() => void socket.destroy())
    const reply = firstLine(socket)
    socket.write("\u0000\u0001\u0002 nonsense\r\n\r\n")
    expect(await reply).toBe("HTTP/1.1 400 Bad Request")
  })
})

async function withPort() {
  const world = await served()
  return { ...world, port: world.server.port }
}

const firstLine = (socket: ReturnType<typeof connect>): Promise<string> =>
  new Promise((resolve, reject) => {
    let got = ""
    socket.on("data", (chunk) => {
      got += chunk
      if (got.includes("\r\n")) resolve(got.slice(0, got.indexOf("\r\n")))
    })
    socket.on("error", reject)
    socket.on("close", () => reject(new Error(`closed after '${got}'`)))
  })

describe("binding", () => {
  test("HTTP-4.5: is to the loopback address unless told otherwise", async () => {
    const { server } = await served()
    expect(server.endpoint).toBe(`http://127.0.0.1:${server.port}`)
  })

  test.each(["0.0.0.0", "::", "192.0.2.1", "kms.example.com", "127.0.0.1.example.com"])(
    "HTTP-4.5: to %s takes TLS or the word insecure",
    async (host) => {
      const kms = LocalKms.inMemory()
      onTestFinished(() => kms.close())
      await expect(kms.listen({ host })).rejects.toThrow(
        new TypeError(`listening on ${host} takes tls, or insecure: true: data keys would travel in the clear`),
      )
    },
  )

  test("HTTP-4.5: to all addresses is possible when the operator insists", async () => {
    const { server, signed } = await served({ host: "0.0.0.0", insecure: true })
    expect(server.endpoint).toBe(`http://localhost:${server.port}`)
    expect((await send(`http://127.0.0.1:${server.port}`, signed(kmsRequest("ListKeys")))).status).toBe(200)
  })

  test("to a port that is taken is the system's error", async () => {
    const { server, kms } = await served()
    await expect(kms.listen({ port: server.port })).rejects.toMatchObject({ code: "EADDRINUSE" })
  })

  test("HTTP-4.5: with TLS serves HTTPS, and events say how the request came", async () => {
    const { kms, server, credentials } = await served({ host: "0.0.0.0", tls: { cert: TEST_CERT, key: TEST_KEY } })
    expect(server.endpoint).toBe(`https://localhost:${server.port}`)
    const { KMSClient, ListKeysCommand } = await import("@aws-sdk/client-kms")
    const { Agent } = await import("node:https")
    const client = new KMSClient({
      endpoint: server.endpoint,
      region: "us-east-1",
      credentials,
      systemClockOffset: Date.UTC(2026, 4, 20, 20, 45) - Date.now(),
      requestHandler: { httpsAgent: new Agent({ ca: TEST_CERT }) },
    })
    onTestFinished(() => client.destroy())
    await client.send(new ListKeysCommand({}))
    const [event] = await kms.events({ eventSource: "kms.amazonaws.com" })
    expect(event!.tlsDetails).toEqual({
      tlsVersion: "TLSv1.3",
      cipherSuite: expect.stringMatching(/^TLS_AES_/),
      clientProvidedHostHeader: `localhost:${server.port}`,
    })
  })
})

describe("the open mode", () => {
  const unsigned = kmsRequest("CreateKey")

  test("HTTP-1.8: answers everybody as the account's root, in the Region that the request names", async () => {
    const { kms, server } = await served({ open: true })
    const first = await send(server.endpoint, unsigned)
    expect(first.json.KeyMetadata.Arn).toMatch(/^arn:aws:kms:us-east-1:111122223333:key/)
    const authorization =
      "AWS4-HMAC-SHA256 Credential=anything/20200101/eu-west-1/kms/aws4_request, SignedHeaders=a, Signature=b"
    const second = await send(server.endpoint, { ...unsigned, headers: { ...unsigned.headers, authorization } })
    expect(second.json.KeyMetadata.Arn).toMatch(/^arn:aws:kms:eu-west-1:111122223333:key/)
    const identities = (await kms.events({ eventSource: "kms.amazonaws.com" })).map(
      ({ userIdentity }) => userIdentity.arn,
    )
    expect(identities).toEqual([ROOT, ROOT])
  })

  test("HTTP-1.8: refuses a name that a web page could have resolve to this host", async () => {
    const { server } = await served({ open: true })
    const from = (host: string) => send(server.endpoint, { ...unsigned, headers: { ...unsigned.headers, host } })
    for (const host of ["localhost", "localhost:4599", "kms.localhost:1", "127.0.0.1:4599", "[::1]:4599"])
      expect((await from(host)).status, host).toBe(200)
    for (const host of ["evil.example.com", "evil.example.com:4599", "localhost.example.com", "127.0.0.1.example.com"])
      expect((await from(host)).json, host).toEqual({
        __type: "AccessDeniedException",
        message: `This server is not known as ${host}.`,
      })
  })

  test("is off unless it is asked for", async () => {
    const { server } = await served({})
    expect((await send(server.endpoint, unsigned)).json.__type).toBe("MissingAuthenticationTokenException")
  })
})

describe("closing", () => {
  test("HTTP-4.6: answers running requests, refuses new ones, and then nobody is connected", async () => {
    const { kms, server, call, port } = await withPort()
    const { KeyId } = (await call("CreateKey")).json.KeyMetadata
    // Its request has begun and not ended when the server closes.
    const slow = connect(port, "127.0.0.1")
    const late = connect(port, "127.0.0.1")
    const [slowReply, lateReply] = [firstLine(slow), firstLine(late)]
    slow.write("POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-amz-json-1.1\r\nContent-Length: 2\r\n\r\n{")
    late.write("POST / HTTP/1.1\r\nHost: x\r\n")
    await delay(50)
    const running = call("Encrypt", { KeyId, Plaintext: "AAAA" }).catch((error: Error) => error)
    const closing = kms.close()
    late.write("Content-Length: 0\r\n\r\n")
    expect(await lateReply).toBe("HTTP/1.1 503 Service Unavailable")
    slow.write("}")
    expect(await slowReply).toBe("HTTP/1.1 400 Bad Request")
    // Whether it came before the door was closed, on a connection of its own, is a matter of luck.
    const settled = await running
    if (!(settled instanceof Error)) expect([200, 503]).toContain(settled.status)
    await closing
    await expect(fetch(`${server.endpoint}/health`)).rejects.toThrow()
  })

  test("HTTP-4.6: cuts what does not end within the grace period", async () => {
    const { server } = await served({ graceSeconds: 0.1 })
    const socket = connect(server.port, "127.0.0.1")
    const reply = firstLine(socket)
    socket.write("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
    await delay(50)
    await server.close()
    await expect(reply).rejects.toThrow(/^closed after ''$|ECONNRESET/)
  })

  test("the server alone leaves the KMS open, and it can listen again", async () => {
    const { kms, server } = await served()
    await server.close()
    await kms.directClient().send({ constructor: { name: "ListKeysCommand" }, input: {} })
    await using again = await kms.listen()
    expect((await fetch(`${again.endpoint}/health`)).status).toBe(200)
  })

  test("a closed KMS does not listen", async () => {
    const kms = LocalKms.inMemory()
    await kms.close()
    await expect(kms.listen()).rejects.toMatchObject({ code: "Closed" })
  })
})

describe("watching", () => {
  test("HTTP-4.2: /health says that the store answers", async () => {
    const { server } = await served()
    const reply = await fetch(`${server.endpoint}/health`)
    expect([reply.status, await reply.text()]).toEqual([200, '{"status":"ok"}\n'])
    const head = await fetch(`${server.endpoint}/health`, { method: "HEAD" })
    expect([head.status, await head.text()]).toEqual([200, ""])
  })

  test("HTTP-4.7: /metrics counts by operation, outcome, error and time, and holds no secret", async () => {
    const { server, call, signed, credentials } = await served()
    const { KeyId } = (await call("CreateKey")).json.KeyMetadata
    const data = await call("GenerateDataKey", { KeyId, KeySpec: "AES_256", EncryptionContext: { tenant: "acme" } })
    await call("Decrypt", { CiphertextBlob: "AAAA" })
    await call("Nonsense<1>")
    await send(server.endpoint, { ...signed(kmsRequest("ListKeys")), body: "changed" })
    const metrics = await fetch(server.metricsUrl!)
    expect(metrics.headers.get("content-type")).toBe("text/plain; version=0.0.4; charset=utf-8")
    const page = await metrics.text()
    for (const line of [
      'kms_envelope_requests_total{operation="GenerateDataKey",outcome="succeeded"} 1',
      'kms_envelope_requests_total{operation="Decrypt",outcome="refused"} 1',
      'kms_envelope_requests_total{operation="other",outcome="refused"} 2',
      'kms_envelope_errors_total{operation="Decrypt",error="InvalidCiphertextException"} 1',
      'kms_envelope_errors_total{operation="other",error="UnknownOperationException"} 1',
      'kms_envelope_errors_total{operation="other",error="InvalidSignatureException"} 1',
      'kms_envelope_request_duration_seconds_bucket{operation="GenerateDataKey",le="+Inf"} 1',
      'kms_envelope_request_duration_seconds_count{operation="GenerateDataKey"} 1',
      'kms_envelope_availability_ratio{operation="GenerateDataKey"} 1',
      "kms_envelope_requests_in_flight 0",
    ])
      expect(page).toContain(`${line}\n`)
    for (const secret of [
      credentials.secretAccessKey,
      credentials.accessKeyId,
      data.json.Plaintext,
      "acme",
      KeyId,
      "Nonsense",
    ])
      expect(page).not.toContain(secret)
    for (const line of page.trim().split("\n"))
      expect(line).toMatch(/^(?:# (?:HELP|TYPE) kms_envelope_\w+ .+|kms_envelope_\w+(?:\{[^}]+\})? [\d.e+-]+)$/)
  })

  test("HTTP-4.7: /metrics can have a port of its own, or none", async () => {
    const apart = await served({ metrics: { port: 0 } })
    expect(apart.server.metricsUrl).not.toContain(apart.host)
    await apart.call("ListKeys")
    expect(await text(apart.server.metricsUrl!)).toContain('operation="ListKeys"')
    expect((await fetch(`${apart.server.endpoint}/metrics`)).status).toBe(404)
    const posted = await send(new URL(apart.server.metricsUrl!).origin, apart.signed(kmsRequest("ListKeys")))
    expect(posted.status).toBe(404)
    const none = await served({ metrics: false })
    expect(none.server.metricsUrl).toBeUndefined()
    expect((await fetch(`${none.server.endpoint}/metrics`)).status).toBe(404)
  })
})
