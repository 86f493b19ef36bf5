import fc from "fast-check"
import { describe, expect, test } from "vitest"
import type { AuditEvent } from "../../../src/local-kms/audit.ts"
import { BLOCK, type BlockIndex, blockKey } from "../../../src/local-kms/trail/blocks.ts"
import { type EventQuery, matches } from "../../../src/local-kms/trail/query.ts"
import { findEvents, readEventPage } from "../../../src/local-kms/trail/search.ts"
import { verifyTrail } from "../../../src/local-kms/trail/verify.ts"
import { ACCOUNT, memoryKms } from "../helpers.ts"
import { append, emptyTrail, makeEvent, NOW, type TestTrail, trailOf } from "./helpers.ts"

const OBJECT = "arn:aws:s3:::photos/cat.jpg"
const VOLUME = "vol-0cfb133e847d28be9"

/** A little more than two blocks; event i is i seconds after the first. */
async function mixedTrail(): Promise<{ readonly trail: TestTrail; readonly events: AuditEvent[] }> {
  const operations = ["Encrypt", "Decrypt", "GenerateDataKey"]
  const events = Array.from({ length: 2 * BLOCK + 300 }, (_, i) => {
    const encryptionContext = {
      tenant: String(i % 7),
      ...(i % 100 === 0 && { "aws:s3:arn": OBJECT }),
      ...(i % 500 === 1 && { "aws:ebs:id": VOLUME }),
    }
    const event = makeEvent({
      operation: operations[i % 3]!,
      principal: `arn:aws:iam::${ACCOUNT}:${i % 5 === 0 ? "role/App" : "user/Alice"}`,
      at: NOW + i * 1000,
      parameters: { encryptionContext },
    })
    return i % 11 === 0 ? { ...event, errorCode: i % 2 === 0 ? "AccessDenied" : "DisabledException" } : event
  })
  const trail = emptyTrail()
  await append(trail, events)
  return { trail, events }
}

describe("AUD-2.2: events are found by", () => {
  const at = (seconds: number): Date => new Date(NOW + seconds * 1000)
  const queries: [string, EventQuery, number][] = [
    ["an S3 object's ARN", { resource: OBJECT }, 24],
    ["a volume's id", { resource: VOLUME }, 5],
    ["a pair of the encryption context", { encryptionContext: { tenant: "3" } }, 335],
    ["two pairs", { encryptionContext: { tenant: "3", "aws:s3:arn": OBJECT } }, 3],
    ["a pair that no event has", { encryptionContext: { tenant: "9" } }, 0],
    ["a pair split elsewhere", { encryptionContext: { tenant3: "" } }, 0],
    ["a name", { eventName: "Encrypt" }, 783],
    ["an error", { errorCode: "AccessDenied" }, 107],
    ["success", { errorCode: null }, 2134],
    ["a user", { principal: `arn:aws:iam::${ACCOUNT}:user/Alice` }, 1878],
    ["a role, in all its sessions", { principal: `arn:aws:iam::${ACCOUNT}:role/App` }, 470],
    ["one session", { principal: `arn:aws:sts::${ACCOUNT}:assumed-role/App/kms-envelope` }, 470],
    ["a beginning", { since: at(2000) }, 348],
    ["an end", { until: at(100) }, 100],
    ["a time between", { since: at(1000), until: at(1500), eventName: "Decrypt" }, 167],
    ["nothing", {}, 2348],
  ]
  test.each(queries)("%s", async (_what, query, count) => {
    const { trail, events } = await mixedTrail()
    const found = await findEvents(trail.store, query)
    expect(found).toHaveLength(count)
    expect(found).toEqual(events.filter((event) => matches(event, query)))
    expect(await findEvents(trail.store, query, 3)).toEqual(found.slice(-3))
    expect(await findEvents(trail.store, query, 0)).toEqual([])
  })

  test("grant constraints and both contexts of a ReEncrypt", async () => {
    const trail = emptyTrail()
    const pair = { tenant: "1" }
    await append(trail, [
      makeEvent({ operation: "CreateGrant", parameters: { constraints: { encryptionContextSubset: pair } } }),
      makeEvent({ operation: "ReEncrypt", parameters: { sourceEncryptionContext: pair } }),
      makeEvent({ operation: "ReEncrypt", parameters: { destinationEncryptionContext: pair } }),
      makeEvent({ operation: "ReEncrypt", parameters: { sourceEncryptionContext: { tenant: "2" } } }),
    ])
    expect(await findEvents(trail.store, { encryptionContext: pair })).toHaveLength(3)
  })
})

test("AUD-2.1: property: the index finds what looking at every event finds", async () => {
  const { trail, events } = await mixedTrail()
  const query = fc.record(
    {
      eventName: fc.constantFrom("Encrypt", "Decrypt", "Nothing"),
      errorCode: fc.constantFrom("AccessDenied", "DisabledException", null),
      principal: fc.constantFrom(`arn:aws:iam::${ACCOUNT}:user/Alice`, `arn:aws:iam::${ACCOUNT}:role/App`),
      resource: fc.constantFrom(OBJECT, VOLUME),
      encryptionContext: fc.record({ tenant: fc.constantFrom("0", "3", "9") }, { requiredKeys: [] }),
      since: fc.integer({ min: -10, max: 2500 }).map((s) => new Date(NOW + s * 1000)),
      until: fc.integer({ min: -10, max: 2500 }).map((s) => new Date(NOW + s * 1000)),
    },
    { requiredKeys: [] },
  )
  await fc.assert(
    fc.asyncProperty(query, fc.integer({ min: 1, max: 400 }), async (query, limit) => {
      const expected = events.filter((event) => matches(event, query))
      const paged: AuditEvent[] = []
      let page = await readEventPage(trail.store, query, { limit })
      for (;;) {
        expect(page.events.length).toBeLessThanOrEqual(limit)
        paged.push(...page.events)
        if (!page.more) break
        page = await readEventPage(trail.store, query, { limit, cursor: page.cursor })
      }
      expect(paged).toEqual(expected)
    }),
    { numRuns: 40 },
  )
})

test("a page's cursor goes on with what happens later", async () => {
  const trail = await trailOf(3)
  const first = await readEventPage(trail.store, {}, {})
  expect(first).toMatchObject({ more: false, cursor: "3" })
  expect(await readEventPage(trail.store, {}, { cursor: first.cursor })).toEqual({
    events: [],
    cursor: "3",
    more: false,
  })
  await append(trail, [makeEvent({ operation: "Encrypt" })])
  const later = await readEventPage(trail.store, {}, { cursor: first.cursor })
  expect(later.events.map(({ eventName }) => eventName)).toEqual(["Encrypt"])
})

test.each([{ limit: 0 }, { limit: 1.5 }, { cursor: "x" }, { cursor: "-1" }, { cursor: "" }])(
  "%j is a caller's mistake",
  async (options) => {
    const { kms } = memoryKms()
    await expect(kms.eventPage({}, options)).rejects.toThrow(RangeError)
  },
)

test("a stream can follow the trail, from the newest events on, until it is aborted", async () => {
  const { kms, send } = memoryKms()
  for (let i = 1; i <= 3; i++) await send("GenerateRandom", { NumberOfBytes: i })
  const abort = new AbortController()
  const seen: unknown[] = []
  const following = (async () => {
    const options = { last: 2, follow: true, pollSeconds: 0.01, signal: abort.signal }
    for await (const { requestParameters } of kms.streamEvents({ eventName: "GenerateRandom" }, options)) {
      seen.push(requestParameters!.numberOfBytes)
      if (seen.length === 2) await send("ListKeys")
      if (seen.length < 4) await send("GenerateRandom", { NumberOfBytes: 10 + seen.length })
      else abort.abort(new Error("enough"))
    }
  })()
  await expect(following).rejects.toThrow()
  expect(seen).toEqual([2, 3, 11, 12])
})

test("a stream that does not follow ends, and one of a closed KMS throws", async () => {
  const { kms, send } = memoryKms()
  await send("ListKeys")
  const seen: string[] = []
  for await (const { eventName } of kms.streamEvents()) seen.push(eventName)
  expect(seen).toEqual(["ListKeys"])
  const following = kms.streamEvents({}, { follow: true, pollSeconds: 0.01 })
  await following.next()
  await kms.close()
  await expect(following.next()).rejects.toMatchObject({ code: "Closed" })
})

describe("the index", () => {
  test("AUD-2.3: is made by searches, block by block, and not by requests", async () => {
    const trail = await trailOf(2 * BLOCK)
    const blocks = (): number => trail.store.read((reader) => [...reader.range("terms/")].length)
    expect(blocks()).toBe(0)
    await findEvents(trail.store, {})
    expect(blocks()).toBe(2)
  })

  test("AUD-2.4: is held against the events and made anew when it hides some", async () => {
    const { trail, events } = await mixedTrail()
    await findEvents(trail.store, {})
    await trail.store.transaction((tx) => {
      const index = tx.get<BlockIndex>(blockKey(1))!
      tx.put(blockKey(1), { ...index, terms: ";" })
    })
    const query = { resource: OBJECT }
    expect((await findEvents(trail.store, query)).length).toBe(14)
    expect(await verifyTrail(trail.store, trail, {})).toMatchObject({
      valid: false,
      problems: [{ kind: "index", first: BLOCK + 1, last: 2 * BLOCK }],
    })
    expect((await verifyTrail(trail.store, trail, {})).valid).toBe(true)
    expect(await findEvents(trail.store, query)).toEqual(events.filter((event) => matches(event, query)))
  })

  test("goes with the events that are dropped", async () => {
    const trail = emptyTrail(1500)
    for (let i = 0; i < 6; i++) {
      await append(
        trail,
        Array.from({ length: 1000 }, () => makeEvent()),
      )
      await findEvents(trail.store, {})
    }
    const blocks = trail.store.read((reader) => [...reader.range("terms/")].map(([key]) => key))
    expect(blocks).toEqual([3, 4].map(blockKey))
    expect(await findEvents(trail.store, { eventName: "Decrypt" })).toHaveLength(2000)
    expect((await verifyTrail(trail.store, trail, {})).valid).toBe(true)
  })
})
