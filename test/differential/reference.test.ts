import { describe, expect, it } from "vitest"
import { decrypt, encrypt } from "../../src/index.ts"
import { multiKeyring, rawAesKeyring } from "../../src/keyrings/index.ts"
import { readReference } from "../reference/read.ts"
import { referenceSuites } from "../reference/suites.ts"
import { writeReference } from "../reference/write.ts"
import { counting } from "../support/keys.ts"
import { runSeed, seededCase } from "../support/random.ts"
import { randomContext, randomSizes } from "../support/random-messages.ts"
import { readers } from "../support/readers.ts"

const CASES = Number(process.env.DIFFERENTIAL_CASES ?? 200)
const wrapUnder = [16, 24, 32].map((bytes) => ({ namespace: "tests", name: `aes ${bytes}`, key: counting(bytes) }))
const keyrings = wrapUnder.map(({ namespace, name, key }) =>
  rawAesKeyring({ keyNamespace: namespace, keyName: name, wrappingKey: key }),
)

describe("Random messages between this library and the reference implementation of the tests", () => {
  it(`both read what either writes, required context included (${CASES} cases)`, async () => {
    const first = runSeed()
    for (let i = 0; i < CASES; i++) {
      await seededCase(first + i, async (random) => {
        const suite = random.pick(referenceSuites)
        const { frameLength, length } = randomSizes(random, [1, 16, 100, 1000])
        const plaintext = random.bytes(length)
        const encryptionContext = randomContext(random)
        const pairs = Object.entries(encryptionContext)
        const unstored = pairs.filter(() => random.chance(0.3))
        const requiredContextKeys = unstored.map(([key]) => key)

        const message = await encrypt(plaintext, {
          keyring: multiKeyring({ generator: keyrings[0]!, children: keyrings.slice(1) }),
          suiteId: suite.id,
          commitmentPolicy: suite.version === 1 ? "ForbidEncryptAllowDecrypt" : "RequireEncryptRequireDecrypt",
          frameLength,
          encryptionContext,
          requiredContextKeys,
        })
        const theirs = readReference(message, [random.pick(wrapUnder)], unstored)
        expect(theirs.plaintext.equals(plaintext)).toBe(true)

        const written = writeReference({
          suiteId: suite.id,
          plaintext,
          frameLength: random.chance(0.3) ? 0 : frameLength,
          wrapUnder,
          context: pairs.filter((pair) => !unstored.includes(pair)),
          unstored,
          emptyFinalFrame: random.chance(0.5),
          randomHeaderIv: random.chance(0.5),
        })
        const options = {
          keyring: random.pick(keyrings),
          encryptionContext,
          requiredContextKeys,
          commitmentPolicy: "RequireEncryptAllowDecrypt",
        } as const
        const ours = await random.pick(readers).read(written.bytes, options)
        expect(Buffer.from(ours).equals(plaintext)).toBe(true)
        const { encryptionContext: full } = await decrypt(written.bytes, options)
        expect(full).toMatchObject(encryptionContext)
      })
    }
  })
})
