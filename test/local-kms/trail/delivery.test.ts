import { createHash, createVerify } from "node:crypto"
import { readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { gunzipSync, gzipSync } from "node:zlib"
import { describe, expect, test } from "vitest"
import { type DeliverySink, folderSink, LocalKms, verifyDelivery } from "../../../src/local-kms/index.ts"
import { deliverTrail } from "../../../src/local-kms/trail/deliver.ts"
import { signDigest, signingKey } from "../../../src/local-kms/trail/digest.ts"
import { eventKey } from "../../../src/local-kms/trail/records.ts"
import { ACCOUNT, REGION, sendTo, temporaryFolder } from "../helpers.ts"
import {
  append,
  emptyTrail,
  makeEvent,
  NOW,
  recordAt,
  STORE_ID,
  type TestTrail,
  signingTrailOf as trailOf,
  trailOf as trailWithOwnKey,
} from "./helpers.ts"

const OTHER_REGION = "eu-west-1"
const deliver = (trail: TestTrail, to: string | DeliverySink, now = NOW + 60_000) =>
  deliverTrail(trail.store, trail, to, { storeId: STORE_ID, now })
const publicKeyOf = async ({ store, vault }: TestTrail): Promise<string> =>
  (await signingKey(store, vault)).publicKey.export({ format: "pem", type: "spki" }) as string

const filesOf = (dir: string): string[] =>
  readdirSync(dir, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(dir.length + 1))
    .sort()
const json = (path: string) => JSON.parse(gunzipSync(readFileSync(path)).toString())
const logsOf = (dir: string) => filesOf(dir).filter((name) => name.includes("/CloudTrail/"))
const digestsOf = (dir: string) => filesOf(dir).filter((name) => /\/CloudTrail-Digest\/.*gz$/.test(name))

test("AUD-5.2 and AUD-5.3: events are delivered as files that CloudTrail could have written", async () => {
  const dir = await temporaryFolder()
  const trail = await trailOf(2)
  await append(trail, [makeEvent({ region: OTHER_REGION }), makeEvent({ accountId: "444455556666" })])
  expect(await deliver(trail, dir)).toEqual({ events: 4, logFiles: 3, digestFiles: 3, lastEvent: 4 })
  const day = "2026/05/20"
  expect(logsOf(dir)).toEqual([
    expect.stringMatching(
      `^AWSLogs/${ACCOUNT}/CloudTrail/${OTHER_REGION}/${day}/${ACCOUNT}_CloudTrail_${OTHER_REGION}_20260520T2046Z_[A-Za-z0-9]{16}.json.gz$`,
    ),
    expect.stringMatching(
      `^AWSLogs/${ACCOUNT}/CloudTrail/${REGION}/${day}/${ACCOUNT}_CloudTrail_${REGION}_20260520T2046Z_[A-Za-z0-9]{16}.json.gz$`,
    ),
    expect.stringContaining("AWSLogs/444455556666/CloudTrail/us-east-1/2026/05/20/444455556666_CloudTrail_us-east-1_"),
  ])
  expect(digestsOf(dir)[1]).toBe(
    `AWSLogs/${ACCOUNT}/CloudTrail-Digest/${REGION}/${day}/${ACCOUNT}_CloudTrail-Digest_${REGION}_kms-6f1c9f3a_${REGION}_20260520T204600Z.json.gz`,
  )
  expect(json(join(dir, logsOf(dir)[1]!))).toEqual({ Records: [recordAt(trail, 1).event, recordAt(trail, 2).event] })
})

test("AUD-5.4 and AUD-5.5: a digest file verifies by the steps that AWS documents", async () => {
  const dir = await temporaryFolder()
  const trail = await trailOf(2)
  await deliver(trail, dir)
  await append(trail, [makeEvent({ at: NOW + 5000 })])
  await deliver(trail, dir, NOW + 3_600_000)
  const key = await publicKeyOf(trail)
  let previous: string | null = null
  for (const name of digestsOf(dir)) {
    const text = gunzipSync(readFileSync(join(dir, name))).toString()
    const digest = JSON.parse(text)
    const signature = readFileSync(join(dir, `${name}.sig`), "latin1").trim()
    const hash = createHash("sha256").update(text).digest("hex")
    const toSign = `${digest.digestEndTime}\n${digest.digestS3Bucket}/${digest.digestS3Object}\n${hash}\n${digest.previousDigestSignature ?? "null"}`
    expect(createVerify("RSA-SHA256").update(toSign).verify(key, signature, "hex")).toBe(true)
    expect(digest.digestS3Object).toBe(name)
    expect(digest.previousDigestSignature).toBe(previous)
    previous = signature
    for (const { s3Object, hashValue } of digest.logFiles) {
      const log = gunzipSync(readFileSync(join(dir, s3Object)))
      expect(createHash("sha256").update(log).digest("hex")).toBe(hashValue)
    }
  }
  expect(json(join(dir, digestsOf(dir)[1]!))).toEqual({
    awsAccountId: ACCOUNT,
    digestStartTime: "2026-05-20T20:46:00Z",
    digestEndTime: "2026-05-20T21:45:00Z",
    digestS3Bucket: "kms-envelope",
    digestS3Object: digestsOf(dir)[1],
    digestPublicKeyFingerprint: expect.stringMatching(/^[0-9a-f]{32}$/),
    digestSignatureAlgorithm: "SHA256withRSA",
    newestEventTime: "2026-05-20T20:45:05Z",
    oldestEventTime: "2026-05-20T20:45:05Z",
    previousDigestS3Bucket: "kms-envelope",
    previousDigestS3Object: digestsOf(dir)[0],
    previousDigestHashValue: expect.stringMatching(/^[0-9a-f]{64}$/),
    previousDigestHashAlgorithm: "SHA-256",
    previousDigestSignature: expect.stringMatching(/^[0-9a-f]{512}$/),
    logFiles: [
      {
        s3Bucket: "kms-envelope",
        s3Object: logsOf(dir)[1],
        hashValue: expect.stringMatching(/^[0-9a-f]{64}$/),
        hashAlgorithm: "SHA-256",
        newestEventTime: "2026-05-20T20:45:05Z",
        oldestEventTime: "2026-05-20T20:45:05Z",
      },
    ],
    localKms: {
      storeId: STORE_ID,
      digest: 2,
      firstEvent: 3,
      lastEvent: 3,
      mac: recordAt(trail, 3).mac,
      streams: [`${ACCOUNT}/${REGION}`],
    },
  })
})

test("what is delivered already is not delivered again, wherever the folder is moved", async () => {
  const parent = await temporaryFolder()
  const trail = await trailOf(2)
  await deliver(trail, join(parent, "a"))
  expect(await deliver(trail, join(parent, "a"))).toEqual({ events: 0, logFiles: 0, digestFiles: 0, lastEvent: 2 })
  renameSync(join(parent, "a"), join(parent, "b"))
  await append(trail, [makeEvent()])
  expect(await deliver(trail, join(parent, "b"))).toMatchObject({ events: 1, lastEvent: 3 })
  expect(await verifyDelivery(join(parent, "b"), await publicKeyOf(trail))).toMatchObject({ valid: true, events: 3 })
})

test("two stores deliver into one folder", async () => {
  const dir = await temporaryFolder()
  const one = await trailOf(2)
  const two = await trailWithOwnKey(3)
  await deliver(one, dir)
  await deliverTrail(two.store, two, dir, { storeId: "70000000-0000-4000-8000-000000000001", now: NOW + 60_000 })
  expect(logsOf(dir)).toHaveLength(2)
  const report = await verifyDelivery(dir, await publicKeyOf(one))
  // The other store's key is another.
  expect(report.problems.map(({ text }) => text).sort()).toEqual([
    "its signature does not verify",
    "no digest file names it",
  ])
  expect(report.events).toBe(2)
})

/** A folder whose `n`-th write fails, before or after it happened. */
function failingSink(dir: string, failAt: number, after: boolean): DeliverySink {
  const sink = folderSink(dir)
  let writes = 0
  return {
    ...sink,
    async write(name, file) {
      const fails = ++writes === failAt
      if (fails && !after) throw new Error("disk full")
      await sink.write(name, file)
      if (fails) throw new Error("killed")
    },
  }
}

describe("AUD-5.6: a delivery that ends at any write is made up by the next, without duplicates", () => {
  test.each([1, 2, 3, 4, 5, 6, 7, 8, 9, 10].flatMap((n) => [[n, false] as const, [n, true] as const]))(
    "write %i, done: %s",
    async (failAt, after) => {
      const trail = await trailOf(5)
      await append(trail, [makeEvent({ region: OTHER_REGION })])
      const [dir, reference] = [await temporaryFolder(), await temporaryFolder()]
      const steps = async (to: DeliverySink | string): Promise<void> => {
        await deliver(trail, to)
        await append(trail, [makeEvent(), makeEvent({ region: OTHER_REGION })])
        await deliver(trail, to, NOW + 120_000)
      }
      const sink = failingSink(dir, failAt, after)
      await steps(sink).catch(() => {})
      // More happens before somebody tries again.
      await append(trail, [makeEvent(), makeEvent()])
      await deliver(trail, dir, NOW + 180_000)
      await deliver(trail, reference, NOW + 180_000)
      const contents = (root: string) =>
        filesOf(root).map((name) => [name, readFileSync(join(root, name)).toString("hex")])
      expect(contents(dir)).toEqual(contents(reference))
      const { last } = { last: trail.store.read((reader) => [...reader.range("event/")].length) }
      const report = await verifyDelivery(dir, await publicKeyOf(trail))
      expect(report).toMatchObject({ valid: true, events: last, problems: [] })
    },
  )
})

test("a trail that was changed is not delivered", async () => {
  const dir = await temporaryFolder()
  const trail = await trailOf(3)
  await trail.store.transaction((tx) => tx.remove(eventKey(2)))
  await expect(deliver(trail, dir)).rejects.toMatchObject({ code: "KmsStore" })
  expect(filesOf(dir)).toEqual([])
})

test("an event changed between its digest and its delivery is not delivered", async () => {
  const trail = await trailOf(3)
  await deliver(trail, await temporaryFolder())
  const { event, ...rest } = recordAt(trail, 2)
  await trail.store.transaction((tx) => tx.put(eventKey(2), { ...rest, event: { ...event, errorCode: "x" } }))
  await expect(deliver(trail, await temporaryFolder())).rejects.toMatchObject({
    message: "the audit trail was changed at event 2: verify it to see what is wrong",
  })
})

test("many events fill several files", async () => {
  const dir = await temporaryFolder()
  const trail = emptyTrail()
  await append(
    trail,
    Array.from({ length: 20_001 }, () => makeEvent()),
  )
  expect(await deliver(trail, dir)).toMatchObject({ events: 20_001, logFiles: 3, digestFiles: 1 })
  expect(await verifyDelivery(dir, await publicKeyOf(trail))).toMatchObject({
    valid: true,
    events: 20_001,
    logFiles: 3,
  })
})

describe("AUD-5.7: what was done to delivered files is found", () => {
  const rewrite = (path: string, change: (text: string) => string): void =>
    writeFileSync(path, gzipSync(change(gunzipSync(readFileSync(path)).toString())))
  const remove = (...paths: string[]): void => {
    for (const path of paths) rmSync(path)
  }
  const cases: [what: string, problems: string[], tamper: (dir: string, logs: string[], digests: string[]) => void][] =
    [
      ["nothing", [], () => {}],
      ["a log file is removed", ["this log file is missing"], (_dir, logs) => remove(logs[0]!)],
      [
        "a log file is edited",
        ["it was changed after it was delivered"],
        (_d, logs) => rewrite(logs[0]!, (t) => t.replace("Alice", "Clair")),
      ],
      [
        "a log file is no gzip file",
        ["it was changed after it was delivered"],
        (_d, logs) => writeFileSync(logs[0]!, "x"),
      ],
      [
        "two log files change places",
        ["it was changed after it was delivered", "it was changed after it was delivered"],
        (_d, logs) => {
          const [a, b] = [readFileSync(logs[0]!), readFileSync(logs[1]!)]
          writeFileSync(logs[0]!, b)
          writeFileSync(logs[1]!, a)
        },
      ],
      [
        "a log file is added",
        ["no digest file names it"],
        (_d, logs) => writeFileSync(logs[0]!.replace("_2026", "_1999"), "x"),
      ],
      [
        "a digest file is edited",
        ["its signature does not verify", "no digest file names it", "this digest file is missing"],
        (_d, _l, digests) => rewrite(digests[1]!, (t) => t.replace('"digest":2', '"digest":3')),
      ],
      [
        "a digest file is removed",
        ["no digest file names it", "this digest file is missing"],
        (_d, _l, digests) => remove(digests[1]!),
      ],
      [
        "the newest digest file of one Region is removed",
        ["no digest file names it", "the digest file of 111122223333/us-east-1 for the same time is missing"],
        (_d, _l, digests) => remove(digests.at(-1)!),
      ],
      [
        "a signature is removed",
        ["its signature is missing", "no digest file names it", "this digest file is missing"],
        (_d, _l, digests) => remove(`${digests[1]}.sig`),
      ],
      [
        "a digest file has another name",
        ["it was delivered as", "no digest file names it", "this digest file is missing"],
        (_d, _l, digests) => {
          for (const end of ["", ".sig"]) renameSync(digests[1]! + end, digests[1]!.replace("T2047", "T2059") + end)
        },
      ],
    ]
  test.each(cases)("%s", async (_what, problems, tamper) => {
    const dir = await temporaryFolder()
    const trail = await trailOf(2)
    for (let i = 1; i <= 3; i++) {
      await append(trail, [makeEvent({ region: OTHER_REGION }), makeEvent()])
      await deliver(trail, dir, NOW + i * 60_000)
    }
    const inDir = (names: string[]) => names.map((name) => join(dir, name))
    tamper(dir, inDir(logsOf(dir)), inDir(digestsOf(dir)))
    const report = await verifyDelivery(dir, await publicKeyOf(trail))
    expect(report.problems.map(({ text }) => text.replace(/(delivered as).*/, "$1")).sort()).toEqual(problems)
    expect(report.valid).toBe(problems.length === 0)
  })

  test("an empty folder has no problem and reaches nowhere", async () => {
    const trail = await trailOf(1)
    expect(await verifyDelivery(await temporaryFolder(), await publicKeyOf(trail))).toEqual({
      valid: true,
      digestFiles: 0,
      logFiles: 0,
      events: 0,
      problems: [],
    })
  })
})

test("AUD-5.1: a durable KMS delivers its trail, and goes on after it was opened again", async () => {
  const [dir, logs] = [await temporaryFolder(), await temporaryFolder()]
  const kms = await LocalKms.open(dir)
  await sendTo(kms.directClient())("CreateKey")
  expect(await kms.deliverAudit(logs)).toEqual({ events: 1, logFiles: 1, digestFiles: 1, lastEvent: 1 })
  await kms.close()
  const again = await LocalKms.open(dir)
  await sendTo(again.directClient())("ListKeys")
  expect(await again.deliverAudit(logs)).toEqual({ events: 1, logFiles: 1, digestFiles: 1, lastEvent: 2 })
  expect(await verifyDelivery(logs, await again.auditPublicKey())).toMatchObject({
    valid: true,
    events: 2,
    logFiles: 2,
  })
  await again.close()
})

test("AUD-1.6: what a store in memory dropped before its delivery is left out, and the rest is delivered", async () => {
  const dir = await temporaryFolder()
  const trail = { ...(await trailOf(500)), keepEvents: 100 }
  await signDigest(trail.store, trail, { storeId: STORE_ID, now: NOW + 60_000 })
  await append(
    trail,
    Array.from({ length: 700 }, () => makeEvent()),
  )
  await signDigest(trail.store, trail, { storeId: STORE_ID, now: NOW + 120_000 })
  await append(
    trail,
    Array.from({ length: 900 }, () => makeEvent()),
  )
  expect(await deliver(trail, dir, NOW + 180_000)).toMatchObject({ events: 1100, lastEvent: 2100 })
  expect(await verifyDelivery(dir, await publicKeyOf(trail))).toMatchObject({ valid: true, events: 1100 })
})
