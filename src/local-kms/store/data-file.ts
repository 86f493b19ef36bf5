import { open } from "node:fs/promises"
import { setTimeout as delay } from "node:timers/promises"
import { EnvelopeError } from "../../core/index.ts"

/**
 * Refuses an LMDB data file that is cut short or is none at all. LMDB maps the file into memory, so that a page its
 * header promises and the file does not hold would kill the process (SIGBUS) where an error is wanted.
 *
 * @throws EnvelopeError `KmsStore`
 */
export async function checkDataFile(path: string): Promise<void> {
  // Another process may be writing the first two pages just now.
  for (let attempt = 1; ; attempt++) {
    const problem = await findProblem(path)
    if (problem === undefined) return
    if (attempt === 3) throw new EnvelopeError("KmsStore", `the KMS store ${path} is damaged: ${problem}`)
    await delay(50)
  }
}

// A meta page as lmdb 3 writes it: page header (24 bytes), magic u32, version u32, address u64, map size u64, two
// database records of 48 bytes (the first begins with the page size), last page u64, transaction id u64.
const MAGIC = 0xbeefc0de
const MAGIC_AT = 24
const PAGE_SIZE_AT = 48
const LAST_PAGE_AT = 144
const TRANSACTION_AT = 152
const META_LENGTH = 160

async function findProblem(path: string): Promise<string | undefined> {
  let file: Awaited<ReturnType<typeof open>>
  try {
    file = await open(path, "r")
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined
    throw new EnvelopeError("KmsStore", `the KMS store ${path} cannot be read`, { cause: error })
  }
  try {
    const first = await readMeta(file, 0)
    if (first === "empty") return undefined
    if (first === "invalid") return "it is not an LMDB file"
    const second = await readMeta(file, first.pageSize)
    if (typeof second === "string") return "its second header is missing"
    const newest = second.transactionId > first.transactionId ? second : first
    const { size } = await file.stat()
    if (size < (newest.lastPage + 1) * first.pageSize) return "it is cut short"
    return undefined
  } finally {
    await file.close()
  }
}

interface Meta {
  readonly pageSize: number
  readonly lastPage: number
  readonly transactionId: number
}

async function readMeta(file: Awaited<ReturnType<typeof open>>, at: number): Promise<Meta | "empty" | "invalid"> {
  const meta = Buffer.alloc(META_LENGTH)
  const { bytesRead } = await file.read(meta, 0, META_LENGTH, at)
  if (bytesRead === 0 && at === 0) return "empty"
  if (bytesRead < META_LENGTH || meta.readUInt32LE(MAGIC_AT) !== MAGIC) return "invalid"
  return {
    pageSize: meta.readUInt32LE(PAGE_SIZE_AT) || 4096,
    lastPage: Number(meta.readBigUInt64LE(LAST_PAGE_AT)),
    transactionId: Number(meta.readBigUInt64LE(TRANSACTION_AT)),
  }
}
