import { describe, expect, it } from "vitest"
import { checkPolicy, checkSuiteToRead, findSuite, suiteToWrite } from "../../src/crypto/index.ts"
import { referenceSuites } from "../reference/suites.ts"
import { codeOf } from "../support/errors.ts"

describe("The suite table", () => {
  // MSG-1.2
  it("has the eleven suites of the specification and no other", () => {
    const found = Array.from({ length: 0x10000 }, (_, id) => findSuite(id)).filter((suite) => suite !== undefined)
    const rows = found.map(({ id, formatVersion, dataKeyLength, hkdfHash, signature }) => ({
      id,
      version: formatVersion,
      keyBits: dataKeyLength * 8,
      kdf: hkdfHash ?? "none",
      curve: signature && (signature.curve === "prime256v1" ? "P-256" : "P-384"),
    }))
    expect(rows).toEqual(referenceSuites.map((suite) => ({ curve: undefined, ...suite })))
  })

  it("describes each suite to keyrings consistently", () => {
    for (const { id, version, kdf, curve, keyBits } of referenceSuites) {
      expect(findSuite(id)).toMatchObject({
        cipher: `aes-${keyBits}-gcm`,
        messageIdLength: version === 1 ? 16 : 32,
        suiteDataLength: version === 1 ? 0 : 32,
        derivesKey: kdf !== "none",
        commitsKey: version === 2,
        signed: curve !== undefined,
      })
    }
  })
})

describe("The commitment policies", () => {
  const v1 = referenceSuites.filter(({ version }) => version === 1).map(({ id }) => id)
  const v2 = [0x0478, 0x0578]

  it.each([
    ["RequireEncryptRequireDecrypt", 0x0478, 0x0578],
    ["RequireEncryptAllowDecrypt", 0x0478, 0x0578],
    ["ForbidEncryptAllowDecrypt", 0x0178, 0x0378],
  ] as const)("%s writes its default suites", (policy, unsigned, signed) => {
    expect(suiteToWrite(policy, false).id).toBe(unsigned)
    expect(suiteToWrite(policy, true).id).toBe(signed)
  })

  it("allow and refuse suites to write", async () => {
    for (const policy of ["RequireEncryptRequireDecrypt", "RequireEncryptAllowDecrypt"] as const) {
      for (const id of v2) expect(suiteToWrite(policy, false, id).id).toBe(id)
      for (const id of v1) expect(await codeOf(() => suiteToWrite(policy, false, id))).toBe("CommitmentPolicy")
    }
    for (const id of v1) expect(suiteToWrite("ForbidEncryptAllowDecrypt", false, id).id).toBe(id)
    for (const id of v2) {
      expect(await codeOf(() => suiteToWrite("ForbidEncryptAllowDecrypt", false, id))).toBe("CommitmentPolicy")
    }
  })

  it("allow and refuse suites to read", async () => {
    for (const id of [...v1, ...v2]) {
      checkSuiteToRead("RequireEncryptAllowDecrypt", findSuite(id)!)
      checkSuiteToRead("ForbidEncryptAllowDecrypt", findSuite(id)!)
    }
    for (const id of v2) checkSuiteToRead("RequireEncryptRequireDecrypt", findSuite(id)!)
    for (const id of v1) {
      const code = await codeOf(() => checkSuiteToRead("RequireEncryptRequireDecrypt", findSuite(id)!))
      expect(code).toBe("CommitmentPolicy")
    }
  })

  it("are exactly three, the strictest by default; other names and unknown suites are the caller's mistake", () => {
    expect(checkPolicy(undefined)).toBe("RequireEncryptRequireDecrypt")
    expect(() => checkPolicy("ForbidEncryptForbidDecrypt" as never)).toThrow(TypeError)
    expect(() => checkPolicy("" as never)).toThrow(TypeError)
    expect(() => suiteToWrite("RequireEncryptRequireDecrypt", false, 0x0479)).toThrow(TypeError)
  })
})
