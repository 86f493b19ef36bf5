import { concatBytes, EnvelopeError } from "../../src/core/index.ts"
import { decodeHeader, resolveLimits } from "../../src/format/index.ts"
import {
  type DecryptOptions,
  decrypt,
  decryptStream,
  inspect,
  type MessageHandle,
  openMessage,
  reencrypt,
} from "../../src/index.ts"
import { readReference } from "../reference/read.ts"
import { reencodedHeader } from "../support/header.ts"
import type { Random } from "../support/random.ts"
import { randomChunks, run } from "../support/streams.ts"
import { type Original, POOL_READER_KEYS, poolKeyring } from "./pool.ts"

const OPTIONS: DecryptOptions = { keyring: poolKeyring, commitmentPolicy: "RequireEncryptAllowDecrypt" }
/** A case takes milliseconds; one that takes this long hangs. */
const HANG_MS = 20_000

function assert(condition: boolean, what: string): asserts condition {
  if (!condition) throw new Error(what)
}

const same = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0
const startsWith = (whole: Uint8Array, prefix: Uint8Array): boolean =>
  prefix.length <= whole.length && same(whole.subarray(0, prefix.length), prefix)

function checkError(error: unknown, where: string): void {
  if (error instanceof EnvelopeError) return
  throw new Error(`${where} threw ${(error as Error)?.stack ?? String(error)}`)
}

/**
 * Reads a mutated message in every way and checks that nothing comes out but the plaintext of an intact message, and
 * that only intact messages are accepted whole.
 */
export async function checkRules(bytes: Uint8Array, pool: readonly Original[], random: Random): Promise<void> {
  const intact = pool.find((original) => same(original.bytes, bytes))
  const header = checkHeader(bytes)
  // The plaintext that the header belongs to; nothing may come out under any other header.
  const owner = header && pool.find((original) => startsWith(original.bytes, header))
  checkOracle(bytes, intact)
  await withoutHanging(checkDecrypt(bytes, intact), "decrypt")
  await withoutHanging(checkStream(bytes, intact, owner, random), "decryptStream")
  await withoutHanging(checkSignedRefused(bytes, owner, random), "decryptStream without signatures")
  await withoutHanging(checkOpenMessage(bytes, intact, owner, random), "openMessage")
  if (random.chance(0.2)) await withoutHanging(checkReencrypt(bytes, intact, random), "reencrypt")
}

async function withoutHanging(work: Promise<void>, where: string): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const hang = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${where} hangs`)), HANG_MS)
  })
  try {
    await Promise.race([work, hang])
  } finally {
    clearTimeout(timer)
  }
}

/** inspect() and the codec. @returns the header's bytes, when they read */
function checkHeader(bytes: Uint8Array): Uint8Array | undefined {
  try {
    const { headerLength, authenticated } = inspect(bytes)
    assert(!authenticated, "inspect must not claim to have authenticated anything")
    const header = decodeHeader(bytes, resolveLimits({}))
    assert(typeof header !== "number" && header.length === headerLength, "inspect and the codec disagree")
    const original = bytes.subarray(0, header.length)
    assert(same(reencodedHeader(header), original), "the header does not re-encode to its bytes")
    return original
  } catch (error) {
    checkError(error, "inspect")
    return undefined
  }
}

function checkOracle(bytes: Uint8Array, intact: Original | undefined): void {
  let plaintext: Uint8Array | undefined
  try {
    plaintext = readReference(bytes, POOL_READER_KEYS).plaintext
  } catch {
    assert(intact === undefined, "the reference refuses an intact message")
    return
  }
  assert(intact !== undefined && same(plaintext, intact.plaintext), "the reference accepts a changed message")
}

async function checkDecrypt(bytes: Uint8Array, intact: Original | undefined): Promise<void> {
  let plaintext: Uint8Array
  try {
    plaintext = (await decrypt(bytes, OPTIONS)).plaintext
  } catch (error) {
    checkError(error, "decrypt")
    assert(intact === undefined, `decrypt refuses an intact message: ${(error as Error).message}`)
    return
  }
  assert(intact !== undefined, "decrypt accepts a changed message")
  assert(same(plaintext, intact.plaintext), "decrypt gives another plaintext")
}

async function checkStream(
  bytes: Uint8Array,
  intact: Original | undefined,
  owner: Original | undefined,
  random: Random,
): Promise<void> {
  const stream = decryptStream({ ...OPTIONS, signed: "verify-at-end" })
  const { output, error, ended } = await run(stream, randomChunks(bytes, random))
  assert(ended === (error === undefined), "the stream neither ended nor failed, or did both")
  if (error === undefined) {
    assert(intact !== undefined && same(output, intact.plaintext), "the stream accepts a changed message")
    return
  }
  checkError(error, "decryptStream")
  assert(intact === undefined, `the stream refuses an intact message: ${error.message}`)
  if (output.length === 0) return
  assert(owner !== undefined, "the stream released bytes under a changed header")
  assert(startsWith(owner.plaintext, output), "the stream released bytes that are no prefix of the plaintext")
  const verified = !owner.signed || startsWith(bytes, owner.bytes)
  const most = owner.plaintext.length - (verified ? 0 : owner.finalLength)
  assert(output.length <= most, "the stream released the final frame of a signed message that failed")
}

async function checkSignedRefused(bytes: Uint8Array, owner: Original | undefined, random: Random): Promise<void> {
  const { output, error } = await run(decryptStream(OPTIONS), randomChunks(bytes, random))
  if (error !== undefined) checkError(error, "decryptStream")
  assert(!owner?.signed || (output.length === 0 && error !== undefined), "a signed message was not refused")
}

async function checkOpenMessage(
  bytes: Uint8Array,
  intact: Original | undefined,
  owner: Original | undefined,
  random: Random,
): Promise<void> {
  const signed = random.pick(["verify-first", "skip-signature"] as const)
  let handle: MessageHandle
  try {
    handle = await openMessage(bytes, { ...OPTIONS, signed })
  } catch (error) {
    checkError(error, "openMessage")
    assert(intact === undefined, `openMessage refuses an intact message: ${(error as Error).message}`)
    return
  }
  assert(owner !== undefined, "openMessage opened a message with a changed header")
  const { plaintext } = owner
  assert(handle.plaintextLength === plaintext.length, "openMessage gives another length")
  try {
    if (signed === "verify-first") await handle.verify()
    const start = random.int(plaintext.length + 1)
    const end = start + random.int(plaintext.length - start + 1)
    const piece = await handle.read(start, end)
    assert(same(piece, plaintext.subarray(start, end)), "a range read gives other bytes")
    assert(same(await handle.read(), plaintext), "a whole read gives other bytes")
    const complete = signed === "verify-first" || !owner.signed
    assert(intact !== undefined || !complete, "openMessage read a changed message whole")
  } catch (error) {
    checkError(error, "a range read")
    assert(intact === undefined, `a range read refuses an intact message: ${(error as Error).message}`)
  } finally {
    await handle.close()
  }
}

async function checkReencrypt(bytes: Uint8Array, intact: Original | undefined, random: Random): Promise<void> {
  const from = { ...OPTIONS, signed: "verify-at-end" } as const
  const stream = reencrypt({ from, to: { keyring: poolKeyring, frameLength: 20, signed: false } })
  const { output, error, ended } = await run(stream, randomChunks(bytes, random))
  if (error !== undefined) {
    checkError(error, "reencrypt")
    assert(intact === undefined, `reencrypt refuses an intact message: ${error.message}`)
    try {
      readReference(output, POOL_READER_KEYS)
    } catch {
      return
    }
    throw new Error("reencrypt failed, but its output is a whole message")
  }
  assert(ended && intact !== undefined, "reencrypt accepts a changed message")
  const { plaintext } = readReference(output, POOL_READER_KEYS)
  assert(same(plaintext, intact.plaintext), "reencrypt changes the plaintext")
}

export const hex = (bytes: Uint8Array): string => Buffer.from(concatBytes([bytes])).toString("hex")
