import fc from "fast-check"
import { describe, expect, test } from "vitest"
import type { StoreTransaction } from "../../../src/local-kms/store/store.ts"
import { type EventRecord, eventKey, HEAD, type TrailHead } from "../../../src/local-kms/trail/records.ts"
import { verifyTrail } from "../../../src/local-kms/trail/verify.ts"
import { createVault, temporaryVault } from "../../../src/local-kms/vault.ts"
import { append, emptyTrail, makeEvent, NOW, recordAt, type TestTrail, trailOf } from "./helpers.ts"

const record = (tx: StoreTransaction, n: number): EventRecord => tx.get<EventRecord>(eventKey(n))!
const head = (tx: StoreTransaction): TrailHead => tx.get<TrailHead>(HEAD)!
const edit = (tx: StoreTransaction, n: number, change: object): void => {
  const { event, ...rest } = record(tx, n)
  tx.put(eventKey(n), { ...rest, event: { ...event, ...change } })
}

/** Kinds of problems and the events they name, in order. */
async function problemsOf(trail: TestTrail): Promise<string[]> {
  const { valid, problems, problemCount } = await verifyTrail(trail.store, trail, {})
  expect(valid).toBe(problems.length === 0)
  expect(problemCount).toBe(problems.length)
  return problems.map(({ kind, first, last }) => `${kind} ${first === last ? first : `${first}-${last}`}`)
}

describe("AUD-3.1: a trail that nobody touched", () => {
  test.each([0, 1, 2, 255, 256, 257, 1025])("of %i events is valid", async (count) => {
    const trail = await trailOf(count)
    expect(await verifyTrail(trail.store, trail, {})).toEqual({
      valid: true,
      first: 1,
      last: count,
      signedUpTo: 0,
      problems: [],
      problemCount: 0,
    })
  })

  test("keeps encryption contexts of any characters", async () => {
    const trail = emptyTrail()
    const encryptionContext = JSON.parse('{"10":"b","9":"a","__proto__":"p","\\ud800":"\\u2028","": "\\u0000"}')
    await append(trail, [makeEvent({ parameters: { encryptionContext } }), makeEvent()])
    expect(await problemsOf(trail)).toEqual([])
  })
})

describe("AUD-3.2 and AUD-3.3: what was done to a trail of 12 events is found and named", () => {
  const cases: [what: string, problems: string[], tamper: (tx: StoreTransaction) => void][] = [
    ["the first event is removed", ["removed 1"], (tx) => tx.remove(eventKey(1))],
    ["an event in the middle is removed", ["removed 5"], (tx) => tx.remove(eventKey(5))],
    [
      "a run of events is removed",
      ["removed 3-7"],
      (tx) => [3, 4, 5, 6, 7].forEach((n) => void tx.remove(eventKey(n))),
    ],
    ["two events are removed", ["removed 3", "removed 9"], (tx) => [3, 9].forEach((n) => void tx.remove(eventKey(n)))],
    ["the last event is removed", ["removed 12"], (tx) => tx.remove(eventKey(12))],
    ["an event's caller is another", ["edited 4"], (tx) => edit(tx, 4, { userIdentity: { type: "Root" } })],
    ["an event's error is gone", ["edited 4"], (tx) => edit(tx, 4, { errorCode: "AccessDenied" })],
    [
      "two events are edited",
      ["edited 4", "edited 5"],
      (tx) => [4, 5].forEach((n) => void edit(tx, n, { awsRegion: "x" })),
    ],
    [
      "an event's mac is another",
      ["edited 4"],
      (tx) => tx.put(eventKey(4), { ...record(tx, 4), mac: record(tx, 5).mac }),
    ],
    ["an event has lost its mac", ["edited 4"], (tx) => tx.put(eventKey(4), { event: record(tx, 4).event })],
    ["an event is no event", ["edited 4"], (tx) => tx.putJson(eventKey(4), "[]")],
    ["an event is null", ["edited 4"], (tx) => tx.putJson(eventKey(4), "null")],
    ["an event is no JSON", ["edited 4"], (tx) => tx.putJson(eventKey(4), "{")],
    [
      "two events change places",
      ["moved 5", "moved 6"],
      (tx) => {
        const [fifth, sixth] = [record(tx, 5), record(tx, 6)]
        tx.put(eventKey(5), sixth)
        tx.put(eventKey(6), fifth)
      },
    ],
    [
      "two events change places and numbers",
      ["edited 5", "edited 6"],
      (tx) => {
        const [fifth, sixth] = [record(tx, 5), record(tx, 6)]
        tx.put(eventKey(5), { ...sixth, n: 5 })
        tx.put(eventKey(6), { ...fifth, n: 6 })
      },
    ],
    ["an event is replaced by a copy of another", ["moved 6", "removed 9"], (tx) => tx.put(eventKey(9), record(tx, 6))],
    [
      "an event is taken out and the others move up",
      ["removed 10", "moved 11", "moved 12"],
      (tx) => {
        tx.put(eventKey(10), record(tx, 11))
        tx.put(eventKey(11), record(tx, 12))
        tx.remove(eventKey(12))
      },
    ],
    ["an event is added behind the end", ["added 13"], (tx) => tx.put(eventKey(13), record(tx, 12))],
    ["a record is put between", ["added 4"], (tx) => tx.put(`${eventKey(4)}x`, record(tx, 4))],
    ["the head is missing", ["head 0"], (tx) => tx.remove(HEAD)],
    ["the head is no head", ["head 0"], (tx) => tx.put(HEAD, { next: "13" })],
    ["the head's seal is another", ["head 12"], (tx) => tx.put(HEAD, { ...head(tx), seal: head(tx).mac })],
    ["the head's mac is another", ["head 12"], (tx) => tx.put(HEAD, { ...head(tx), mac: head(tx).seal })],
    [
      "the last events are cut off and the head goes back",
      ["head 9"],
      (tx) => {
        for (const n of [10, 11, 12]) tx.remove(eventKey(n))
        tx.put(HEAD, { ...head(tx), next: 10, mac: record(tx, 9).mac })
      },
    ],
    [
      "the head says that the first events were dropped",
      ["removed 1-4"],
      (tx) => {
        for (const n of [1, 2, 3, 4]) tx.remove(eventKey(n))
        tx.put(HEAD, { ...head(tx), first: 5 })
      },
    ],
    [
      "everything is gone but the head",
      ["removed 1-12"],
      (tx) => {
        for (let n = 1; n <= 12; n++) tx.remove(eventKey(n))
      },
    ],
  ]

  test.each(cases)("%s", async (_what, problems, tamper) => {
    const trail = await trailOf(12)
    await trail.store.transaction(tamper)
    expect(await problemsOf(trail)).toEqual(problems)
  })
})

test("AUD-1.4: events that are cut off show for ever, also when others are written since", async () => {
  const trail = await trailOf(12)
  await trail.store.transaction((tx) => {
    for (const n of [10, 11, 12]) tx.remove(eventKey(n))
    tx.put(HEAD, { ...head(tx), next: 10, mac: record(tx, 9).mac })
  })
  await append(trail, [makeEvent(), makeEvent(), makeEvent(), makeEvent()])
  expect(await problemsOf(trail)).toEqual(["head 13"])
})

test("AUD-1.5: a trail whose head is missing takes no more events", async () => {
  const trail = await trailOf(3)
  await trail.store.transaction((tx) => tx.remove(HEAD))
  await expect(append(trail, [makeEvent()])).rejects.toMatchObject({
    code: "KmsStore",
    message: "the KMS store is damaged: the head of its audit trail is missing",
  })
})

test("two histories of one store do not mix", async () => {
  const trail = await trailOf(5)
  const copy: Record<string, object> = {}
  trail.store.read((reader) => {
    for (const [key, value] of reader.range("")) copy[key] = value
    for (const prefix of ["event/", "head/"]) for (const [key, value] of reader.range(prefix)) copy[key] = value
  })
  await append(trail, [makeEvent({ at: NOW + 6000 }), makeEvent({ at: NOW + 7000 })])
  const [sixth, seventh] = [recordAt(trail, 6), recordAt(trail, 7)]
  await trail.store.transaction((tx) => {
    for (const n of [6, 7]) tx.remove(eventKey(n))
    for (const [key, value] of Object.entries(copy)) tx.put(key, value)
  })
  await append(trail, [makeEvent({ operation: "Encrypt" }), makeEvent({ operation: "Encrypt" })])
  expect(await problemsOf(trail)).toEqual([])
  await trail.store.transaction((tx) => tx.put(eventKey(7), seventh))
  expect(await problemsOf(trail)).toEqual(["unlinked 7"])
  await trail.store.transaction((tx) => tx.put(eventKey(6), sixth))
  expect(await problemsOf(trail)).toEqual(["head 7"])
})

test("AUD-1.2: events of another store, or under another root key, are not genuine", async () => {
  const rootKey = (): Uint8Array => new Uint8Array(32).fill(1)
  const trail = { ...emptyTrail(), vault: createVault(rootKey(), "one") }
  await append(trail, [makeEvent(), makeEvent()])
  expect(await problemsOf(trail)).toEqual([])
  expect(await problemsOf({ ...trail, vault: createVault(rootKey(), "one") })).toEqual([])
  for (const vault of [createVault(rootKey(), "two"), createVault(new Uint8Array(32), "one"), temporaryVault()])
    expect(await problemsOf({ ...trail, vault })).toEqual(["edited 1", "edited 2"])
})

test("AUD-1.1: an event's mac is an HMAC over its number, the mac before it and its text", async () => {
  const { createHmac, hkdfSync } = await import("node:crypto")
  const rootKey = new Uint8Array(32).fill(1)
  const key = Buffer.from(hkdfSync("sha256", rootKey, "one", "kms-envelope local-kms audit trail", 32))
  const mac = (text: string): string => createHmac("sha256", key).update(text).digest("base64url")
  const trail = { ...emptyTrail(), vault: createVault(rootKey, "one") }
  await append(trail, [makeEvent(), makeEvent()])
  const [first, second] = [recordAt(trail, 1), recordAt(trail, 2)]
  expect(first).toMatchObject({ n: 1, previous: "", mac: mac(`1\n\n${JSON.stringify(first.event)}`) })
  expect(second).toMatchObject({
    n: 2,
    previous: first.mac,
    mac: mac(`2\n${first.mac}\n${JSON.stringify(second.event)}`),
  })
  const seal = mac(`${mac(`\n${first.mac}`)}\n${second.mac}`)
  // AUD-1.3
  expect(trail.store.read((reader) => reader.get(HEAD))).toEqual({ next: 3, mac: second.mac, seal, first: 1 })
})

describe("AUD-1.6: where old events are dropped", () => {
  test("what is kept is still a chain", async () => {
    for (const [count, keep, first] of [
      [999, 0, 1],
      [1000, 0, 1001],
      [2500, 500, 1001],
      [3000, 500, 2001],
      [3000, 5000, 1],
    ] as const) {
      const trail = await trailOf(count, keep)
      expect(await verifyTrail(trail.store, trail, {})).toMatchObject({ valid: true, first, last: count })
    }
  })

  test("a change of it is found", async () => {
    const trail = await trailOf(2500, 500)
    await trail.store.transaction((tx) => edit(tx, 1700, { errorCode: "x" }))
    expect(await problemsOf(trail)).toEqual(["edited 1700"])
    await trail.store.transaction((tx) => tx.remove(eventKey(1001)))
    expect(await problemsOf(trail)).toEqual(["removed 1001", "edited 1700"])
  })

  test("more than was dropped is missed", async () => {
    const trail = await trailOf(2500, 500)
    await trail.store.transaction((tx) => {
      for (let n = 1001; n <= 1300; n++) tx.remove(eventKey(n))
      tx.put(HEAD, { ...head(tx), first: 1301 })
    })
    expect(await problemsOf(trail)).toEqual(["head 2500"])
  })
})

/** One thing that somebody with the files and without the root key can do. */
const tampering = fc.oneof(
  fc.record({ what: fc.constant("remove" as const), n: fc.integer({ min: 1, max: 20 }) }),
  fc.record({ what: fc.constant("edit" as const), n: fc.integer({ min: 1, max: 20 }) }),
  fc.record({
    what: fc.constant("swap" as const),
    n: fc.integer({ min: 1, max: 20 }),
    with: fc.integer({ min: 1, max: 20 }),
  }),
  fc.record({
    what: fc.constant("copy" as const),
    n: fc.integer({ min: 1, max: 20 }),
    to: fc.integer({ min: 1, max: 25 }),
  }),
  fc.record({ what: fc.constant("cut" as const), n: fc.integer({ min: 1, max: 20 }) }),
  fc.record({ what: fc.constant("renumber" as const), n: fc.integer({ min: 1, max: 20 }) }),
)

test("AUD-3.4: property: no sequence of changes without the root key leaves a valid trail", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(tampering, { minLength: 1, maxLength: 4 }), fc.boolean(), async (drawn, goesOn) => {
      const trail = await trailOf(20)
      // What is planted where the next event goes is overwritten by it, and the trail is whole again.
      const steps = drawn.filter((step) => !(goesOn && step.what === "copy" && step.to === 21))
      const before = snapshot(trail)
      await trail.store.transaction((tx) => {
        for (const step of steps) apply(tx, step)
      })
      const changed = snapshot(trail) !== before
      // The KMS refuses to go on only without a head.
      if (goesOn) await append(trail, [makeEvent({ at: NOW + 100_000 })])
      const { valid } = await verifyTrail(trail.store, trail, {})
      expect(valid).toBe(!changed)
    }),
    { numRuns: 150 },
  )
})

const snapshot = ({ store }: TestTrail): string =>
  JSON.stringify(store.read((reader) => [...reader.range("event/"), ...reader.range("head/")]))

type Step = typeof tampering extends fc.Arbitrary<infer T> ? T : never

function apply(tx: StoreTransaction, step: Step): void {
  const stored = tx.get<EventRecord>(eventKey(step.n))
  if (stored === undefined) return
  if (step.what === "remove") tx.remove(eventKey(step.n))
  if (step.what === "edit")
    tx.put(eventKey(step.n), { ...stored, event: { ...stored.event, sourceIPAddress: "10.0.0.1" } })
  if (step.what === "renumber") tx.put(eventKey(step.n), { ...stored, n: stored.n + 1 })
  if (step.what === "copy") tx.put(eventKey(step.to), stored)
  if (step.what === "swap") {
    const other = tx.get<EventRecord>(eventKey(step.with))
    if (other === undefined) return
    tx.put(eventKey(step.n), other)
    tx.put(eventKey(step.with), stored)
  }
  if (step.what === "cut") {
    for (let n = step.n; n <= 25; n++) tx.remove(eventKey(n))
    const last = tx.get<EventRecord>(eventKey(step.n - 1))
    tx.put(HEAD, { ...head(tx), next: step.n, mac: last?.mac ?? "" })
  }
}
