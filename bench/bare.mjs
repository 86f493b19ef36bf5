/**
 * The named bare loops: what `node:crypto` allows when nothing is checked, parsed or laid out.
 *
 * - "primitives": what a small message cannot do without, with randomness taken from a pool.
 * - "createCipheriv", "createDecipheriv": one contiguous output of the caller, frames of 256 KiB, the event loop free
 *   after each megabyte.
 * - "WebCrypto": the same, some frames at once on libuv's threads.
 */
import { createCipheriv, createDecipheriv, createHmac, randomBytes, randomFillSync, webcrypto } from "node:crypto"
import { setImmediate } from "node:timers/promises"
import { KiB, MiB } from "./harness.mjs"

const CIPHER = "aes-256-gcm"
const IV = 12
const TAG = 16
const tagOption = { authTagLength: TAG }
const commitInfo = Buffer.from("COMMITKEY\u0001")
const deriveInfo = Buffer.from("\u0004\u0078DERIVEKEY\u0001", "latin1")
/** As long as the context of the benchmarks in the message, and as a header with one wrapped key. */
const contextBytes = Buffer.alloc(36)
const headerBytes = Buffer.alloc(220)
const frameAad = Buffer.alloc(60)

const pool = Buffer.alloc(4096)
let taken = pool.length
function random(length) {
  if (taken + length > pool.length) {
    randomFillSync(pool)
    taken = 0
  }
  taken += length
  return pool.subarray(taken - length, taken)
}

const hmac = (key, bytes) => createHmac("sha512", key).update(bytes).digest()

function seal(key, iv, aad, plaintext) {
  const cipher = createCipheriv(CIPHER, key, iv, tagOption)
  cipher.setAAD(aad)
  const ciphertext = plaintext === undefined ? undefined : cipher.update(plaintext)
  cipher.final()
  return { ciphertext, tag: cipher.getAuthTag() }
}

function open(key, iv, aad, { ciphertext, tag }) {
  const decipher = createDecipheriv(CIPHER, key, iv, tagOption)
  decipher.setAAD(aad)
  decipher.setAuthTag(tag)
  const plaintext = ciphertext === undefined ? undefined : decipher.update(ciphertext)
  decipher.final()
  return plaintext
}

function messageKeys(dataKey, messageId) {
  const pseudorandomKey = hmac(messageId, dataKey)
  return { commitment: hmac(pseudorandomKey, commitInfo), key: hmac(pseudorandomKey, deriveInfo).subarray(0, 32) }
}

const zeroIv = Buffer.alloc(IV)
const firstIv = Buffer.alloc(IV)
firstIv[IV - 1] = 1

/** @returns one call of each primitive that encrypting and decrypting a message of one frame takes */
export function primitives(plaintext, wrappingKey, { cached }) {
  const sharedKey = randomBytes(32)
  const encrypt = () => {
    const dataKey = cached ? sharedKey : random(32)
    const wrapIv = cached ? undefined : random(IV)
    const wrapped = cached ? undefined : seal(wrappingKey, wrapIv, contextBytes, dataKey)
    const messageId = random(32)
    const { key, commitment } = messageKeys(dataKey, messageId)
    const header = seal(key, zeroIv, headerBytes)
    const frame = seal(key, firstIv, frameAad, plaintext)
    return { wrapped, wrapIv, messageId, commitment, header, frame }
  }
  const written = encrypt()
  // The pool is filled anew, so what decryption needs of it is kept.
  const message = { ...written, wrapIv: written.wrapIv && Buffer.from(written.wrapIv) }
  message.messageId = Buffer.from(written.messageId)
  const decrypt = () => {
    const dataKey = cached ? sharedKey : open(wrappingKey, message.wrapIv, contextBytes, message.wrapped)
    const { key } = messageKeys(dataKey, message.messageId)
    open(key, zeroIv, headerBytes, message.header)
    return open(key, firstIv, frameAad, message.frame)
  }
  return { encrypt, decrypt }
}

export const FRAME = 256 * KiB
const FRAMES_AT_ONCE = MiB / FRAME
export const SEALED = FRAME + TAG

function ivOf(index) {
  const iv = Buffer.alloc(IV)
  iv.writeUInt32BE(index + 1, 8)
  return iv
}

/** The same in every thread. */
const key = Buffer.alloc(32, 5)
const frames = (length) => Math.ceil(length / FRAME)
export const sealedLength = (length) => length + frames(length) * TAG

async function inSlices(count, work) {
  for (let index = 0; index < count; index++) {
    if (index > 0 && index % FRAMES_AT_ONCE === 0) await setImmediate()
    work(index)
  }
}

const closedPort = new MessageChannel().port1
closedPort.close()
function detach({ buffer }) {
  if (buffer.transfer === undefined) closedPort.postMessage(undefined, [buffer])
  else buffer.transfer(0)
}

/** How each temporary's memory is given back: by the collector, or detached at once. */
const ways = { "left to the collector": () => {}, "freed at once": detach }

/** @returns bytes written to `out` at `at` */
export function sealFrame(index, plaintext, out, at, release = detach) {
  const { ciphertext, tag } = seal(key, ivOf(index), frameAad, plaintext)
  const { length } = ciphertext
  out.set(ciphertext, at)
  out.set(tag, at + length)
  release(ciphertext)
  return length + TAG
}

/** @returns bytes written to `out` at `at` */
export function openFrame(index, frame, out, at, release = detach) {
  const end = frame.length - TAG
  const plaintext = open(key, ivOf(index), frameAad, { ciphertext: frame.subarray(0, end), tag: frame.subarray(end) })
  const { length } = plaintext
  out.set(plaintext, at)
  release(plaintext)
  return length
}

const sealLoop = (release) => (plaintext, out) =>
  inSlices(frames(plaintext.length), (index) => {
    sealFrame(index, plaintext.subarray(index * FRAME, (index + 1) * FRAME), out, index * SEALED, release)
  })

const openLoop = (release) => (sealed, out) =>
  inSlices(Math.ceil(sealed.length / SEALED), (index) => {
    openFrame(index, sealed.subarray(index * SEALED, (index + 1) * SEALED), out, index * FRAME, release)
  })

/** @param direction `encrypt` or `decrypt` */
const webCryptoLoop = (direction, inFlight) => async (from, out) => {
  const imported = await webcrypto.subtle.importKey("raw", key, "AES-GCM", false, [direction])
  const [step, outStep] = direction === "encrypt" ? [FRAME, SEALED] : [SEALED, FRAME]
  const count = Math.ceil(from.length / step)
  let next = 0
  const lane = async () => {
    while (next < count) {
      const index = next++
      const parameters = { name: "AES-GCM", iv: ivOf(index), additionalData: frameAad }
      const bytes = from.subarray(index * step, (index + 1) * step)
      const result = new Uint8Array(await webcrypto.subtle[direction](parameters, imported, bytes))
      out.set(result, index * outStep)
      detach(result)
    }
  }
  await Promise.all(Array.from({ length: inFlight }, lane))
}

/** Loops of one thread from `from` into `out`, by name. */
export const sealLoops = Object.fromEntries(
  Object.entries(ways).map(([way, release]) => [`createCipheriv, ${way}`, sealLoop(release)]),
)
export const openLoops = Object.fromEntries(
  Object.entries(ways).map(([way, release]) => [`createDecipheriv, ${way}`, openLoop(release)]),
)

/** Loops over libuv's threads. */
export const webCryptoLoops = (direction) =>
  Object.fromEntries(
    [4, 8].map((inFlight) => [`WebCrypto, ${inFlight} frames at once`, webCryptoLoop(direction, inFlight)]),
  )
