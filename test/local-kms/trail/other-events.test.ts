import { describe, expect, test } from "vitest"
import type { AuditEvent } from "../../../src/local-kms/index.ts"
import { ACCOUNT, createKey, memoryKms, REGION, sendTo } from "../helpers.ts"
import { kmsRequest, NOW, ROOT, send, served, stsRequest } from "../http/served.ts"

const OTHER = "444455556666"
const ALICE = `arn:aws:iam::${ACCOUNT}:user/Alice`
const names = (events: readonly AuditEvent[]) => events.map(({ eventName }) => eventName)
const allowAll = { Version: "2012-10-17", Statement: [{ Effect: "Allow", Action: "*", Resource: "*" }] }

describe("AUD-1.7: a request about a key of another account", () => {
  async function twoAccounts() {
    const { kms, send } = memoryKms({ clock: () => NOW })
    const owner = { Effect: "Allow", Principal: { AWS: ROOT }, Action: "kms:*", Resource: "*" }
    const guest = { ...owner, Principal: { AWS: `arn:aws:iam::${OTHER}:root` }, Action: "kms:Encrypt" }
    const { arn } = await createKey(send, {
      Policy: JSON.stringify({ Version: "2012-10-17", Statement: [owner, guest] }),
    })
    const other = sendTo(kms.directClient({ principal: `arn:aws:iam::${OTHER}:root` }))
    return { kms, arn, other }
  }

  test("leaves an event with each account, with one sharedEventID", async () => {
    const { kms, arn, other } = await twoAccounts()
    await other("Encrypt", { KeyId: arn, Plaintext: new Uint8Array(1) })
    const [own, owners, ...more] = await kms.events({ eventName: "Encrypt" })
    expect(more).toEqual([])
    expect(own).toMatchObject({ recipientAccountId: OTHER, userIdentity: { type: "Root", accountId: OTHER } })
    expect(owners).toEqual({
      ...own,
      eventID: expect.stringMatching(/^[0-9a-f-]{36}$/),
      recipientAccountId: ACCOUNT,
      userIdentity: { type: "AWSAccount", principalId: OTHER, accountId: OTHER },
    })
    expect(owners!.eventID).not.toBe(own!.eventID)
    expect(own!.sharedEventID).toMatch(/^[0-9a-f-]{36}$/)
    expect((await kms.usage()).byOperation.Encrypt).toBe(1)
    expect((await kms.verifyAudit()).problems).toEqual([])
  })

  test("leaves none with the owner when it was refused", async () => {
    const { kms, arn, other } = await twoAccounts()
    await expect(other("DescribeKey", { KeyId: arn })).rejects.toThrow()
    const events = await kms.events({ errorCode: "AccessDenied" })
    expect(events.map(({ recipientAccountId }) => recipientAccountId)).toEqual([OTHER])
    expect(events[0]).not.toHaveProperty("sharedEventID")
  })

  test("within one account has one event and no sharedEventID", async () => {
    const { kms, send } = memoryKms()
    await createKey(send)
    expect(await kms.events()).toHaveLength(1)
    expect((await kms.events())[0]).not.toHaveProperty("sharedEventID")
  })
})

describe("AUD-1.8: what the operator does", () => {
  test("with principals is in the trail as IAM's operations, with what was set", async () => {
    const { kms } = memoryKms({ clock: () => NOW })
    const role = `arn:aws:iam::${ACCOUNT}:role/service/App`
    await kms.principals.createGroup({ name: "Team" })
    await kms.principals.createUser({ name: "Alice", tags: { team: "a" }, policies: { p: allowAll }, groups: ["Team"] })
    await kms.principals.createRole({ name: "App", path: "/service/" })
    await kms.principals.putPolicy(role, "p", allowAll)
    await kms.principals.deletePolicy(role, "p")
    await kms.principals.putTrustPolicy(role, {
      Version: "2012-10-17",
      Statement: [{ Effect: "Allow", Principal: { AWS: ALICE }, Action: "sts:AssumeRole" }],
    })
    await kms.principals.setTags(role, { a: "b" })
    await kms.principals.removeUserFromGroup(ALICE, "Team")
    const { accessKeyId, secretAccessKey } = await kms.accessKeys.create({ principal: ALICE })
    await kms.accessKeys.disable(accessKeyId)
    await kms.principals.delete(ALICE)
    const events = await kms.events({ eventSource: "iam.amazonaws.com" })
    expect(names(events)).toEqual([
      "CreateGroup",
      "CreateUser",
      "PutUserPolicy",
      "AddUserToGroup",
      "CreateRole",
      "PutRolePolicy",
      "DeleteRolePolicy",
      "UpdateAssumeRolePolicy",
      "TagRole",
      "RemoveUserFromGroup",
      "CreateAccessKey",
      "UpdateAccessKey",
      "DeleteAccessKey",
      "DeleteUser",
    ])
    expect(events[2]).toMatchObject({
      eventSource: "iam.amazonaws.com",
      userIdentity: { type: "Root", arn: ROOT },
      requestParameters: { userName: "Alice", policyName: "p" },
      readOnly: false,
      resources: [{ accountId: ACCOUNT, type: "AWS::IAM::User", ARN: ALICE }],
      recipientAccountId: ACCOUNT,
    })
    expect(JSON.parse(events[2]!.requestParameters!.policyDocument as string)).toEqual(allowAll)
    expect(events[4]!.requestParameters).toMatchObject({ roleName: "App", path: "/service/" })
    expect(events[11]!.requestParameters).toEqual({ userName: "Alice", accessKeyId, status: "Inactive" })
    expect(JSON.stringify(events)).not.toContain(secretAccessKey)
    expect((await kms.verifyAudit()).problems).toEqual([])
  })

  test("is there or not, as the change is", async () => {
    const { kms } = memoryKms()
    await kms.principals.createUser({ name: "Alice" })
    await expect(kms.principals.createUser({ name: "alice" })).rejects.toThrow(RangeError)
    await expect(kms.accessKeys.delete("AKIANOBODY")).rejects.toThrow(RangeError)
    expect(names(await kms.events())).toEqual(["CreateUser"])
  })

  test("by a start-up file is there once, and then what the file changes", async () => {
    const { kms } = memoryKms()
    const accessKeys = [{ accessKeyId: "tests", secretAccessKey: "tests-tests", principal: ALICE }]
    await kms.seed({ users: [{ name: "Alice", policies: { p: allowAll } }], accessKeys })
    await kms.seed({ users: [{ name: "Alice", policies: { p: allowAll } }], accessKeys })
    expect(names(await kms.events())).toEqual(["CreateUser", "PutUserPolicy", "CreateAccessKey"])
    await kms.seed({ users: [{ name: "Alice", policies: { q: allowAll }, tags: { a: "b" } }] })
    expect(names(await kms.events()).slice(3)).toEqual(["TagUser", "PutUserPolicy", "DeleteUserPolicy"])
  })
})

describe("AUD-1.9: STS", () => {
  const role = `arn:aws:iam::${OTHER}:role/App`
  const assume = { Action: "AssumeRole", RoleArn: role, RoleSessionName: "s1", DurationSeconds: "900" }

  async function asAlice() {
    const world = await served()
    await world.kms.principals.createUser({ name: "Alice", policies: { p: allowAll } })
    const credentials = await world.kms.accessKeys.create({ principal: ALICE })
    const call = async (form: Record<string, string>) =>
      (await send(world.server.endpoint, world.signed(stsRequest(form), { credentials, service: "sts" }))).text
    return { ...world, credentials, call }
  }

  test("leaves an event of a role that was assumed, with the caller and the role's account, and no credentials", async () => {
    const { kms, call, credentials } = await asAlice()
    const trustPolicy = {
      Version: "2012-10-17",
      Statement: [{ Effect: "Allow", Principal: { AWS: ALICE }, Action: "sts:AssumeRole" }],
    }
    await kms.principals.createRole({ name: "App", accountId: OTHER, trustPolicy })
    const reply = await call(assume)
    const [own, owners] = await kms.events({ eventSource: "sts.amazonaws.com" })
    expect(own).toMatchObject({
      eventName: "AssumeRole",
      userIdentity: { type: "IAMUser", arn: ALICE, accessKeyId: credentials.accessKeyId },
      requestParameters: { roleArn: role, roleSessionName: "s1", durationSeconds: 900 },
      responseElements: {
        credentials: { accessKeyId: /<AccessKeyId>(\w+)</.exec(reply)![1] },
        assumedRoleUser: { arn: `arn:aws:sts::${OTHER}:assumed-role/App/s1` },
      },
      resources: [{ accountId: OTHER, type: "AWS::IAM::Role", ARN: role }],
      readOnly: true,
      recipientAccountId: ACCOUNT,
    })
    expect(owners).toMatchObject({ recipientAccountId: OTHER, sharedEventID: own!.sharedEventID })
    const trail = JSON.stringify(await kms.events())
    for (const secret of ["SecretAccessKey", "SessionToken"])
      expect(trail).not.toContain(new RegExp(`<${secret}>(.+?)<`).exec(reply)![1])
  })

  test("leaves an event of a role that was not, and of GetCallerIdentity", async () => {
    const { kms, call } = await asAlice()
    await call(assume)
    await call({ Action: "GetCallerIdentity" })
    const [refused, identity] = await kms.events({ eventSource: "sts.amazonaws.com" })
    expect(refused).toMatchObject({ eventName: "AssumeRole", errorCode: "AccessDenied", responseElements: null })
    expect(refused!.requestParameters).toMatchObject({ roleArn: role })
    expect(identity).toMatchObject({ eventName: "GetCallerIdentity", requestParameters: null, responseElements: null })
  })
})

describe("AUD-1.10: a request that was not let in", () => {
  const wrong = { secretAccessKey: "another-secret" }

  test("leaves an event with the account of its access key, which proves nothing", async () => {
    const { kms, server, signed } = await served()
    const guest = await kms.accessKeys.create({ principal: `arn:aws:iam::${OTHER}:user/Guest` })
    const request = signed(kmsRequest("CreateKey", { Description: "x" }), { credentials: { ...guest, ...wrong } })
    const { headers } = await send(server.endpoint, request)
    const [event] = await kms.events({ errorCode: "InvalidSignatureException" })
    expect(event).toMatchObject({
      eventName: "CreateKey",
      userIdentity: { type: "Unknown", accountId: OTHER, accessKeyId: guest.accessKeyId },
      requestParameters: null,
      readOnly: false,
      awsRegion: REGION,
      sourceIPAddress: "127.0.0.1",
      requestID: headers["x-amzn-requestid"],
      recipientAccountId: OTHER,
    })
    expect((await kms.usage()).requests).toBe(0)
  })

  test("of STS leaves one as well", async () => {
    const { kms, server, signed, credentials } = await served()
    const request = signed(stsRequest({ Action: "GetCallerIdentity" }), {
      credentials: { ...credentials, ...wrong },
      service: "sts",
    })
    await send(server.endpoint, request)
    expect(await kms.events({ eventSource: "sts.amazonaws.com" })).toMatchObject([
      { eventName: "GetCallerIdentity", errorCode: "SignatureDoesNotMatch", userIdentity: { type: "Unknown" } },
    ])
  })

  test("leaves none for an operation that there is not, and none past 60 in a minute", async () => {
    let now = NOW
    const { kms, server } = await served({}, { clock: () => now })
    const knock = (operation: string) => send(server.endpoint, { method: "POST", ...kmsRequest(operation) })
    await knock("Nonsense")
    const count = async () => (await kms.events({ errorCode: "MissingAuthenticationTokenException" })).length
    expect(await count()).toBe(0)
    for (let i = 0; i < 65; i++) expect((await knock("ListKeys")).status).toBe(400)
    expect(await count()).toBe(60)
    now += 60_000
    await knock("ListKeys")
    expect(await count()).toBe(61)
  })
})
