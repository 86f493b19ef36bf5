import { createPublicKey, verify } from "node:crypto"
import { describe, expect, test } from "vitest"
import { LocalKms, type SignedDigest } from "../../../src/local-kms/index.ts"
import { readDigest, signDigest } from "../../../src/local-kms/trail/digest.ts"
import { eventKey, HEAD, type TrailHead } from "../../../src/local-kms/trail/records.ts"
import { verifyTrail } from "../../../src/local-kms/trail/verify.ts"
import { memoryKms, sendTo, temporaryFolder } from "../helpers.ts"
import { append, makeEvent, NOW, recordAt, STORE_ID, type TestTrail, trailOf } from "./helpers.ts"

const sign = (trail: TestTrail, now = NOW + 60_000) => signDigest(trail.store, trail, { storeId: STORE_ID, now })
const problemsOf = async (trail: TestTrail, digest?: SignedDigest): Promise<string[]> =>
  (await verifyTrail(trail.store, trail, digest === undefined ? {} : { digest })).problems.map(
    ({ kind, first, last }) => `${kind} ${first}-${last}`,
  )

test("AUD-4.2: a digest tells which events the trail held, and follows the one before it", async () => {
  const trail = await trailOf(3)
  const first = (await sign(trail))!
  expect(first.digest).toEqual({
    version: 1,
    storeId: STORE_ID,
    number: 1,
    startTime: "2026-05-20T20:45:00Z",
    endTime: "2026-05-20T20:46:00Z",
    firstEvent: 1,
    lastEvent: 3,
    mac: recordAt(trail, 3).mac,
    previousSignature: null,
    publicKeyFingerprint: expect.stringMatching(/^[0-9a-f]{32}$/),
  })
  expect(await sign(trail)).toEqual(first)
  await append(trail, [makeEvent(), makeEvent()])
  const second = (await sign(trail))!
  expect(second.digest).toMatchObject({
    number: 2,
    startTime: "2026-05-20T20:46:00Z",
    // No two digests end in one second.
    endTime: "2026-05-20T20:46:01Z",
    firstEvent: 4,
    lastEvent: 5,
    previousSignature: first.signature,
  })
  expect(await verifyTrail(trail.store, trail, {})).toMatchObject({ valid: true, signedUpTo: 5 })
})

test("AUD-4.1 and AUD-4.3: anybody verifies a digest with the exported key, which stays the same", async () => {
  const dir = await temporaryFolder()
  const kms = await LocalKms.open(dir)
  expect(await kms.signAudit()).toBeUndefined()
  await sendTo(kms.directClient())("ListKeys")
  const { digest, signature } = (await kms.signAudit())!
  const pem = await kms.auditPublicKey()
  expect(pem).toMatch(/^-----BEGIN PUBLIC KEY-----\n/)
  expect(createPublicKey(pem).asymmetricKeyDetails).toMatchObject({ modulusLength: 2048 })
  const isSigned = (text: string) => verify("sha256", Buffer.from(text), pem, Buffer.from(signature, "base64"))
  expect(isSigned(JSON.stringify(digest))).toBe(true)
  expect(isSigned(JSON.stringify({ ...digest, lastEvent: 2 }))).toBe(false)
  await kms.close()
  const again = await LocalKms.open(dir)
  expect(await again.auditPublicKey()).toBe(pem)
  await again.close()
})

test("two processes that sign at once make one digest", async () => {
  const trail = await trailOf(3)
  const [one, two] = await Promise.all([sign(trail), sign(trail)])
  expect(one).toEqual(two)
  expect(trail.store.read((reader) => readDigest(reader, 2))).toBeUndefined()
})

test.each([
  [
    "edited",
    (trail: TestTrail) => trail.store.transaction((tx) => tx.put(eventKey(2), { ...recordAt(trail, 2), n: 7 })),
    2,
  ],
  ["removed", (trail: TestTrail) => trail.store.transaction((tx) => tx.remove(eventKey(3))), 3],
])("AUD-4.4: a trail with an event %s is not signed", async (_what, tamper, at) => {
  const trail = await trailOf(5)
  await tamper(trail)
  await expect(sign(trail)).rejects.toMatchObject({
    code: "KmsStore",
    message: `the audit trail was changed at event ${at}: verify it to see what is wrong`,
  })
})

describe("AUD-3.5: the trail is held to its digests", () => {
  async function signedTrail(): Promise<{ readonly trail: TestTrail; readonly kept: SignedDigest }> {
    const trail = await trailOf(3)
    await sign(trail)
    await append(trail, [makeEvent(), makeEvent()])
    const kept = (await sign(trail))!
    await append(trail, [makeEvent()])
    return { trail, kept }
  }
  const digestKey = (number: number): string => `digest/${String(number).padStart(16, "0")}`

  test("and is valid when it agrees", async () => {
    const { trail, kept } = await signedTrail()
    expect(await problemsOf(trail, kept)).toEqual([])
  })

  test("a removed digest is missed", async () => {
    const { trail } = await signedTrail()
    await trail.store.transaction((tx) => tx.remove(digestKey(1)))
    expect(await problemsOf(trail)).toEqual(["digest 4-5"])
  })

  test("an edited digest does not carry the signature", async () => {
    const { trail, kept } = await signedTrail()
    const edited = { ...kept, digest: { ...kept.digest, lastEvent: 4 } }
    await trail.store.transaction((tx) => tx.put(digestKey(2), edited))
    expect(await problemsOf(trail)).toEqual(["digest 4-4"])
    expect(await problemsOf((await signedTrail()).trail, edited)).toEqual(["digest 4-4"])
  })

  test("a signing key of somebody else does not open, and signs nothing", async () => {
    const { trail } = await signedTrail()
    const other = (await signedTrail()).trail
    const key = other.store.read((reader) => reader.get("audit/signing-key"))!
    await trail.store.transaction((tx) => tx.put("audit/signing-key", key))
    expect(await problemsOf(trail)).toEqual(["digest 1-3", "digest 4-5"])
    await append(trail, [makeEvent()])
    await expect(sign(trail)).rejects.toMatchObject({ code: "KmsStore" })
  })

  test("an older copy of the store is valid by itself, and not against a digest that was kept elsewhere", async () => {
    const trail = await trailOf(3)
    await sign(trail)
    const copy = trail.store.read((reader) =>
      ["event/", "head/", "digest/"].flatMap((prefix) => [...reader.range(prefix)]),
    )
    await append(trail, [makeEvent(), makeEvent()])
    const kept = (await sign(trail))!
    await trail.store.transaction((tx) => {
      for (const prefix of ["event/", "digest/"]) for (const [key] of [...tx.range(prefix)]) tx.remove(key)
      for (const [key, value] of copy) tx.put(key, value)
    })
    expect(await problemsOf(trail)).toEqual([])
    expect(await problemsOf(trail, kept)).toEqual(["removed 4-5"])
    await append(trail, [makeEvent(), makeEvent(), makeEvent()])
    expect(await problemsOf(trail, kept)).toEqual(["digest 5-5"])
  })

  test("events that were dropped on purpose are no problem", async () => {
    const trail = await trailOf(10, 0)
    const kept = (await sign(trail))!
    await append(
      trail,
      Array.from({ length: 2000 }, () => makeEvent()),
    )
    expect(trail.store.read((reader) => reader.get<TrailHead>(HEAD))).toMatchObject({ first: 2001 })
    expect(await problemsOf(trail, kept)).toEqual([])
    expect((await sign(trail))!.digest).toMatchObject({ number: 2, firstEvent: 2001, lastEvent: 2010 })
  })
})

test("a KMS in memory verifies its trail as well", async () => {
  const { kms, send } = memoryKms()
  await send("ListKeys")
  expect(await kms.verifyAudit()).toEqual({
    valid: true,
    first: 1,
    last: 1,
    signedUpTo: 0,
    problems: [],
    problemCount: 0,
  })
})

test("AUD-1.6: a head that pretends to have dropped events keeps none of them out of a digest", async () => {
  const trail = await trailOf(5)
  const setFirst = (first: number) =>
    trail.store.transaction((tx) => tx.put(HEAD, { ...tx.get<TrailHead>(HEAD)!, first }))
  await setFirst(4)
  expect((await sign(trail))!.digest).toMatchObject({ firstEvent: 1, lastEvent: 5 })
  await setFirst(1)
  expect(await problemsOf(trail)).toEqual([])
})
