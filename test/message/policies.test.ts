import { describe, expect, it } from "vitest"
import type { CommitmentPolicy } from "../../src/core/index.ts"
import { encrypt, inspect } from "../../src/index.ts"
import { referenceSuites } from "../reference/suites.ts"
import { codeOf } from "../support/errors.ts"
import { aesKeyring, pattern } from "../support/keys.ts"
import { readers } from "../support/readers.ts"

const keyring = aesKeyring()
const policies: CommitmentPolicy[] = [
  "RequireEncryptRequireDecrypt",
  "RequireEncryptAllowDecrypt",
  "ForbidEncryptAllowDecrypt",
]

describe("Commitment policies", () => {
  // MSG-1.3
  it.each(policies)("%s writes what it says", async (commitmentPolicy) => {
    const committing = commitmentPolicy !== "ForbidEncryptAllowDecrypt"
    for (const signed of [false, true]) {
      const info = inspect(await encrypt("x", { keyring, commitmentPolicy, signed }))
      expect(info).toMatchObject({ committed: committing, signed, formatVersion: committing ? 2 : 1 })
    }
    for (const { id, version } of referenceSuites) {
      const write = () => encrypt("x", { keyring, commitmentPolicy, suiteId: id })
      if ((version === 2) === committing) expect(inspect(await write()).suiteId).toBe(id)
      else expect(await codeOf(write)).toBe("CommitmentPolicy")
    }
  })

  it.each(policies)("%s reads what it says, every way", async (commitmentPolicy) => {
    for (const { id, version } of referenceSuites) {
      const policy = version === 2 ? "RequireEncryptRequireDecrypt" : "ForbidEncryptAllowDecrypt"
      const message = await encrypt(pattern(50), { keyring, commitmentPolicy: policy, suiteId: id, frameLength: 20 })
      for (const reader of readers) {
        const read = () => reader.read(message, { keyring, commitmentPolicy })
        if (version === 1 && commitmentPolicy === "RequireEncryptRequireDecrypt") {
          expect(await codeOf(read), reader.name).toBe("CommitmentPolicy")
        } else {
          expect(Buffer.from(await read()).equals(pattern(50)), reader.name).toBe(true)
        }
      }
    }
  })

  // MSG-1.4, MSG-8.1
  it("are asked before the keyring is", async () => {
    const message = await encrypt("x", { keyring, commitmentPolicy: "ForbidEncryptAllowDecrypt" })
    let asked = 0
    const counting = { ...keyring, unwrap: () => void asked++ as undefined }
    for (const reader of readers)
      expect(await codeOf(() => reader.read(message, { keyring: counting }))).toBe("CommitmentPolicy")
    expect(asked).toBe(0)
  })
})
