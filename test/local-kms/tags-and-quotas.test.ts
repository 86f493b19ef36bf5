import { describe, expect, test } from "vitest"
import { LocalKms } from "../../src/local-kms/index.ts"
import { doors, senderOf } from "./doors.ts"
import { bytes, createKey, DAY_MS, memoryKms, sendTo } from "./helpers.ts"

const tag = (TagKey: string, TagValue = "v") => ({ TagKey, TagValue })

describe.each(Object.entries(doors))("through %s", (_name, { open }) => {
  test("tags are set, replaced, taken away and listed in pages", async () => {
    const send = senderOf((await open()).client)
    const { keyId } = await createKey(send, { Tags: [tag("team", "a")] })
    await send("TagResource", { KeyId: keyId, Tags: [tag("team", "b"), tag("stage", "")] })
    const list = async () => (await send("ListResourceTags", { KeyId: keyId })).Tags
    expect(await list()).toEqual([tag("stage", ""), tag("team", "b")])
    const first = await send("ListResourceTags", { KeyId: keyId, Limit: 1 })
    expect(first).toMatchObject({ Tags: [tag("stage", "")], Truncated: true })
    const second = await send("ListResourceTags", { KeyId: keyId, Limit: 1, Marker: first.NextMarker })
    expect(second).toMatchObject({ Tags: [tag("team", "b")], Truncated: false })
    await send("UntagResource", { KeyId: keyId, TagKeys: ["team", "unknown"] })
    expect(await list()).toEqual([tag("stage", "")])
  })

  test("a description is changed", async () => {
    const send = senderOf((await open()).client)
    const { keyId } = await createKey(send, { Description: "old" })
    await send("UpdateKeyDescription", { KeyId: keyId, Description: "new" })
    expect((await send("DescribeKey", { KeyId: keyId })).KeyMetadata.Description).toBe("new")
    await send("UpdateKeyDescription", { KeyId: keyId, Description: "" })
    expect((await send("DescribeKey", { KeyId: keyId })).KeyMetadata.Description).toBe("")
  })

  test("the last use of a key names its operation, request and event", async () => {
    let now = Date.UTC(2026, 0, 1)
    const { client, kms } = await open({ clock: () => now })
    const send = senderOf(client)
    const { keyId, arn } = await createKey(send)
    const created = new Date(now)
    expect(await send("GetKeyLastUsage", { KeyId: keyId })).toMatchObject({
      KeyId: arn,
      TrackingStartDate: created,
      KeyCreationDate: created,
    })
    now += DAY_MS
    const { CiphertextBlob, $metadata } = await send("GenerateDataKey", { KeyId: keyId, KeySpec: "AES_256" })
    await send("DescribeKey", { KeyId: keyId })
    await expect(send("Decrypt", { CiphertextBlob, EncryptionContext: { a: "b" } })).rejects.toThrow()
    const [event] = await kms.events({ eventName: "GenerateDataKey" })
    expect((await send("GetKeyLastUsage", { KeyId: keyId })).KeyLastUsage).toEqual({
      Operation: "GenerateDataKey",
      Timestamp: new Date(now),
      CloudTrailEventId: event!.eventID,
      KmsRequestId: $metadata.requestId,
    })
  })
})

test("ReEncrypt is a use of both its keys", async () => {
  const { send } = memoryKms()
  const source = await createKey(send)
  const destination = await createKey(send)
  const { CiphertextBlob } = await send("Encrypt", { KeyId: source.keyId, Plaintext: bytes(1) })
  await send("ReEncrypt", { CiphertextBlob, DestinationKeyId: destination.keyId })
  for (const { keyId } of [source, destination])
    expect((await send("GetKeyLastUsage", { KeyId: keyId })).KeyLastUsage.Operation).toBe("ReEncrypt")
})

describe("tags that are refused", () => {
  const fifty = Array.from({ length: 50 }, (_, i) => tag(`k${i}`))
  test.each([
    ["a 51st", "TagResource", { Tags: [tag("one more")] }, "Too many tags"],
    ["a key given twice", "TagResource", { Tags: [tag("a"), tag("a")] }, "Duplicate tag keys"],
    ["a reserved key", "TagResource", { Tags: [tag("AWS:x")] }, "Tags beginning with aws: are reserved"],
    ["a reserved key to take away", "UntagResource", { TagKeys: ["aws:x"] }, "Tags beginning with aws: are reserved"],
  ])("%s", async (_title, operation, input, message) => {
    const { send } = memoryKms()
    const { keyId } = await createKey(send, { Tags: fifty })
    await expect(send(operation, { KeyId: keyId, ...input })).rejects.toMatchObject({ name: "TagException", message })
    expect((await send("ListResourceTags", { KeyId: keyId })).Tags).toHaveLength(50)
  })

  test("a page has 50 tags at most", async () => {
    const { send } = memoryKms()
    const { keyId } = await createKey(send, { Tags: fifty })
    expect(await send("ListResourceTags", { KeyId: keyId, Limit: 1000 })).toMatchObject({ Truncated: false })
    expect((await send("ListResourceTags", { KeyId: keyId, Limit: 49 })).Truncated).toBe(true)
  })
})

describe("quotas", () => {
  test("an account has so many keys in a Region, and deleted ones do not count", async () => {
    let now = Date.UTC(2026, 0, 1)
    const { kms, send } = memoryKms({ quotas: { keys: 2 }, clock: () => now })
    const { keyId } = await createKey(send)
    await createKey(send)
    const refused = { name: "LimitExceededException" }
    await expect(createKey(send)).rejects.toMatchObject(refused)
    await createKey(sendTo(kms.directClient({ region: "eu-west-1" })))
    await createKey(sendTo(kms.directClient({ principal: "arn:aws:iam::444455556666:root" })))
    await send("ScheduleKeyDeletion", { KeyId: keyId, PendingWindowInDays: 7 })
    await expect(createKey(send)).rejects.toMatchObject(refused)
    now += 7 * DAY_MS
    await createKey(send)
  })

  test("a replica counts in its own Region", async () => {
    const { kms, send } = memoryKms({ quotas: { keys: 1 } })
    const { keyId } = await createKey(send, { MultiRegion: true })
    await createKey(sendTo(kms.directClient({ region: "eu-west-1" })))
    await expect(send("ReplicateKey", { KeyId: keyId, ReplicaRegion: "eu-west-1" })).rejects.toMatchObject({
      name: "LimitExceededException",
    })
    await send("ReplicateKey", { KeyId: keyId, ReplicaRegion: "eu-west-2" })
  })

  test("a key has 50 aliases", async () => {
    const { send } = memoryKms()
    const full = await createKey(send)
    const other = await createKey(send)
    for (let i = 0; i < 50; i++) await send("CreateAlias", { AliasName: `alias/n${i}`, TargetKeyId: full.keyId })
    await send("CreateAlias", { AliasName: "alias/other", TargetKeyId: other.keyId })
    const refused = { name: "LimitExceededException" }
    await expect(send("CreateAlias", { AliasName: "alias/n50", TargetKeyId: full.keyId })).rejects.toMatchObject(
      refused,
    )
    await expect(send("UpdateAlias", { AliasName: "alias/other", TargetKeyId: full.keyId })).rejects.toMatchObject(
      refused,
    )
    await send("UpdateAlias", { AliasName: "alias/n0", TargetKeyId: full.keyId })
    await send("UpdateAlias", { AliasName: "alias/n0", TargetKeyId: other.keyId })
    await send("UpdateAlias", { AliasName: "alias/other", TargetKeyId: full.keyId })
  })

  test("with 10,000 keys and 1,000 aliases everything is found, and the next one is refused", async () => {
    const { send } = memoryKms({ quotas: { keys: 10_000 } })
    const ids: string[] = []
    for (let i = 0; i < 10_000; i++) {
      const { keyId } = await createKey(send)
      ids.push(keyId)
      if (i % 10 === 0) await send("CreateAlias", { AliasName: `alias/n${i}`, TargetKeyId: keyId })
    }
    await expect(createKey(send)).rejects.toMatchObject({ name: "LimitExceededException" })
    const some = ids.filter((_id, i) => i % 970 === 0)
    for (const [at, KeyId] of some.entries()) {
      const AliasName = `alias/n${at * 970}`
      expect((await send("ListAliases", { KeyId })).Aliases).toMatchObject([{ AliasName }])
      expect((await send("DescribeKey", { KeyId: AliasName })).KeyMetadata.KeyId).toBe(KeyId)
    }
    const listed = new Set<string>()
    let Marker: string | undefined
    do {
      const page = await send("ListKeys", { Limit: 1000, Marker })
      for (const { KeyId } of page.Keys) listed.add(KeyId)
      Marker = page.NextMarker
    } while (Marker !== undefined)
    expect(listed).toEqual(new Set(ids))
  }, 60_000)

  test("a quota that does not exist, or is no number, is the caller's mistake", () => {
    expect(() => LocalKms.inMemory({ quotas: { kyes: 1 } as object })).toThrow(TypeError)
    expect(() => LocalKms.inMemory({ quotas: { keys: -1 } })).toThrow(RangeError)
  })
})
