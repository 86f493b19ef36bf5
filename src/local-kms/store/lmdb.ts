import { chmod, mkdir } from "node:fs/promises"
import { join } from "node:path"
import { setTimeout as delay } from "node:timers/promises"
import { EnvelopeError } from "../../core/index.ts"
import { checkDataFile } from "./data-file.ts"
import {
  type RangeOptions,
  type RawStore,
  type Store,
  type StoredValue,
  type StoreTransaction,
  undoable,
} from "./store.ts"

const DATA_FILE = "data.mdb"
const LOCK_FILE = "lock.mdb"

type Database = import("lmdb").RootDatabase<StoredValue, string>
type AsBinary = typeof import("lmdb").asBinary

/**
 * A durable store in a folder, which several processes may have open at once. A transaction is acknowledged after
 * LMDB has synchronised it to disk; transactions that arrive during a commit share the next one.
 *
 * @throws EnvelopeError `KmsStore` when lmdb is not installed or the files are not a sound LMDB environment
 */
export async function lmdbStore(dir: string): Promise<Store> {
  await makeFolder(dir)
  const dataFile = join(dir, DATA_FILE)
  await checkDataFile(dataFile)
  const { open, asBinary } = await loadLmdb()
  let database: Database
  try {
    database = open<StoredValue, string>({
      path: dir,
      encoding: "json",
      // KMS-3.9: a commit includes its sync to disk, so that what is acknowledged survives a power loss.
      overlappingSync: false,
      // With batches by event turn a failed commit also rejects a promise that nobody holds, which ends the process.
      eventTurnBatching: false,
    })
    await Promise.all([makePrivate(dataFile), makePrivate(join(dir, LOCK_FILE))])
  } catch (cause) {
    throw new EnvelopeError("KmsStore", `the KMS store in ${dir} cannot be opened`, { cause })
  }
  return storeOver(database, asBinary)
}

async function makeFolder(dir: string): Promise<void> {
  try {
    await mkdir(dir, { recursive: true, mode: 0o700 })
  } catch (cause) {
    throw new EnvelopeError("KmsStore", `the folder ${dir} cannot be made`, { cause })
  }
}

/** A file of another owner stays as its owner made it. */
const makePrivate = (path: string): Promise<void> => chmod(path, 0o600).catch(() => {})

async function loadLmdb(): Promise<typeof import("lmdb")> {
  try {
    return await import("lmdb")
  } catch (cause) {
    throw new EnvelopeError("KmsStore", "a durable KMS store needs the package lmdb: npm install lmdb", { cause })
  }
}

type Outcome<T> = { readonly value: T } | { readonly error: unknown }

function storeOver(database: Database, asBinary: AsBinary): Store {
  const raw = rawDatabase(database, asBinary)
  return {
    async transaction<T>(work: (transaction: StoreTransaction) => T): Promise<T> {
      // An exception must not leave the callback: LMDB would commit what was written before it.
      const outcome = await commit(database, (): Outcome<T> => {
        const transaction = undoable(raw)
        try {
          return { value: transaction.attempt(() => work(transaction)) }
        } catch (error) {
          return { error }
        }
      })
      if ("error" in outcome) throw outcome.error
      return outcome.value
    },
    read(work) {
      // Reads of one event turn share one snapshot; this lets go of an older one first.
      database.resetReadTxn()
      return work(raw)
    },
    close: () => database.close(),
  }
}

async function commit<T>(database: Database, work: () => T): Promise<T> {
  try {
    return await database.transaction(work)
  } catch (error) {
    throw new EnvelopeError("KmsStore", "the KMS store cannot be written", { cause: await commitFailure(error) })
  }
}

/** What lmdb's error says: the reason comes as a promise of its own, such as a full disk; it may never settle. */
async function commitFailure(error: unknown): Promise<unknown> {
  const { commitError } = error as { readonly commitError?: Promise<never> }
  if (commitError === undefined) return error
  const reason = commitError.catch((cause: unknown) => cause)
  return Promise.race([reason, delay(100, error)])
}

function rawDatabase(database: Database, asBinary: AsBinary): RawStore {
  return {
    get: <T extends StoredValue>(key: string) => database.get(key) as T | undefined,
    put(key, value) {
      void database.put(key, value)
    },
    putJson(key, json) {
      void database.put(key, asBinary(Buffer.from(json)) as unknown as StoredValue)
    },
    remove(key) {
      void database.remove(key)
    },
    *range<T extends StoredValue>(prefix: string, options: RangeOptions = {}): Generator<readonly [string, T]> {
      const { limit, reverse = false, after } = options
      const first = prefix
      // The highest ASCII byte ends the prefix: no key holds it.
      const last = `${prefix}\u{7f}`
      const bounds = reverse ? { start: after ?? last, end: first } : { start: after ?? first, end: last }
      const entries = database.getRange({ ...bounds, reverse, exclusiveStart: after !== undefined })
      let count = 0
      for (const { key, value } of entries) {
        if (limit !== undefined && count >= limit) return
        if (key === after || !key.startsWith(prefix)) continue
        count++
        yield [key, value as T]
      }
    },
  }
}
