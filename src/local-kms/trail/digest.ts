import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPair,
  type KeyObject,
  sign,
  verify,
} from "node:crypto"
import { promisify } from "node:util"
import { EnvelopeError } from "../../core/index.ts"
import { wipe } from "../../crypto/index.ts"
import type { Store, StoreReader, StoreTransaction } from "../store/store.ts"
import type { Vault } from "../vault.ts"
import { oldestEvent, type Trail } from "./append.ts"
import type { Problems } from "./problems.ts"
import { type EventRecord, eventKey, readHead, type TrailHead } from "./records.ts"
import { walk } from "./walk.ts"

/** AUD-4.2: what the trail held at a time. */
export interface Digest {
  readonly version: 1
  readonly storeId: string
  /** Consecutive, from 1. */
  readonly number: number
  /** UTC, whole seconds. The first digest begins with the first event, each other where the one before it ended. */
  readonly startTime: string
  readonly endTime: string
  /** The numbers of the events that are new since the digest before. */
  readonly firstEvent: number
  readonly lastEvent: number
  /** What authenticates the last event, and through it all before (AUD-1.2). */
  readonly mac: string
  /** Base64; `null` in the first. */
  readonly previousSignature: string | null
  /** Of the public key: the first 32 hexadecimal digits of the SHA-256 of its DER form (SubjectPublicKeyInfo). */
  readonly publicKeyFingerprint: string
}

/** Keep it where whoever may write the store may not. */
export interface SignedDigest {
  readonly digest: Digest
  /** AUD-4.3: RSASSA-PKCS1-v1_5 with SHA-256 of the digest's JSON text; base64. */
  readonly signature: string
}

/** The trail of a KMS that can seal and sign. */
export interface SigningTrail extends Trail {
  readonly vault: Vault
}

export interface SigningKey {
  readonly privateKey: KeyObject
  readonly publicKey: KeyObject
  readonly fingerprint: string
}

const DIGESTS = "digest/"
const SIGNING_KEY = "audit/signing-key"
const PURPOSE = "audit signing key"
const MODULUS_BITS = 2048

interface StoredSigningKey {
  /** PKCS #8, sealed. */
  readonly sealed: string
}

/** AUD-4.1: the store's key for digests, made when it is needed first. */
export async function signingKey(store: Store, vault: Vault): Promise<SigningKey> {
  const stored =
    store.read((reader) => reader.get<StoredSigningKey>(SIGNING_KEY)) ?? (await makeSigningKey(store, vault))
  const key = openSigningKey(vault, stored)
  if (key !== undefined) return key
  throw new EnvelopeError("KmsStore", "the KMS store is damaged: its audit signing key cannot be opened")
}

function openSigningKey(vault: Vault, { sealed }: StoredSigningKey): SigningKey | undefined {
  const secret = vault.open(PURPOSE, sealed)
  if (secret === undefined) return undefined
  try {
    const der = Buffer.from(secret.buffer, secret.byteOffset, secret.length)
    const privateKey = createPrivateKey({ key: der, format: "der", type: "pkcs8" })
    const publicKey = createPublicKey(privateKey)
    return { privateKey, publicKey, fingerprint: fingerprint(publicKey) }
  } finally {
    wipe(secret)
  }
}

async function makeSigningKey(store: Store, vault: Vault): Promise<StoredSigningKey> {
  const { privateKey } = await promisify(generateKeyPair)("rsa", { modulusLength: MODULUS_BITS })
  const secret = privateKey.export({ format: "der", type: "pkcs8" })
  const made: StoredSigningKey = { sealed: vault.seal(PURPOSE, secret) }
  wipe(secret)
  return store.transaction((tx) => {
    const other = tx.get<StoredSigningKey>(SIGNING_KEY)
    if (other === undefined) tx.put(SIGNING_KEY, made)
    return other ?? made
  })
}

/** AUD-4.1 */
const fingerprint = (publicKey: KeyObject): string =>
  createHash("sha256")
    .update(publicKey.export({ format: "der", type: "spki" }))
    .digest("hex")
    .slice(0, 32)

export interface DigestOptions {
  readonly storeId: string
  /** Milliseconds since 1970. */
  readonly now: number
}

/**
 * AUD-4.4: signs what has been added since the digest before, after checking it.
 *
 * @returns the newest digest; `undefined` while there is no event
 * @throws EnvelopeError `KmsStore` for a trail that was changed
 */
export async function signDigest(
  store: Store,
  trail: SigningTrail,
  options: DigestOptions,
): Promise<SignedDigest | undefined> {
  const { vault } = trail
  const key = await signingKey(store, vault)
  for (;;) {
    const before = store.read(newestDigest)
    const head = store.read(readHead)
    const first = Math.max(oldestEvent(head, trail), (before?.digest.lastEvent ?? 0) + 1)
    const last = head.next - 1
    if (last < first) return before
    await requireGenuine(store, vault, first, last)
    const signed = await store.transaction((tx) => {
      const newest = newestDigest(tx)
      // Another process was faster.
      if (newest?.signature !== before?.signature) return undefined
      return putDigest(tx, key, { ...options, first, last, before })
    })
    if (signed !== undefined) return signed
  }
}

/** @throws EnvelopeError `KmsStore` */
async function requireGenuine(store: Store, vault: Vault, first: number, last: number): Promise<void> {
  let next = first
  let mac = store.read((reader) => reader.get<EventRecord>(eventKey(first - 1))?.mac)
  for await (const { at, record, genuine } of walk(store, vault, first, last)) {
    const isNext = at === next && record.n === at && (mac === undefined || record.previous === mac)
    if (!genuine || !isNext) break
    mac = record.mac
    next++
  }
  if (next <= last) throw damagedTrail(next)
}

export const damagedTrail = (at: number): EnvelopeError =>
  new EnvelopeError("KmsStore", `the audit trail was changed at event ${at}: verify it to see what is wrong`)

interface NewDigest extends DigestOptions {
  readonly first: number
  readonly last: number
  readonly before: SignedDigest | undefined
}

function putDigest(
  tx: StoreTransaction,
  key: SigningKey,
  { storeId, now, first, last, before }: NewDigest,
): SignedDigest {
  const number = (before?.digest.number ?? 0) + 1
  const startTime = before?.digest.endTime ?? tx.get<EventRecord>(eventKey(first))!.event.eventTime
  // No two digests end in one second: delivered files are named after it.
  const end = Math.max(Math.floor(now / 1000), before === undefined ? 0 : Date.parse(before.digest.endTime) / 1000 + 1)
  const digest: Digest = {
    version: 1,
    storeId,
    number,
    startTime,
    endTime: `${new Date(end * 1000).toISOString().slice(0, 19)}Z`,
    firstEvent: first,
    lastEvent: last,
    mac: tx.get<EventRecord>(eventKey(last))!.mac,
    previousSignature: before?.signature ?? null,
    publicKeyFingerprint: key.fingerprint,
  }
  const signed: SignedDigest = { digest, signature: signText(key, JSON.stringify(digest)).toString("base64") }
  tx.put(digestKey(number), signed)
  return signed
}

/** AUD-4.3: RSASSA-PKCS1-v1_5 with SHA-256, which signs one text always in one way. */
export const signText = ({ privateKey }: SigningKey, text: string): Buffer =>
  sign("sha256", Buffer.from(text), privateKey)

export const isSigned = (publicKey: KeyObject, text: string, signature: Buffer): boolean =>
  verify("sha256", Buffer.from(text), publicKey, signature)

const digestKey = (number: number): string => `${DIGESTS}${String(number).padStart(16, "0")}`

export function newestDigest(reader: StoreReader): SignedDigest | undefined {
  const [newest] = reader.range<SignedDigest>(DIGESTS, { reverse: true, limit: 1 })
  return newest?.[1]
}

export const readDigest = (reader: StoreReader, number: number): SignedDigest | undefined =>
  reader.get<SignedDigest>(digestKey(number))

/**
 * AUD-3.5: holds the trail to its digests, and to one that was kept elsewhere.
 *
 * @returns the newest event that a sound digest covers
 */
export function checkDigests(
  store: Store,
  trail: SigningTrail,
  head: TrailHead,
  problems: Problems,
  kept: SignedDigest | undefined,
): number {
  return store.read((reader) => {
    const stored = reader.get<StoredSigningKey>(SIGNING_KEY)
    // Of the sealed private key, which nobody without the root key can replace.
    const publicKey = stored === undefined ? undefined : openSigningKey(trail.vault, stored)?.publicKey
    const oldest = oldestEvent(head, trail)
    let before: SignedDigest | undefined
    for (const [, signed] of reader.range<SignedDigest>(DIGESTS)) {
      checkDigest(reader, { head, oldest, problems, publicKey }, signed)
      const { number, previousSignature, firstEvent = 0, lastEvent = 0 } = signed.digest ?? {}
      if (previousSignature !== (before?.signature ?? null) || number !== (before?.digest?.number ?? 0) + 1)
        problems.add("digest", firstEvent, lastEvent, `the digest before digest ${number} is missing`)
      else if (firstEvent > (before?.digest.lastEvent ?? 0) + 1 && oldest === 1)
        problems.add("digest", firstEvent, lastEvent, `the digest ${number} leaves out the events before ${firstEvent}`)
      before = signed
    }
    if (kept !== undefined) checkDigest(reader, { head, oldest, problems, publicKey }, kept)
    return before?.digest?.lastEvent ?? 0
  })
}

interface DigestCheck {
  readonly head: TrailHead
  readonly oldest: number
  readonly problems: Problems
  readonly publicKey: KeyObject | undefined
}

function checkDigest(
  reader: StoreReader,
  { head, oldest, problems, publicKey }: DigestCheck,
  { digest, signature }: SignedDigest,
): void {
  const { firstEvent: first = 0, lastEvent: last = 0, number = 0 } = digest ?? {}
  const name = `the digest ${number}`
  const isOurs =
    publicKey !== undefined &&
    typeof signature === "string" &&
    isSigned(publicKey, JSON.stringify(digest ?? null), Buffer.from(signature, "base64"))
  if (!isOurs) {
    problems.add("digest", first, last, `${name} does not carry this store's signature`)
    return
  }
  // What is dropped on purpose can no longer be compared.
  if (last < oldest) return
  const mac = reader.get<EventRecord>(eventKey(last))?.mac
  if (mac === digest.mac) return
  if (last < head.next) problems.add("digest", last, last, `${name} tells of another event ${last}`)
  else problems.add("removed", head.next, last, `events up to ${last} were there when ${name} was signed`)
}
