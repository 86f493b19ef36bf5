import { describe, expect, it } from "vitest"
import type { CommitmentPolicy } from "../../src/core/index.ts"
import { encrypt, encryptStream } from "../../src/index.ts"
import { referenceSuites } from "../reference/suites.ts"
import { headerOf, reencodedHeader } from "../support/header.ts"
import {
  type OfficialRequest,
  officialDecrypt,
  officialEncrypt,
  ourKeyring,
  sharedAesKeys,
  sharedRsaKeys,
} from "../support/official.ts"
import { type Random, runSeed, seededCase } from "../support/random.ts"
import { randomContext, randomSizes } from "../support/random-messages.ts"
import { readers } from "../support/readers.ts"
import { randomChunks, through } from "../support/streams.ts"

/** Cases each way; `DIFFERENTIAL_CASES` sets another number, `TEST_SEED` the first seed. */
const CASES = Number(process.env.DIFFERENTIAL_CASES ?? 220)
const FRAME_LENGTHS = [1, 2, 15, 16, 17, 100, 1000, 4096, 65536]

interface Case extends OfficialRequest {
  readonly plaintext: Uint8Array
  readonly policies: { readonly write: CommitmentPolicy; readonly read: CommitmentPolicy }
}

function randomCase(random: Random): Case {
  const suite = random.pick(referenceSuites)
  const { frameLength, length } = randomSizes(random, FRAME_LENGTHS)
  const count = random.pick([1, 1, 1, 2, 3])
  const keys = Array.from({ length: count }, () => random.pick(random.chance(0.3) ? sharedRsaKeys : sharedAesKeys))
  return {
    suiteId: suite.id,
    frameLength,
    plaintext: random.bytes(length),
    encryptionContext: randomContext(random),
    keys,
    policies:
      suite.version === 2
        ? { write: "RequireEncryptRequireDecrypt", read: "RequireEncryptRequireDecrypt" }
        : { write: "ForbidEncryptAllowDecrypt", read: "RequireEncryptAllowDecrypt" },
  }
}

/** Runs the cases in turn, so that one worker never holds many messages. */
async function runCases(run: (input: Case, random: Random) => Promise<void>): Promise<void> {
  const first = runSeed()
  for (let i = 0; i < CASES; i++) await seededCase(first + i, (random) => run(randomCase(random), random))
}

const withoutPublicKey = ({ "aws-crypto-public-key": _, ...pairs }: Record<string, string>) => pairs

describe("Random messages between this library and the official JavaScript SDK", () => {
  it(`decrypts there what was encrypted here (${CASES} cases)`, { timeout: 600_000 }, () =>
    runCases(async (input, random) => {
      const { plaintext, keys, suiteId, frameLength, encryptionContext, policies } = input
      const options = {
        keyring: ourKeyring(keys),
        suiteId,
        frameLength,
        encryptionContext,
        commitmentPolicy: policies.write,
      }
      const message = random.chance(0.5)
        ? await encrypt(plaintext, options)
        : await through(encryptStream(options), randomChunks(plaintext, random))
      const decrypted = await officialDecrypt(message, { suiteId, keys: [random.pick(keys)] })
      expect(Buffer.from(decrypted.plaintext).equals(plaintext)).toBe(true)
      expect(withoutPublicKey({ ...decrypted.encryptionContext })).toEqual(encryptionContext)
    }),
  )

  it(`decrypts here what was encrypted there (${CASES} cases)`, { timeout: 600_000 }, () =>
    runCases(async (input, random) => {
      const { plaintext, keys, encryptionContext, policies } = input
      const message = await officialEncrypt(plaintext, input)
      const header = headerOf(message)
      expect(Buffer.from(reencodedHeader(header)).equals(message.subarray(0, header.length))).toBe(true)
      expect(withoutPublicKey({ ...header.encryptionContext })).toEqual(encryptionContext)
      for (const reader of [readers[0]!, random.pick(readers)]) {
        const keyring = ourKeyring([random.pick(keys)])
        const read = await reader.read(message, { keyring, encryptionContext, commitmentPolicy: policies.read })
        expect(Buffer.from(read).equals(plaintext), reader.name).toBe(true)
      }
    }),
  )
})
