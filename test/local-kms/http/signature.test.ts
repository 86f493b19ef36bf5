import { createHash } from "node:crypto"
import fc from "fast-check"
import { describe, expect, test } from "vitest"
import {
  deriveSigningKey,
  isSignedBy,
  readAuthorization,
  type SignedRequest,
} from "../../../src/local-kms/http/signature.ts"
import { ACCOUNT } from "../helpers.ts"
import { kmsRequest, NOW, ROOT, type Served, send, served } from "./served.ts"
import { type Signed, sign } from "./signer.ts"

const UNRECOGNIZED = {
  __type: "UnrecognizedClientException",
  message: "The security token included in the request is invalid.",
}
const MISMATCH = {
  __type: "InvalidSignatureException",
  message: expect.stringMatching(/^The request signature we calculated does not match the signature you provided\./),
}

describe("a published signature", () => {
  const secret = new TextEncoder().encode("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
  const scope = "20150830/us-east-1/service/aws4_request"
  const published: [string, Partial<SignedRequest>, Record<string, string[]>, string][] = [
    ["get-vanilla", {}, {}, "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"],
    ["post-vanilla", { method: "POST" }, {}, "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"],
    [
      "get-vanilla-query-order-key-case",
      { query: "Param2=value2&Param1=value1" },
      {},
      "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
    ],
    [
      "get-header-value-trim",
      {},
      { "my-header1": [" value1"], "my-header2": [' "a   b   c"'] },
      "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736",
    ],
  ]
  test.each(published)("HTTP-1.5: %s of AWS's test suite verifies", (_name, part, more, signature) => {
    const headers = new Map(
      Object.entries({ host: ["example.amazonaws.com"], "x-amz-date": ["20150830T123600Z"], ...more }),
    )
    const names = [...headers.keys()].sort().join(";")
    const authorization = `AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/${scope}, SignedHeaders=${names}, Signature=${signature}`
    headers.set("authorization", [authorization])
    const request: SignedRequest = { method: "GET", path: "/", query: "", headers, body: new Uint8Array(0), ...part }
    const signed = readAuthorization(request)!
    const key = deriveSigningKey(secret, signed)
    expect(isSignedBy(key, request, signed)).toBe(true)
    expect(isSignedBy(key, { ...request, path: "/x" }, signed)).toBe(false)
    expect(isSignedBy(key, { ...request, body: new Uint8Array(1) }, signed)).toBe(false)
  })
})

describe("a request signed by a second implementation", () => {
  test("is answered", async () => {
    const { call } = await served()
    expect((await call("ListKeys")).json).toEqual({ Keys: [], Truncated: false })
  })

  test("HTTP-1.5: is answered with several spaces in a header, other headers, and a query", async () => {
    const { signed, server } = await served()
    const request = kmsRequest("ListKeys")
    const withMore = { ...request, query: "b=2&a=1&a=0", headers: { ...request.headers, "user-agent": "  a    b " } }
    expect((await send(server.endpoint, signed(withMore))).status).toBe(200)
    const unsignedHeader = signed(request, { leaveOut: ["content-type"] })
    expect((await send(server.endpoint, unsignedHeader)).status).toBe(200)
  })

  test("names the Region that it is addressed to", async () => {
    const { call } = await served()
    const { KeyMetadata } = (await call("CreateKey", {}, { region: "ap-northeast-2" })).json
    expect(KeyMetadata.Arn).toMatch(/^arn:aws:kms:ap-northeast-2:111122223333:key\//)
    expect((await call("ListKeys")).json.Keys).toEqual([])
  })
})

describe("refused is", () => {
  const refused: [string, (world: Served) => Signed, { readonly __type: string; readonly message: unknown }][] = [
    [
      "HTTP-1.1: what is not signed",
      ({ signed }) => without(signed(kmsRequest("ListKeys")), "authorization"),
      { __type: "MissingAuthenticationTokenException", message: "Missing Authentication Token" },
    ],
    [
      "HTTP-1.1: another algorithm",
      ({ signed }) => edited(signed(kmsRequest("ListKeys")), "AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256"),
      { __type: "IncompleteSignatureException", message: expect.stringContaining("AWS4-HMAC-SHA256") },
    ],
    [
      "HTTP-1.1: a header without its signature",
      ({ signed }) => edited(signed(kmsRequest("ListKeys")), /, Signature=.*/, ""),
      {
        __type: "IncompleteSignatureException",
        message: expect.stringMatching(/^Authorization header requires 'Signature' parameter\. /),
      },
    ],
    [
      "HTTP-1.1: a header with two signatures",
      ({ signed }) => edited(signed(kmsRequest("ListKeys")), /$/, ", Signature=00"),
      { __type: "IncompleteSignatureException", message: expect.stringContaining("not well formed") },
    ],
    [
      "HTTP-1.1: a request without its time",
      ({ signed }) => without(signed(kmsRequest("ListKeys")), "x-amz-date"),
      { __type: "IncompleteSignatureException", message: expect.stringContaining("'X-Amz-Date'") },
    ],
    [
      "HTTP-1.1: signed headers out of order",
      ({ signed }) => edited(signed(kmsRequest("ListKeys")), "content-type;host", "host;content-type"),
      { __type: "IncompleteSignatureException", message: expect.stringContaining("in order") },
    ],
    [
      "HTTP-1.1: a scope of four parts",
      ({ signed }) => edited(signed(kmsRequest("ListKeys")), "/aws4_request", ""),
      {
        __type: "IncompleteSignatureException",
        message: expect.stringContaining("exactly 5 slash-delimited elements"),
      },
    ],
    [
      "HTTP-1.1: a signature in the query string",
      ({ signed }) => ({
        ...without(signed(kmsRequest("ListKeys")), "authorization"),
        query: "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=a&X-Amz-Signature=00",
      }),
      { __type: "InvalidSignatureException", message: expect.stringContaining("query string") },
    ],
    [
      "HTTP-1.2: another service's scope",
      ({ signed }) => signed(kmsRequest("ListKeys"), { service: "sts" }),
      { __type: "InvalidSignatureException", message: "Credential should be scoped to correct service: 'kms'. " },
    ],
    [
      "HTTP-1.2: what is no Region",
      ({ signed }) => signed(kmsRequest("ListKeys"), { region: "mars" }),
      { __type: "InvalidSignatureException", message: "Credential should be scoped to a valid region, not 'mars'. " },
    ],
    [
      "HTTP-1.2: another terminator",
      ({ signed }) => edited(signed(kmsRequest("ListKeys")), "/aws4_request", "/aws5_request"),
      { __type: "InvalidSignatureException", message: expect.stringContaining("valid terminator: 'aws4_request'") },
    ],
    [
      "HTTP-1.2: the scope of another day",
      ({ signed }) => edited(signed(kmsRequest("ListKeys")), "/20260520/", "/20260519/"),
      {
        __type: "InvalidSignatureException",
        message:
          "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: " +
          "'20260519' != '20260520', from '20260520T204500Z'.",
      },
    ],
    [
      "HTTP-1.2: a time that no calendar has",
      ({ signed }) => withHeader(signed(kmsRequest("ListKeys")), "x-amz-date", "20260532T204500Z"),
      { __type: "IncompleteSignatureException", message: expect.stringContaining("20260532T204500Z") },
    ],
    [
      "HTTP-1.2: a signature of 5 minutes and 1 second ago",
      ({ signed }) => signed(kmsRequest("ListKeys"), { now: NOW - 301_000 }),
      {
        __type: "InvalidSignatureException",
        message: "Signature expired: 20260520T203959Z is now earlier than 20260520T204000Z (20260520T204500Z - 5 min.)",
      },
    ],
    [
      "HTTP-1.2: a signature of in 5 minutes and 1 second",
      ({ signed }) => signed(kmsRequest("ListKeys"), { now: NOW + 301_000 }),
      {
        __type: "InvalidSignatureException",
        message:
          "Signature not yet current: 20260520T205001Z is still later than 20260520T205000Z (20260520T204500Z + 5 min.)",
      },
    ],
    [
      "HTTP-1.3: another hash of the body than the body's",
      ({ signed }) => signed(withMore(kmsRequest("ListKeys"), { "x-amz-content-sha256": "0".repeat(64) })),
      { __type: "InvalidSignatureException", message: expect.stringContaining("x-amz-content-sha256") },
    ],
    [
      "HTTP-1.3: an unsigned body",
      ({ signed }) => signed(withMore(kmsRequest("ListKeys"), { "x-amz-content-sha256": "UNSIGNED-PAYLOAD" })),
      { __type: "InvalidSignatureException", message: expect.stringContaining("x-amz-content-sha256") },
    ],
    [
      "HTTP-1.4: a host that is not signed",
      ({ signed }) => signed(kmsRequest("ListKeys"), { leaveOut: ["host"] }),
      {
        __type: "InvalidSignatureException",
        message: "'host' must be a 'SignedHeader' in the AWS Authorization.",
      },
    ],
    [
      "HTTP-1.4: a target that is not signed",
      ({ signed }) => signed(kmsRequest("ListKeys"), { leaveOut: ["x-amz-target"] }),
      {
        __type: "InvalidSignatureException",
        message: "'x-amz-target' must be a 'SignedHeader' in the AWS Authorization.",
      },
    ],
    [
      "HTTP-1.4: a signed header that is gone",
      ({ signed }) => without(signed(withMore(kmsRequest("ListKeys"), { "x-more": "1" })), "x-more"),
      { __type: "InvalidSignatureException", message: "The signed header 'x-more' is not in the request." },
    ],
    [
      "HTTP-1.6: an access key that there is not",
      ({ signed }) =>
        signed(kmsRequest("ListKeys"), { credentials: { accessKeyId: "AKIAUNKNOWN", secretAccessKey: "x" } }),
      UNRECOGNIZED,
    ],
    [
      "HTTP-1.6: a session token beside an access key that has none",
      ({ signed, credentials }) =>
        signed(kmsRequest("ListKeys"), { credentials: { ...credentials, sessionToken: "made-up" } }),
      UNRECOGNIZED,
    ],
    [
      "HTTP-1.6: a session whose token nobody made",
      ({ signed, credentials }) =>
        signed(kmsRequest("ListKeys"), {
          credentials: { ...credentials, accessKeyId: "ASIAAAAAAAAAAAAAAAAA", sessionToken: "A".repeat(400) },
        }),
      UNRECOGNIZED,
    ],
    [
      "HTTP-1.6: another secret",
      ({ signed, credentials }) =>
        signed(kmsRequest("ListKeys"), { credentials: { ...credentials, secretAccessKey: "another-secret" } }),
      MISMATCH,
    ],
  ]
  test.each(refused)("%s", async (_what, make, expected) => {
    const world = await served()
    const reply = await send(world.server.endpoint, make(world))
    expect(reply.json).toEqual(expected)
    expect(reply.status).toBe(400)
    expect(reply.headers["x-amzn-requestid"]).toMatch(/^[0-9a-f-]{36}$/)
    expect(reply.text).not.toContain(world.credentials.secretAccessKey)
    // AUD-1.10
    const [event, ...others] = await world.kms.events({ eventSource: "kms.amazonaws.com" })
    expect(others).toEqual([])
    expect(event).toMatchObject({
      eventName: "ListKeys",
      errorCode: expected.__type,
      errorMessage: expected.message,
      userIdentity: { type: "Unknown", accountId: ACCOUNT },
      requestParameters: null,
      requestID: reply.headers["x-amzn-requestid"],
    })
  })

  test("HTTP-1.2: 5 minutes are allowed, to the second", async () => {
    const { call } = await served()
    for (const offset of [-300_000, 300_000])
      expect((await call("ListKeys", {}, { now: NOW + offset })).status).toBe(200)
  })

  test("HTTP-1.6: what a disabled or deleted access key signs, and not what an enabled one does", async () => {
    const { kms, call, credentials } = await served()
    await kms.accessKeys.disable(credentials.accessKeyId)
    expect((await call("ListKeys")).json).toEqual(UNRECOGNIZED)
    await kms.accessKeys.enable(credentials.accessKeyId)
    expect((await call("ListKeys")).status).toBe(200)
    await kms.accessKeys.delete(credentials.accessKeyId)
    expect((await call("ListKeys")).json).toEqual(UNRECOGNIZED)
    const secretAccessKey = "another-secret-under-the-same-id"
    await kms.accessKeys.create({ principal: ROOT, accessKeyId: credentials.accessKeyId, secretAccessKey })
    expect((await call("ListKeys")).json).toEqual(MISMATCH)
    expect((await call("ListKeys", {}, { credentials: { ...credentials, secretAccessKey } })).status).toBe(200)
  })

  test("any change of any signed part", async () => {
    const world = await served()
    const request = world.signed({
      ...kmsRequest("GenerateRandom", { NumberOfBytes: 8 }),
      query: "x=1",
      headers: {
        ...kmsRequest("GenerateRandom").headers,
        "x-amz-content-sha256": createHash("sha256").update('{"NumberOfBytes":8}').digest("hex"),
        "user-agent": "tests/1",
      },
    })
    expect((await send(world.server.endpoint, request)).status).toBe(200)
    const parts = ["body", "query", ...Object.keys(request.headers)]
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...parts),
        fc.nat(),
        fc.integer({ min: 33, max: 126 }),
        async (part, at, code) => {
          const changed = changedPart(request, part, at, String.fromCharCode(code))
          fc.pre(changed !== undefined)
          const reply = await send(world.server.endpoint, changed!)
          expect([400, 404]).toContain(reply.status)
          expect(reply.json.Plaintext).toBeUndefined()
        },
      ),
      { numRuns: 200 },
    )
  })
})

/** One character of a part replaced; `undefined` for what means the same. */
function changedPart(request: Signed, part: string, at: number, character: string): Signed | undefined {
  const replace = (text: string): string =>
    text.slice(0, at % text.length) + character + text.slice((at % text.length) + 1)
  if (part === "body") return differs(request, { ...request, body: replace(request.body) })
  if (part === "query") return differs(request, { ...request, query: replace(request.query).replace(/[#%?]/g, "9") })
  const headers = { ...request.headers, [part]: replace(request.headers[part]!) }
  return differs(request, { ...request, headers })
}

function differs(before: Signed, after: Signed): Signed | undefined {
  const isSame = JSON.stringify(before) === JSON.stringify(after)
  // A name without a value may have its "=" or not.
  return isSame || (after.query !== before.query && after.query.replace(/=$/, "") === before.query) ? undefined : after
}

const without = (request: Signed, name: string): Signed => {
  const { [name]: _gone, ...headers } = request.headers
  return { ...request, headers }
}
const withHeader = (request: Signed, name: string, value: string): Signed => ({
  ...request,
  headers: { ...request.headers, [name]: value },
})
const edited = (request: Signed, from: string | RegExp, to: string): Signed =>
  withHeader(request, "authorization", request.headers.authorization!.replace(from, to))
const withMore = (request: ReturnType<typeof kmsRequest>, headers: Record<string, string>) => ({
  ...request,
  headers: { ...request.headers, ...headers },
})

test("the signer of the tests is not the server's", () => {
  const request = sign({}, { credentials: { accessKeyId: "a", secretAccessKey: "b" }, host: "h", now: NOW })
  expect(request.headers.authorization).toMatch(
    /^AWS4-HMAC-SHA256 Credential=a\/20260520\/us-east-1\/kms\/aws4_request, /,
  )
})
