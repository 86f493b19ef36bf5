import { describe, expect, test } from "vitest"
import { LocalKms } from "../../../src/local-kms/index.ts"
import { ACCOUNT, OTHER_ACCOUNT_ROLE, temporaryFolder } from "../helpers.ts"
import { kmsRequest, NOW, ROOT, type Served, send, served, stsRequest } from "./served.ts"
import type { Credentials } from "./signer.ts"

const ALICE = `arn:aws:iam::${ACCOUNT}:user/Alice`
const ROLE = `arn:aws:iam::${ACCOUNT}:role/team/App`

async function asAlice(options = {}, settings = {}) {
  const world = await served(options, settings)
  const credentials = await world.kms.accessKeys.create({ principal: ALICE })
  const sts = (parameters: Readonly<Record<string, string>>, signer: Credentials = credentials) =>
    send(world.server.endpoint, world.signed(stsRequest(parameters), { service: "sts", credentials: signer }))
  return { ...world, alice: credentials, sts }
}

const field = (xml: string, name: string): string | undefined => new RegExp(`<${name}>([^<]*)</${name}>`).exec(xml)?.[1]

const sessionOf = (xml: string): Credentials => ({
  accessKeyId: field(xml, "AccessKeyId")!,
  secretAccessKey: field(xml, "SecretAccessKey")!,
  sessionToken: field(xml, "SessionToken")!,
})

/** As the caller itself sees it. */
async function identity(world: Served, credentials: Credentials): Promise<string | undefined> {
  const request = world.signed(stsRequest({ Action: "GetCallerIdentity" }), { service: "sts", credentials })
  return field((await send(world.server.endpoint, request)).text, "Arn")
}

const assume = { Action: "AssumeRole", RoleArn: ROLE, RoleSessionName: "build-7" }

describe("GetCallerIdentity", () => {
  test("HTTP-3.2: says who calls, in STS's XML", async () => {
    const { sts } = await asAlice()
    const { status, headers, text } = await sts({ Action: "GetCallerIdentity" })
    expect([status, headers["content-type"]]).toEqual([200, "text/xml"])
    expect(text).toBe(
      `<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>` +
        `<Arn>${ALICE}</Arn><UserId>${field(text, "UserId")}</UserId><Account>${ACCOUNT}</Account></GetCallerIdentityResult>` +
        `<ResponseMetadata><RequestId>${headers["x-amzn-requestid"]}</RequestId></ResponseMetadata></GetCallerIdentityResponse>\n`,
    )
    expect(field(text, "UserId")).toMatch(/^AIDA[A-Z2-7]{17}$/)
  })

  test("knows a root", async () => {
    const world = await served()
    expect(await identity(world, world.credentials)).toBe(ROOT)
  })
})

describe("HTTP-3.4: STS calls errors by names of its own", () => {
  test.each<[string, number, object]>([
    ["InvalidClientTokenId", 403, { accessKeyId: "AKIAUNKNOWN" }],
    ["SignatureDoesNotMatch", 403, { secretAccessKey: "wrong-secret" }],
  ])("%s", async (code, expected, change) => {
    const { sts, alice } = await asAlice()
    const { status, text, headers } = await sts({ Action: "GetCallerIdentity" }, { ...alice, ...change })
    expect([status, field(text, "Code"), field(text, "Type")]).toEqual([expected, code, "Sender"])
    expect(field(text, "RequestId")).toBe(headers["x-amzn-requestid"])
  })

  test("MissingAuthenticationToken, IncompleteSignature, InvalidAction", async () => {
    const { server, sts } = await asAlice()
    const { headers, body = "" } = stsRequest({ Action: "GetCallerIdentity" })
    const unsigned = await send(server.endpoint, { headers: { ...headers }, body })
    expect([unsigned.status, field(unsigned.text, "Code")]).toEqual([403, "MissingAuthenticationToken"])
    const broken = await send(server.endpoint, { headers: { ...headers, authorization: "Basic x" }, body })
    expect([broken.status, field(broken.text, "Code")]).toEqual([400, "IncompleteSignature"])
    const other = await sts({ Action: "Get<Federation>Token" })
    expect([other.status, field(other.text, "Code")]).toEqual([400, "InvalidAction"])
    expect(field(other.text, "Message")).toBe(
      "Could not find operation Get&lt;Federation&gt;Token for version 2011-06-15",
    )
    expect(field((await sts({ Action: "GetCallerIdentity", Version: "2010-01-01" })).text, "Code")).toBe(
      "InvalidAction",
    )
    expect(field((await sts({ Action: "constructor" })).text, "Code")).toBe("InvalidAction")
  })

  test("HTTP-3.1: what is signed for KMS is not signed for STS", async () => {
    const { server, signed, alice } = await asAlice()
    const request = signed(stsRequest({ Action: "GetCallerIdentity" }), { service: "kms", credentials: alice })
    expect(field((await send(server.endpoint, request)).text, "Code")).toBe("SignatureDoesNotMatch")
  })
})

describe("AssumeRole", () => {
  test("HTTP-3.3: makes credentials with which the session calls KMS and STS", async () => {
    const world = await asAlice()
    const { status, text } = await world.sts(assume)
    expect(status).toBe(200)
    expect(field(text, "Arn")).toBe(`arn:aws:sts::${ACCOUNT}:assumed-role/App/build-7`)
    expect(field(text, "AssumedRoleId")).toMatch(/^AROA[A-Z2-7]{17}:build-7$/)
    expect(field(text, "Expiration")).toBe("2026-05-20T21:45:00Z")
    const session = sessionOf(text)
    expect(session.accessKeyId).toMatch(/^ASIA[A-Z2-7]{16}$/)
    expect(await identity(world, session)).toBe(`arn:aws:sts::${ACCOUNT}:assumed-role/App/build-7`)
    await world.call("GenerateRandom", { NumberOfBytes: 1 }, { credentials: session })
    const [event] = await world.kms.events({ eventSource: "kms.amazonaws.com" })
    expect(event!.userIdentity).toMatchObject({
      type: "AssumedRole",
      arn: `arn:aws:sts::${ACCOUNT}:assumed-role/App/build-7`,
      accessKeyId: session.accessKeyId,
      sessionContext: {
        sessionIssuer: { type: "Role", arn: ROLE, userName: "App" },
        attributes: { creationDate: "2026-05-20T20:45:00Z", mfaAuthenticated: "false" },
      },
    })
  })

  test("HTTP-2.3: a session ends by the clock, and not before", async () => {
    let now = NOW
    const world = await asAlice({}, { clock: () => now })
    const session = sessionOf((await world.sts({ ...assume, DurationSeconds: "900" })).text)
    const list = () => world.call("GenerateRandom", { NumberOfBytes: 1 }, { credentials: session, now })
    now = NOW + 899_000
    expect((await list()).json.__type).not.toBe("ExpiredTokenException")
    now = NOW + 900_000
    expect((await list()).json).toEqual({
      __type: "ExpiredTokenException",
      message: "The security token included in the request is expired",
    })
    const sts = world.signed(stsRequest({ Action: "GetCallerIdentity" }), { service: "sts", credentials: session, now })
    const reply = await send(world.server.endpoint, sts)
    expect([reply.status, field(reply.text, "Code")]).toEqual([403, "ExpiredToken"])
  })

  test("HTTP-2.3: a token is good for its own access key, secret and store only", async () => {
    const world = await asAlice()
    const [first, second] = [sessionOf((await world.sts(assume)).text), sessionOf((await world.sts(assume)).text)]
    const error = async (credentials: Credentials, where: Served = world) =>
      (await send(where.server.endpoint, where.signed(kmsRequest("ListKeys"), { credentials }))).json.__type
    expect(await error({ ...first, sessionToken: second.sessionToken! })).toBe("UnrecognizedClientException")
    expect(await error({ ...first, secretAccessKey: second.secretAccessKey })).toBe("InvalidSignatureException")
    const { sessionToken, ...withoutToken } = first
    expect(await error(withoutToken)).toBe("UnrecognizedClientException")
    const flipped = `${sessionToken!.slice(0, 100)}${sessionToken![100] === "A" ? "B" : "A"}${sessionToken!.slice(101)}`
    expect(await error({ ...first, sessionToken: flipped })).toBe("UnrecognizedClientException")
    expect(await error(first, await served())).toBe("UnrecognizedClientException")
  })

  test("HTTP-2.3: another process on the same store knows the session", async () => {
    const dir = await temporaryFolder()
    const settings = { clock: () => NOW }
    const first = await asAlice({}, { kms: await LocalKms.open(dir, settings) })
    const session = sessionOf((await first.sts(assume)).text)
    const second = await served({}, { kms: await LocalKms.open(dir, settings) })
    expect(await identity(second, session)).toBe(`arn:aws:sts::${ACCOUNT}:assumed-role/App/build-7`)
  })

  test("HTTP-3.3: roots assume no role, and strangers not this one", async () => {
    const { sts, credentials, kms } = await asAlice()
    const root = await sts(assume, credentials)
    expect([root.status, field(root.text, "Code")]).toEqual([403, "AccessDenied"])
    expect(field(root.text, "Message")).toContain(`User: ${ROOT} is not authorized to perform: sts:AssumeRole`)
    const stranger = await kms.accessKeys.create({ principal: OTHER_ACCOUNT_ROLE })
    expect(field((await sts(assume, stranger)).text, "Code")).toBe("AccessDenied")
  })

  test.each<[string, Record<string, string>, RegExp]>([
    ["what is no role", { RoleArn: ALICE }, /is invalid$/],
    ["a session name of one character", { RoleSessionName: "a" }, /'roleSessionName' failed to satisfy/],
    ["a session name with a slash", { RoleSessionName: "a/b" }, /'roleSessionName' failed to satisfy/],
    ["899 seconds", { DurationSeconds: "899" }, /greater than or equal to 900$/],
    ["43,201 seconds", { DurationSeconds: "43201" }, /less than or equal to 43200$/],
    ["no number of seconds", { DurationSeconds: "1h" }, /'durationSeconds'/],
    [
      "policies by their ARN",
      { "PolicyArns.member.1.arn": "arn:aws:iam::aws:policy/x" },
      /PolicyArns\.member\.1\.arn is not/,
    ],
    ["session tags", { "Tags.member.1.Key": "a" }, /Tags\.member\.1\.Key is not supported/],
  ])("HTTP-3.3: refuses %s", async (_what, change, message) => {
    const { sts } = await asAlice()
    const { status, text } = await sts({ ...assume, ...change })
    expect([status, field(text, "Code")]).toEqual([400, "ValidationError"])
    expect(field(text, "Message")!.replaceAll("&apos;", "'")).toMatch(message)
  })

  test("POL-12.5: a session policy limits what the role's own policies allow, and adds nothing", async () => {
    const world = await asAlice()
    const anything = { Version: "2012-10-17", Statement: [{ Effect: "Allow", Action: "*", Resource: "*" }] }
    await world.kms.principals.createRole({ name: "App", path: "/team/", policies: { all: anything } })
    const mayAssume = { ...anything, Statement: [{ Effect: "Allow", Action: "sts:AssumeRole", Resource: ROLE }] }
    await world.kms.principals.createUser({ name: "Alice", policies: { mayAssume } })
    const { KeyMetadata } = (await world.call("CreateKey")).json
    const Policy = JSON.stringify({
      Version: "2012-10-17",
      Statement: [
        { Effect: "Allow", Action: ["kms:Encrypt", "kms:ScheduleKeyDeletion"], Resource: "*" },
        { Effect: "Deny", Action: "kms:ScheduleKeyDeletion", Resource: "*" },
      ],
    })
    const session = sessionOf((await world.sts({ ...assume, Policy })).text)
    const as = async (operation: string, input: object) => {
      const { status, json } = await world.call(
        operation,
        { KeyId: KeyMetadata.Arn, ...input },
        { credentials: session },
      )
      return status === 200 ? "allowed" : json.message.split(`${KeyMetadata.Arn} `)[1]
    }
    expect(await as("Encrypt", { Plaintext: "AA==" })).toBe("allowed")
    expect(await as("DescribeKey", {})).toBe("because no session policy allows the kms:DescribeKey action")
    expect(await as("ScheduleKeyDeletion", {})).toBe("with an explicit deny in an identity-based policy")
    // The same role without one.
    const free = sessionOf((await world.sts(assume)).text)
    const described = await world.call("DescribeKey", { KeyId: KeyMetadata.Arn }, { credentials: free })
    expect(described.status).toBe(200)
    // Nothing is added to what the role may do.
    await world.kms.principals.deletePolicy(ROLE, "all")
    expect(await as("Encrypt", { Plaintext: "AA==" })).toMatch(/^because no identity-based policy allows/)
  })

  test("POL-12.5: what a key policy gives a session by its own ARN is not limited, what it gives the role is", async () => {
    const world = await asAlice()
    const { KeyMetadata } = (await world.call("CreateKey")).json
    const session = `arn:aws:sts::${ACCOUNT}:assumed-role/App/build-7`
    const statement = (AWS: string, Action: string) => ({ Effect: "Allow", Principal: { AWS }, Action, Resource: "*" })
    const Policy = JSON.stringify({
      Version: "2012-10-17",
      Statement: [statement(ROOT, "kms:*"), statement(ROLE, "kms:*"), statement(session, "kms:Encrypt")],
    })
    await world.call("PutKeyPolicy", { KeyId: KeyMetadata.Arn, Policy })
    const none = JSON.stringify({
      Version: "2012-10-17",
      Statement: [{ Effect: "Allow", Action: "s3:*", Resource: "*" }],
    })
    const credentials = sessionOf((await world.sts({ ...assume, Policy: none })).text)
    const input = { KeyId: KeyMetadata.Arn }
    expect((await world.call("Encrypt", { ...input, Plaintext: "AA==" }, { credentials })).status).toBe(200)
    expect((await world.call("DescribeKey", input, { credentials })).json.__type).toBe("AccessDeniedException")
  })

  test.each([
    ["that is none", "{}", "MalformedPolicyDocument"],
    [
      "that says a member twice",
      '{"Version":"2012-10-17","Version":"2012-10-17","Statement":[]}',
      "MalformedPolicyDocument",
    ],
    ["of more than 2,048 characters", " ".repeat(2049), "PackedPolicyTooLarge"],
  ])("POL-12.5: a session policy %s is refused", async (_what, Policy, code) => {
    const { sts } = await asAlice()
    expect(field((await sts({ ...assume, Policy })).text, "Code")).toBe(code)
  })

  test("HTTP-3.3: a session that assumes a role gets an hour at most", async () => {
    const { sts } = await asAlice()
    const session = sessionOf((await sts(assume)).text)
    const chained = { ...assume, RoleSessionName: "chained" }
    const tooLong = await sts({ ...chained, DurationSeconds: "3601" }, session)
    expect(field(tooLong.text, "Message")).toMatch(/1 hour session limit/)
  })
})

describe("access keys", () => {
  test("HTTP-2.1: are listed without their secrets, which are shown once", async () => {
    const kms = LocalKms.inMemory({ clock: () => NOW })
    const key = await kms.accessKeys.create({ principal: ALICE })
    const service = await kms.accessKeys.create({ principal: ROLE, service: "s3.us-east-1.amazonaws.com" })
    await kms.accessKeys.disable(service.accessKeyId)
    expect(key).toEqual({
      accessKeyId: expect.stringMatching(/^AKIA[A-Z2-7]{16}$/),
      secretAccessKey: expect.stringMatching(/^[A-Za-z0-9+/]{40}$/),
      principal: ALICE,
      status: "Active",
      createdAt: new Date(NOW),
    })
    const listed = await kms.accessKeys.list()
    expect(listed).toHaveLength(2)
    expect(listed).toContainEqual({
      accessKeyId: service.accessKeyId,
      principal: ROLE,
      service: "s3",
      status: "Inactive",
      createdAt: new Date(NOW),
    })
    expect(await kms.accessKeys.list(ALICE)).toHaveLength(1)
    await kms.close()
  })

  test("HTTP-2.1: are refused when they are none", async () => {
    const { kms } = await served()
    const { create } = kms.accessKeys
    for (const wrong of [
      { principal: "Alice" },
      { principal: ALICE, service: "no service!" },
      { principal: ALICE, accessKeyId: "ASIAAAAAAAAAAAAAAAAA" },
      { principal: ALICE, accessKeyId: "a/b" },
      { principal: ALICE, accessKeyId: "ab" },
      { principal: ALICE, secretAccessKey: "short" },
      { principal: ALICE, secretAccessKey: "with a space" },
    ])
      await expect(create(wrong)).rejects.toThrow(TypeError)
    await create({ principal: ALICE, accessKeyId: "tests" })
    await expect(create({ principal: ALICE, accessKeyId: "tests" })).rejects.toThrow(RangeError)
    for (const change of ["enable", "disable", "delete"] as const)
      await expect(kms.accessKeys[change]("unknown")).rejects.toThrow("there is no access key unknown")
  })

  test("HTTP-2.2: do not lie in the store in the clear, nor in the trail", async () => {
    const { readFile } = await import("node:fs/promises")
    const dir = await temporaryFolder()
    const world = await served({}, { kms: await LocalKms.open(dir, { clock: () => NOW }) })
    await world.call("ListKeys")
    expect(JSON.stringify(await world.kms.events())).not.toContain(world.credentials.secretAccessKey)
    await world.kms.close()
    const data = await readFile(`${dir}/data.mdb`)
    expect(data.includes(world.credentials.accessKeyId)).toBe(true)
    expect(data.includes(world.credentials.secretAccessKey)).toBe(false)
    expect(data.includes(Buffer.from(world.credentials.secretAccessKey).toString("base64url"))).toBe(false)
  })

  test("HTTP-1.7: one that is registered for a service makes requests come through it; no request can claim that", async () => {
    const { kms, call } = await served()
    const credentials = await kms.accessKeys.create({ principal: ROOT, service: "s3" })
    await call("ListKeys", {}, { credentials })
    const claimed = { "x-amz-source-arn": "arn:aws:s3:::bucket", "user-agent": "s3.amazonaws.com" }
    await call("ListKeys", { ...claimed, viaService: "s3", service: { name: "s3", endpoint: "s3" } })
    const [through, directly] = await kms.events({ eventSource: "kms.amazonaws.com" })
    expect(through).toMatchObject({
      sourceIPAddress: "s3.amazonaws.com",
      userAgent: "s3.amazonaws.com",
      userIdentity: { invokedBy: "AWS Internal" },
    })
    expect(directly!.sourceIPAddress).toBe("127.0.0.1")
    expect(directly!.userIdentity).not.toHaveProperty("invokedBy")
  })
})
