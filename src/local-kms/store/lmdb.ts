import { chmod, mkdir, open, readdir, rename, rm } from "node:fs/promises"
import { join } from "node:path"
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
 * LMDB has synchronised it to disk; transactions that arrive in one turn of the event loop share a commit.
 *
 * @throws EnvelopeError `KmsStore` when lmdb is not installed or the files are not a sound LMDB environment
 */
export async function lmdbStore(dir: string): Promise<Store> {
  await makeFolder(dir)
  const dataFile = join(dir, DATA_FILE)
  await checkDataFile(dataFile)
  const lmdb = await loadLmdb()
  let database: Database
  try {
    database = lmdb.open<StoredValue, string>({
      path: dir,
      // It is a folder, whatever its name looks like.
      noSubdir: false,
      encoding: "json",
      // KMS-3.9: a commit includes its sync to disk, so that what is acknowledged survives a power loss.
      overlappingSync: false,
      // Nothing is left to lmdb's own batches: each commit is made below.
      eventTurnBatching: false,
    })
    await Promise.all([makePrivate(dataFile), makePrivate(join(dir, LOCK_FILE))])
  } catch (cause) {
    throw new EnvelopeError("KmsStore", `the KMS store in ${dir} cannot be opened`, { cause })
  }
  return storeOver(database, lmdb.asBinary)
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

/** One transaction that waits for the commit which it shares with others. */
interface Waiting {
  readonly work: (transaction: StoreTransaction) => unknown
  /** Told after the commit. */
  readonly settle: () => void
  readonly reject: (error: unknown) => void
}

function storeOver(database: Database, asBinary: AsBinary): Store {
  const raw = rawDatabase(database, asBinary)
  let waiting: Waiting[] = []
  /** KMS-3.9: what arrived in one turn of the event loop is one commit, made here and now: no thread takes over. */
  const commit = (): void => {
    const batch = waiting
    waiting = []
    try {
      database.transactionSync(() => {
        for (const { work } of batch) work(undoable(raw))
      })
    } catch (cause) {
      const error = new EnvelopeError("KmsStore", "the KMS store cannot be written", { cause })
      for (const { reject } of batch) reject(error)
      return
    }
    for (const { settle } of batch) settle()
  }
  return {
    transaction<T>(work: (transaction: StoreTransaction) => T): Promise<T> {
      return new Promise((resolve, reject) => {
        let settle = (): void => {}
        if (waiting.length === 0) setImmediate(commit)
        waiting.push({
          // An exception must not leave the callback: it concerns this transaction and not those that share the commit.
          work(transaction) {
            try {
              const value = transaction.attempt(() => work(transaction))
              settle = () => resolve(value)
            } catch (error) {
              settle = () => reject(error)
            }
          },
          settle: () => settle(),
          reject,
        })
      })
    },
    read(work) {
      // Reads of one event turn share one snapshot; this lets go of an older one first.
      database.resetReadTxn()
      return work(raw)
    },
    async backup(target) {
      if (waiting.length > 0) commit()
      await copyTo(database, target)
    },
    async close() {
      if (waiting.length > 0) commit()
      await database.close()
    },
  }
}

/** Copies one consistent state while others go on writing; the folder has the data only when all of it is on disk. */
async function copyTo(database: Database, target: string): Promise<void> {
  await makeFolder(target)
  if ((await readdir(target)).length > 0)
    throw new EnvelopeError("KmsStore", `the folder ${target} is not empty: a backup takes a new one`)
  const partial = join(target, ".partial")
  try {
    await mkdir(partial, { mode: 0o700 })
    await database.backup(partial, false)
    const copy = await open(join(partial, DATA_FILE), "r+")
    try {
      await copy.chmod(0o600)
      await copy.sync()
    } finally {
      await copy.close()
    }
    await rename(join(partial, DATA_FILE), join(target, DATA_FILE))
  } catch (cause) {
    throw new EnvelopeError("KmsStore", `the KMS store cannot be copied to ${target}`, { cause })
  } finally {
    await rm(partial, { recursive: true, force: true })
  }
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
