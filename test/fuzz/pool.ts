import { encrypt } from "../../src/index.ts"
import { multiKeyring, rawAesKeyring } from "../../src/keyrings/index.ts"
import { type RawAesKey, writeReference } from "../reference/write.ts"
import { headerOf } from "../support/header.ts"
import { counting } from "../support/keys.ts"
import type { Random } from "../support/random.ts"

/** An intact message that mutations start from. */
export interface Original {
  readonly name: string
  readonly bytes: Uint8Array
  readonly plaintext: Uint8Array
  readonly signed: boolean
  /** Bytes of plaintext in its last frame. */
  readonly finalLength: number
  /** Where header, each frame and footer start, and the length. */
  readonly marks: readonly number[]
}

export const POOL_KEYS: readonly RawAesKey[] = ["one", "two", "three"].map((name, i) => ({
  namespace: "fuzz",
  name,
  key: counting(32, 10 * i),
}))
const keyrings = POOL_KEYS.map(({ namespace, name, key }) =>
  rawAesKeyring({ keyNamespace: namespace, keyName: name, wrappingKey: key }),
)
/** All messages are wrapped under key two at least. */
export const poolKeyring = keyrings[1]!
export const POOL_READER_KEYS = [POOL_KEYS[1]!]

const SUITES = [0x0014, 0x0178, 0x0214, 0x0378, 0x0478, 0x0478, 0x0578]
const LAYOUTS = [
  { name: "non-framed", frameLength: 0, length: 40 },
  { name: "non-framed and empty", frameLength: 0, length: 0 },
  { name: "four frames", frameLength: 16, length: 60 },
  { name: "full last frame", frameLength: 16, length: 48 },
  { name: "empty last frame", frameLength: 16, length: 48, emptyFinalFrame: true },
  { name: "one frame", frameLength: 4096, length: 50 },
  { name: "empty", frameLength: 4096, length: 0 },
]

/** Messages of every kind, by both writers, under the same wrapping keys. */
export async function buildPool(random: Random): Promise<readonly Original[]> {
  const pool: Original[] = []
  for (const suiteId of SUITES) {
    for (const layout of LAYOUTS) {
      const plaintext = random.bytes(layout.length)
      const wrapUnder = random.chance(0.5) ? POOL_READER_KEYS : POOL_KEYS
      const context: [string, string][] = random.chance(0.5)
        ? [
            ["tenant", "42"],
            ["ü", ""],
          ]
        : []
      const { bytes, marks } = writeReference({ ...layout, suiteId, plaintext, wrapUnder, context })
      pool.push(toOriginal(`reference, ${layout.name}`, bytes, plaintext, marks))
      if (layout.frameLength > 0) pool.push(await ownMessage(suiteId, layout, random))
    }
  }
  return pool
}

async function ownMessage(suiteId: number, layout: (typeof LAYOUTS)[number], random: Random): Promise<Original> {
  const plaintext = random.bytes(layout.length)
  const bytes = await encrypt(plaintext, {
    keyring: random.chance(0.5) ? poolKeyring : multiKeyring({ generator: keyrings[0]!, children: keyrings.slice(1) }),
    suiteId,
    commitmentPolicy: suiteId < 0x0400 ? "ForbidEncryptAllowDecrypt" : "RequireEncryptRequireDecrypt",
    frameLength: layout.frameLength,
    encryptionContext: random.chance(0.5) ? { a: "1" } : {},
  })
  const marks = [0, headerOf(bytes).length]
  const regular = Math.max(0, Math.ceil(plaintext.length / layout.frameLength) - 1)
  const add = (length: number) => marks.push(marks[marks.length - 1]! + length)
  for (let i = 0; i < regular; i++) add(layout.frameLength + 32)
  add(plaintext.length - regular * layout.frameLength + 40)
  if (marks[marks.length - 1]! < bytes.length) marks.push(bytes.length)
  return toOriginal(`own, ${layout.name}`, bytes, plaintext, marks)
}

function toOriginal(name: string, bytes: Uint8Array, plaintext: Uint8Array, marks: readonly number[]): Original {
  const { suite, frameLength } = headerOf(bytes)
  const frames = marks.length - (suite.signed ? 3 : 2)
  const finalLength = frameLength === 0 ? plaintext.length : plaintext.length - (frames - 1) * frameLength
  return { name: `${name}, suite ${suite.id.toString(16)}`, bytes, plaintext, signed: suite.signed, finalLength, marks }
}
