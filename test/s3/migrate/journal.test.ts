import { appendFile, readFile, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { expect, test } from "vitest"
import { encryptObjects, rewrapObjects } from "../../../src/s3/index.ts"
import { temporaryFolder } from "../../local-kms/helpers.ts"
import { errorOf } from "../../support/errors.ts"
import { actions, all, Bucket, scene } from "./support.ts"

// OBJ-11.6
test("an interrupted migration goes on where it was", async () => {
  const { put, client, server } = await scene()
  const names = Array.from({ length: 70 }, (_, i) => String(i).padStart(3, "0"))
  for (const name of names) await put(name, "x")
  const journal = join(await temporaryFolder(), "journal")
  const options = { client: client(), bucket: Bucket, journal, concurrency: 3 }
  for await (const { key } of encryptObjects(options)) if (key === "059") break
  server.forget()
  const rest = await all(encryptObjects(options))
  // What was done since the last line of the journal is looked at again.
  expect(actions(rest).slice(-7)).toEqual(names.slice(63).map((key) => `${key}: encrypted`))
  expect(rest[0]!.key).toBe("050")
  expect(server.log.filter(({ operation, key }) => operation === "GetObject" && key < "050")).toEqual([])
  server.forget()
  expect(await all(encryptObjects(options))).toEqual([])
  expect(server.count("GetObject")).toBe(0)
})

test("what failed is tried again first", async () => {
  const { put, client, server } = await scene()
  for (const key of ["a", "b", "c"]) await put(key, "x")
  const options = { client: client(), bucket: Bucket, journal: join(await temporaryFolder(), "journal") }
  server.intervene = ({ key, operation }) =>
    key === "b" && operation === "PutObject" ? { status: 403, code: "AccessDenied" } : undefined
  expect(actions(await all(encryptObjects(options)))).toEqual(["a: encrypted", "b: failed", "c: encrypted"])
  expect(actions(await all(encryptObjects(options)))).toEqual(["b: failed"])
  server.intervene = undefined
  await put("d", "x")
  expect(actions(await all(encryptObjects(options)))).toEqual(["b: encrypted", "d: encrypted"])
  expect(await all(encryptObjects(options))).toEqual([])
})

test("a journal cut short by the end of a process is read as far as it goes", async () => {
  const { put, client } = await scene()
  for (const key of ["a", "b"]) await put(key, "x")
  const journal = join(await temporaryFolder(), "journal")
  const options = { client: client(), bucket: Bucket, journal }
  await all(encryptObjects(options))
  await appendFile(journal, '{"through":"zz')
  await put("c", "x")
  expect(actions(await all(encryptObjects(options)))).toEqual(["c: encrypted"])
})

test("the journal of another migration, and what is no journal, are refused", async () => {
  const { client, kms, newArn } = await scene()
  const folder = await temporaryFolder()
  const journal = join(folder, "journal")
  const options = { client: client(), bucket: Bucket, journal }
  await all(encryptObjects(options))
  const refused = [
    () => all(encryptObjects({ ...options, prefix: "p/" })),
    () => all(rewrapObjects({ ...options, kms: kms.client(), toKeyId: newArn })),
  ]
  for (const work of refused) {
    const error = await errorOf(work)
    expect(error).toBeInstanceOf(TypeError)
    expect(error.message).toContain("another migration")
  }
  await writeFile(join(folder, "other"), "something else\n")
  expect(await errorOf(() => all(encryptObjects({ ...options, journal: join(folder, "other") })))).toBeInstanceOf(
    TypeError,
  )
  expect(await readFile(join(folder, "other"), "utf8")).toBe("something else\n")
})

test("a dry run leaves the journal as it is", async () => {
  const { put, client } = await scene()
  await put("a", "x")
  const journal = join(await temporaryFolder(), "journal")
  const options = { client: client(), bucket: Bucket, journal }
  await all(encryptObjects({ ...options, dryRun: true }))
  expect(actions(await all(encryptObjects(options)))).toEqual(["a: encrypted"])
})
