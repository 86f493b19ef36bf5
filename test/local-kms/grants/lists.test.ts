import { expect, test } from "vitest"
import { grantsFor } from "../../../src/local-kms/grants/findings.ts"
import { type Grant, grantsTo, putGrant } from "../../../src/local-kms/grants/records.ts"
import type { Key } from "../../../src/local-kms/keys.ts"
import { memoryStore } from "../../../src/local-kms/store/memory.ts"
import type { StoreReader } from "../../../src/local-kms/store/store.ts"
import { outcome, role } from "../authorization/world.ts"
import type { Send } from "../helpers.ts"
import { APP, CLERK, grantWorld } from "./grant-world.ts"

/** Every entry of a list in pages, and the pages' sizes. */
async function allPages(send: Send, operation: string, input: object): Promise<{ ids: string[]; sizes: number[] }> {
  const ids: string[] = []
  const sizes: number[] = []
  let Marker: string | undefined
  do {
    const page = await send(operation, { ...input, Marker })
    expect(page.Truncated).toBe(page.NextMarker !== undefined)
    ids.push(...page.Grants.map(({ GrantId }: Grant & { GrantId: string }) => GrantId))
    sizes.push(page.Grants.length)
    Marker = page.NextMarker
  } while (Marker !== undefined)
  return { ids, sizes }
}

test("GRT-5.6: lists come in pages in the order of ids, each grant once, though grants come and go", async () => {
  const { owner, KeyId, createKey, grant } = await grantWorld()
  const made: string[] = []
  for (let i = 0; i < 60; i++) {
    const GranteePrincipal = i % 2 === 0 ? APP : CLERK
    made.push((await grant({ GranteePrincipal, RetiringPrincipal: CLERK })).GrantId)
  }
  await grant({ KeyId: await createKey() })
  const sorted = [...made].sort()
  expect(await allPages(owner, "ListGrants", { KeyId })).toEqual({ ids: sorted, sizes: [50, 10] })
  expect(await allPages(owner, "ListGrants", { KeyId, Limit: 25 })).toEqual({ ids: sorted, sizes: [25, 25, 10] })
  const ofApp = made.filter((_id, i) => i % 2 === 0).sort()
  expect(await allPages(owner, "ListGrants", { KeyId, GranteePrincipal: APP, Limit: 20 })).toEqual({
    ids: ofApp,
    sizes: [20, 10],
  })
  expect(await allPages(owner, "ListRetirableGrants", { RetiringPrincipal: CLERK, Limit: 40 })).toEqual({
    ids: sorted,
    sizes: [40, 20],
  })
  expect((await owner("ListGrants", { KeyId, Limit: 1000 })).Grants).toHaveLength(60)
  expect(await outcome(owner("ListGrants", { KeyId, Limit: 0 }))).toBe("ValidationException")
  expect(await outcome(owner("ListGrants", { KeyId, Marker: "x" }))).toBe("InvalidMarkerException")

  const first = await owner("ListGrants", { KeyId, Limit: 10 })
  await owner("RevokeGrant", { KeyId, GrantId: sorted[9] })
  await owner("RevokeGrant", { KeyId, GrantId: sorted[10] })
  const second = await owner("ListGrants", { KeyId, Limit: 10, Marker: first.NextMarker })
  expect(second.Grants[0].GrantId).toBe(sorted[11])
})

test("one grant of a key is listed by its id", async () => {
  const { owner, KeyId, createKey, grant } = await grantWorld()
  const { GrantId } = await grant()
  await grant()
  const listed = async (input: object) => (await owner("ListGrants", { KeyId, ...input })).Grants.length
  expect(await listed({ GrantId })).toBe(1)
  expect(await listed({ GrantId, GranteePrincipal: APP })).toBe(1)
  expect(await listed({ GrantId, GranteePrincipal: CLERK })).toBe(0)
  expect(await listed({ GrantId, KeyId: await createKey() })).toBe(0)
  expect(await outcome(owner("ListGrants", { KeyId, GrantId: "x" }))).toBe("InvalidGrantIdException")
})

test("a page is at most 100 grants", async () => {
  const { owner, KeyId, grant } = await grantWorld()
  for (let i = 0; i < 101; i++) await grant()
  expect((await owner("ListGrants", { KeyId, Limit: 1000 })).Grants).toHaveLength(100)
})

test("GRT-5.6: among 10,000 grants, a decision and a page read the grants that they are about", async () => {
  const accountId = "111122223333"
  const scope = { partition: "aws", region: "us-east-1", accountId }
  const key = { scope, keyId: "1234abcd-12ab-34cd-56ef-1234567890ab" } as Key
  const store = memoryStore()
  const TENANTS = role("Tenants")
  const idOf = (i: number) => i.toString(16).padStart(64, "0")
  await store.transaction((tx) => {
    for (let i = 0; i < 10_000; i++) {
      const granteePrincipal = i === 7000 ? APP : role(`Other${i}`)
      putGrant(tx, key, {
        grantId: idOf(i),
        createdAt: 0,
        issuingAccountId: accountId,
        operations: ["Decrypt"],
        granteePrincipal: i >= 9000 ? CLERK : granteePrincipal,
        ...(i < 1000 && {
          granteePrincipal: TENANTS,
          constraints: { [i % 2 ? "EncryptionContextSubset" : "EncryptionContextEquals"]: { tenant: String(i) } },
        }),
      })
    }
  })
  let reads = 0
  const counted = (reader: StoreReader): StoreReader => ({
    get: (path) => {
      reads++
      return reader.get(path)
    },
    *range(prefix, options) {
      for (const entry of reader.range(prefix, options)) {
        reads++
        yield entry as never
      }
    },
  })
  const costOf = <T>(work: (reader: StoreReader) => T): { result: T; reads: number } => {
    reads = 0
    const result = store.read((reader) => work(counted(reader)))
    return { result, reads }
  }
  const asking = (arn: string, encryptionContext: Record<string, string>, action = "kms:Decrypt") => ({
    caller: { type: "AssumedRole" as const, accountId, arn: `${arn}/session`, identityArn: arn, name: "App" },
    action,
    encryptionContext,
    resource: "",
    resourceAccountId: accountId,
    now: 0,
  })
  const decide = (arn: string, context: Record<string, string> = {}, action?: string) =>
    costOf((reader) => {
      for (const { allows, grantId } of grantsFor(reader, key, asking(arn, context, action), {
        tokenGrants: new Set<string>(),
      }))
        if (allows) return grantId
      return undefined
    })
  expect(decide(APP)).toEqual({ result: idOf(7000), reads: 2 })
  expect(decide(role("Stranger"))).toEqual({ result: undefined, reads: 0 })
  // The first of a thousand that allow is enough.
  expect(decide(CLERK)).toEqual({ result: idOf(9000), reads: 2 })
  // Nor are those read that have another operation, or could not fit the context.
  expect(decide(CLERK, {}, "kms:Encrypt")).toEqual({ result: undefined, reads: 0 })
  expect(decide(TENANTS, { tenant: "77", other: "1" })).toEqual({ result: idOf(77), reads: 2 })
  expect(decide(TENANTS, { tenant: "none", other: "1" })).toEqual({ result: undefined, reads: 0 })
  expect(decide(TENANTS, {}, "kms:DescribeKey")).toEqual({ result: undefined, reads: 0 })
  const page = costOf((reader) => {
    const ids: string[] = []
    for (const { grantId } of grantsTo(reader, key, CLERK, idOf(9800))) if (ids.push(grantId) === 50) break
    return ids
  })
  expect(page.result[0]).toBe(idOf(9801))
  expect(page.reads).toBe(100)
})
