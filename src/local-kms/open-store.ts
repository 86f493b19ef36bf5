import { randomUUID } from "node:crypto"
import { join } from "node:path"
import { EnvelopeError, utf8 } from "../core/index.ts"
import {
  createRootKeyFile,
  deriveRootKey,
  newScryptParameters,
  readRootKeyFile,
  type ScryptParameters,
} from "./root-key.ts"
import { lmdbStore } from "./store/lmdb.ts"
import type { Store } from "./store/store.ts"
import { createVault, type Vault } from "./vault.ts"

const META = "meta/store"
const FORMAT = "kms-envelope local-kms"
const VERSION = 1
const ROOT_KEY_FILE = "root.key"
const CHECK_PURPOSE = "check"

/** KMS-3.2: the first record of a store. */
interface Meta {
  readonly format: string
  readonly version: number
  readonly storeId: string
  /** Absent when the root key is in a file. */
  readonly scrypt?: ScryptParameters
  /** A known text sealed under the root key, which tells whether the right one was given. */
  readonly check: string
}

export interface RootKeyOptions {
  readonly passphrase?: string | Uint8Array
  readonly rootKeyFile?: string
}

export interface OpenedStore {
  readonly store: Store
  readonly vault: Vault
  readonly storeId: string
}

/** @throws EnvelopeError `KmsStore` for a wrong root key, a newer version, or a damaged store */
export async function openStore(dir: string, options: RootKeyOptions): Promise<OpenedStore> {
  if (options.passphrase !== undefined && options.rootKeyFile !== undefined)
    throw new TypeError("give either passphrase or rootKeyFile, not both")
  if (options.passphrase !== undefined && options.passphrase.length === 0)
    throw new TypeError("passphrase must not be empty")
  const store = await lmdbStore(dir)
  try {
    const meta = readMeta(store) ?? (await initialise(store, dir, options))
    return { store, vault: await unlock(meta, dir, options), storeId: meta.storeId }
  } catch (error) {
    await store.close()
    throw error
  }
}

function readMeta(store: Store): Meta | undefined {
  let meta: Meta | undefined
  try {
    meta = store.read((reader) => reader.get<Meta>(META))
  } catch (cause) {
    throw new EnvelopeError("KmsStore", "the KMS store is damaged: its first record cannot be read", { cause })
  }
  if (meta === undefined) return undefined
  if (meta.format !== FORMAT) throw new EnvelopeError("KmsStore", "the folder holds no KMS store of this library")
  if (meta.version > VERSION)
    throw new EnvelopeError(
      "KmsStore",
      `the KMS store has version ${meta.version}, this library reads up to ${VERSION}: use a newer kms-envelope`,
    )
  return meta
}

/** Writes the first record, unless another process was faster. */
async function initialise(store: Store, dir: string, options: RootKeyOptions): Promise<Meta> {
  const scrypt = options.passphrase === undefined ? undefined : newScryptParameters()
  if (scrypt === undefined) await createRootKeyFile(keyFile(dir, options))
  const storeId = randomUUID()
  const vault = createVault(await rootKey({ scrypt }, dir, options), storeId)
  const check = vault.seal(CHECK_PURPOSE, utf8(storeId))
  vault.close()
  const meta: Meta = { format: FORMAT, version: VERSION, storeId, check, ...(scrypt === undefined ? {} : { scrypt }) }
  await store.transaction((tx) => {
    if (tx.get(META) === undefined) tx.put(META, meta)
  })
  return readMeta(store)!
}

async function unlock(meta: Meta, dir: string, options: RootKeyOptions): Promise<Vault> {
  const vault = createVault(await rootKey(meta, dir, options), meta.storeId)
  if (vault.open(CHECK_PURPOSE, meta.check) !== undefined) return vault
  vault.close()
  const what = meta.scrypt === undefined ? "the root key file does not belong to this KMS store" : "wrong passphrase"
  throw new EnvelopeError("KmsStore", what)
}

async function rootKey(
  meta: { readonly scrypt?: ScryptParameters | undefined },
  dir: string,
  options: RootKeyOptions,
): Promise<Uint8Array> {
  if (meta.scrypt !== undefined) {
    if (options.passphrase === undefined) throw new EnvelopeError("KmsStore", "the KMS store needs its passphrase")
    return deriveRootKey(options.passphrase, meta.scrypt)
  }
  if (options.passphrase !== undefined)
    throw new EnvelopeError("KmsStore", "the KMS store has a root key file, not a passphrase")
  const path = keyFile(dir, options)
  const key = await readRootKeyFile(path)
  if (key === undefined)
    throw new EnvelopeError("KmsStore", `the root key file ${path} is missing: without it the store cannot be read`)
  return key
}

const keyFile = (dir: string, options: RootKeyOptions): string => options.rootKeyFile ?? join(dir, ROOT_KEY_FILE)
