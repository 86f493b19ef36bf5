import { createHash } from "node:crypto"
import { expect, test } from "vitest"
import {
  countGrants,
  type Grant,
  putGrant,
  removeGrant,
  removeGrantsOf,
} from "../../../src/local-kms/grants/records.ts"
import { issueToken, readToken } from "../../../src/local-kms/grants/tokens.ts"
import type { Key } from "../../../src/local-kms/keys.ts"
import { memoryStore } from "../../../src/local-kms/store/memory.ts"
import { temporaryVault } from "../../../src/local-kms/vault.ts"
import { APP, CLERK } from "./grant-world.ts"

const place = { accountId: "111122223333", region: "us-east-1", keyId: "1234abcd-12ab-34cd-56ef-1234567890ab" }
const key = { scope: { partition: "aws", ...place }, keyId: place.keyId } as unknown as Key
const OF_KEY = "111122223333/us-east-1/1234abcd-12ab-34cd-56ef-1234567890ab/"
const TABLES = ["grant", "grant-count", "grant-named", "grant-retirable", "grant-use", "grantee"]
const grant: Grant = {
  grantId: "ab".repeat(32),
  name: "n",
  createdAt: 1,
  granteePrincipal: APP,
  retiringPrincipal: CLERK,
  issuingAccountId: "111122223333",
  operations: ["Encrypt", "DescribeKey"],
  constraints: { EncryptionContextSubset: { Tenant: "42", z: "1" } },
}

test("GRT-1.3, GRT-3.1: a grant is stored as specified, its tokens nowhere, and nothing is left at its end", async () => {
  const store = memoryStore()
  const stored = () => store.read((reader) => TABLES.flatMap((table) => [...reader.range(`${table}/`)]))
  const vault = temporaryVault()
  await store.transaction((tx) => putGrant(tx, key, grant))
  const tokens = [issueToken(vault, key, grant), issueToken(vault, key, grant)]
  expect(tokens[0]).not.toBe(tokens[1])
  const { grantId } = grant
  const digest = createHash("sha256").update('["tenant","42"]').digest("hex").slice(0, 32)
  const expected = {
    [`grant/${OF_KEY}${grantId}`]: grant,
    [`grantee/${OF_KEY}${APP}|${grantId}`]: place,
    [`grant-use/${OF_KEY}${APP}|Encrypt|s${digest}|${grantId}`]: place,
    [`grant-use/${OF_KEY}${APP}|DescribeKey|-|${grantId}`]: place,
    [`grant-named/${OF_KEY}n|${grantId}`]: place,
    [`grant-retirable/us-east-1/${CLERK}|${OF_KEY}${grantId}`]: place,
    [`grant-count/${OF_KEY}`]: { grants: 1 },
  }
  expect(Object.fromEntries(stored())).toEqual(expected)
  const read = (token: string) => store.read((reader) => readToken(reader, vault, "aws", token))
  for (const token of tokens) expect(read(token)).toEqual({ ...place, grantId })

  await store.transaction((tx) => {
    putGrant(tx, key, { ...grant, grantId: "cd".repeat(32), name: undefined, retiringPrincipal: undefined })
    removeGrant(tx, key, grant)
  })
  expect(store.read((reader) => countGrants(reader, key))).toBe(1)
  for (const token of tokens) expect(() => read(token)).toThrow("The grant token is not valid.")
  expect(stored().map(([path]) => path.split("/")[0])).toEqual([
    "grant",
    "grant-count",
    "grant-use",
    "grant-use",
    "grantee",
  ])
  await store.transaction((tx) => removeGrantsOf(tx, key))
  expect(stored()).toEqual([])
})
