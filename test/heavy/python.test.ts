import { generateKeyPairSync } from "node:crypto"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import type { CommitmentPolicy, EncryptionContext, Keyring } from "../../src/core/index.ts"
import { encrypt, encryptStream, inspect } from "../../src/index.ts"
import { multiKeyring, type RawRsaPadding, rawAesKeyring, rawRsaKeyring } from "../../src/keyrings/index.ts"
import { referenceSuites } from "../reference/suites.ts"
import { errorOf } from "../support/errors.ts"
import { headerOf, reencodedHeader } from "../support/header.ts"
import { counting, pattern } from "../support/keys.ts"
import { hasPython, type PythonKey, type PythonPeer, startPython } from "../support/python.ts"
import { type Random, runSeed, seededCase } from "../support/random.ts"
import { randomContext, randomSizes } from "../support/random-messages.ts"
import { readers } from "../support/readers.ts"
import { randomChunks, through } from "../support/streams.ts"

const CASES = Number(process.env.PYTHON_CASES ?? 150)
/** The Python SDK takes multiples of 128 only. */
const FRAME_LENGTHS = [128, 256, 1024, 4096]
const NAMESPACE = "both sides"
const name = "Messages between this library and the Python SDK, version 4"

/** One wrapping key that both sides have. */
interface SharedKey {
  readonly ours: Keyring
  readonly theirs: PythonKey
}

const aesKeys: SharedKey[] = [16, 24, 32].map((length) => {
  const [keyName, wrappingKey] = [`aes ${length * 8} ключ`, counting(length, length)]
  return {
    ours: rawAesKeyring({ keyNamespace: NAMESPACE, keyName, wrappingKey }),
    theirs: { type: "aes", namespace: NAMESPACE, name: keyName, key: Buffer.from(wrappingKey).toString("base64") },
  }
})

const rsaKeys: SharedKey[] = ["sha1", "sha256", "sha384", "sha512"].map((hash) => {
  const pair = generateKeyPairSync("rsa", {
    modulusLength: 2048,
    publicKeyEncoding: { type: "spki", format: "pem" },
    privateKeyEncoding: { type: "pkcs8", format: "pem" },
  })
  const keyName = `rsa ${hash}`
  const padding = `oaep-${hash}` as RawRsaPadding
  return {
    ours: rawRsaKeyring({ keyNamespace: NAMESPACE, keyName, ...pair, padding }),
    theirs: { type: "rsa", namespace: NAMESPACE, name: keyName, padding: `OAEP_${hash.toUpperCase()}_MGF1`, ...pair },
  }
})

const ourKeyring = ([first, ...rest]: readonly SharedKey[]): Keyring =>
  rest.length === 0 ? first!.ours : multiKeyring({ generator: first!.ours, children: rest.map(({ ours }) => ours) })

interface Case {
  readonly suiteId: number
  readonly frameLength: number
  readonly plaintext: Uint8Array
  readonly encryptionContext: EncryptionContext
  readonly requiredContextKeys: readonly string[]
  readonly keys: readonly SharedKey[]
  readonly writePolicy: CommitmentPolicy
}

function randomCase(random: Random): Case {
  const suite = random.pick(referenceSuites)
  const { frameLength, length } = randomSizes(random, FRAME_LENGTHS)
  const encryptionContext = randomContext(random)
  const required = random.chance(0.4) ? Object.keys(encryptionContext).filter(() => random.chance(0.5)) : []
  const count = random.pick([1, 1, 2, 3])
  return {
    suiteId: suite.id,
    frameLength,
    plaintext: random.bytes(length),
    encryptionContext,
    requiredContextKeys: required,
    keys: Array.from({ length: count }, () => random.pick(random.chance(0.3) ? rsaKeys : aesKeys)),
    writePolicy: suite.version === 2 ? "RequireEncryptRequireDecrypt" : "ForbidEncryptAllowDecrypt",
  }
}

const suite = hasPython ? describe : describe.skip
suite(hasPython ? name : `${name} (skipped: run scripts/install-python.sh .cache/python first)`, () => {
  let python: PythonPeer
  beforeAll(() => {
    python = startPython()
  })
  afterAll(() => python.close())

  const theirs = (input: Case) => ({ ...input, keys: input.keys.map((key) => key.theirs) })

  it(`are decrypted there when they were encrypted here (${CASES} cases)`, async () => {
    const first = runSeed()
    for (let i = 0; i < CASES; i++) {
      await seededCase(first + i, async (random) => {
        const input = randomCase(random)
        const options = { ...input, keyring: ourKeyring(input.keys), commitmentPolicy: input.writePolicy }
        const message = random.chance(0.5)
          ? await encrypt(input.plaintext, options)
          : await through(encryptStream(options), randomChunks(input.plaintext, random))
        const request = { ...theirs({ ...input, keys: [random.pick(input.keys)] }), stream: random.chance(0.5) }
        const plaintext = await python.run({ ...request, mode: "d", input: message })
        expect(Buffer.from(plaintext).equals(input.plaintext)).toBe(true)
      })
    }
  })

  it(`are decrypted here when they were encrypted there (${CASES} cases)`, async () => {
    const first = runSeed()
    for (let i = 0; i < CASES; i++) {
      await seededCase(first + i, async (random) => {
        const input = randomCase(random)
        const frameLength = random.chance(0.2) ? 0 : input.frameLength
        const request = { ...theirs(input), frameLength, stream: random.chance(0.5) }
        const message = await python.run({ ...request, mode: "e", input: input.plaintext })
        const header = headerOf(message)
        expect(Buffer.from(reencodedHeader(header)).equals(message.subarray(0, header.length))).toBe(true)
        expect(header.contentType).toBe(frameLength === 0 ? "non-framed" : "framed")
        const { encryptionContext, requiredContextKeys } = input
        for (const reader of [readers[0]!, random.pick(readers)]) {
          const keyring = ourKeyring([random.pick(input.keys)])
          const commitmentPolicy = "RequireEncryptAllowDecrypt"
          const read = await reader.read(message, { keyring, encryptionContext, requiredContextKeys, commitmentPolicy })
          expect(Buffer.from(read).equals(input.plaintext), reader.name).toBe(true)
        }
      })
    }
  })

  it("with required context are refused on both sides without it", async () => {
    const encryptionContext = { tenant: "42", purpose: "test" }
    const base = {
      suiteId: 0x0478,
      frameLength: 128,
      plaintext: pattern(250),
      encryptionContext,
      requiredContextKeys: ["tenant"],
      keys: [aesKeys[2]!],
      writePolicy: "RequireEncryptRequireDecrypt" as const,
    }
    const request = { ...theirs(base), stream: false }
    const written = {
      here: await encrypt(base.plaintext, { ...base, keyring: ourKeyring(base.keys) }),
      there: await python.run({ ...request, mode: "e", input: base.plaintext }),
    }
    for (const message of Object.values(written)) {
      expect(Object.keys(inspect(message).encryptionContext)).toEqual(["purpose"])
      for (const context of [{}, { tenant: "43" }]) {
        const wrong = { encryptionContext: context, requiredContextKeys: Object.keys(context) }
        const keyring = ourKeyring(base.keys)
        expect(await errorOf(() => readers[0]!.read(message, { keyring, ...wrong }))).toMatchObject({
          code: "UnwrapFailed",
        })
        const there = { ...request, ...wrong, requiredContextKeys: [], mode: "d" as const, input: message }
        expect((await errorOf(() => python.run(there))).message).toMatch(/^Python: /)
      }
    }
  })

  it("of a megabyte pass both ways", async () => {
    const plaintext = pattern(1_000_001)
    for (const suiteId of [0x0478, 0x0578]) {
      const base = {
        suiteId,
        frameLength: 65536,
        plaintext,
        encryptionContext: {},
        requiredContextKeys: [],
        keys: [aesKeys[2]!],
        writePolicy: "RequireEncryptRequireDecrypt" as const,
      }
      const request = { ...theirs(base), stream: true }
      const keyring = ourKeyring(base.keys)
      const message = await encrypt(plaintext, { keyring, suiteId })
      expect(Buffer.compare(await python.run({ ...request, mode: "d", input: message }), plaintext)).toBe(0)
      const there = await python.run({ ...request, mode: "e", input: plaintext })
      expect(Buffer.compare(await readers[1]!.read(there, { keyring }), plaintext)).toBe(0)
    }
  })
})
