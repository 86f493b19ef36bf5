import { randomBytes } from "node:crypto"
import { mkdir, open, readdir, readFile, rename, rm } from "node:fs/promises"
import { dirname, join } from "node:path"

export interface DeliveredFile {
  readonly body: Uint8Array
  /** Hexadecimal; of digest files. */
  readonly signature?: string
}

/** Where log files are read from. Names are relative, with `/`. */
export interface DeliverySource {
  read(name: string): Promise<DeliveredFile | undefined>
  /** The names of all files under `AWSLogs/`, in any order. */
  list(): AsyncIterable<string>
}

/** Where log files go: a folder, or a bucket. */
export interface DeliverySink extends DeliverySource {
  /** As digest files name the bucket that the files are in. */
  readonly bucket: string
  /** Settles when the file is durable; nobody sees part of it, and an older one of the same name is replaced. */
  write(name: string, file: DeliveredFile): Promise<void>
}

/** What CloudTrail keeps in the metadata of an S3 object stands in a file beside the digest file. */
const SIGNATURE = ".sig"
const TEMPORARY = ".tmp"
const ROOT = "AWSLogs"

/** Log files in a folder. */
export function folderSink(dir: string, bucket = "kms-envelope"): DeliverySink {
  const path = (name: string): string => join(dir, ...name.split("/"))
  return {
    bucket,
    async read(name) {
      const body = await readIfThere(path(name))
      if (body === undefined) return undefined
      const signature = await readIfThere(path(name + SIGNATURE))
      return { body, ...(signature === undefined ? {} : { signature: signature.toString("latin1").trim() }) }
    },
    async *list() {
      for await (const name of filesUnder(dir, ROOT))
        if (!name.endsWith(SIGNATURE) && !name.endsWith(TEMPORARY)) yield name
    },
    async write(name, { body, signature }) {
      await mkdir(dirname(path(name)), { recursive: true })
      // The signature first: a digest file is never seen without it.
      if (signature !== undefined) await writeAtomically(path(name + SIGNATURE), `${signature}\n`)
      await writeAtomically(path(name), body)
    },
  }
}

async function readIfThere(path: string): Promise<Buffer | undefined> {
  try {
    return await readFile(path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined
    throw error
  }
}

async function* filesUnder(dir: string, name: string): AsyncGenerator<string> {
  let entries: import("node:fs").Dirent[]
  try {
    entries = await readdir(join(dir, ...name.split("/")), { withFileTypes: true })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return
    throw error
  }
  for (const entry of entries) {
    if (entry.isDirectory()) yield* filesUnder(dir, `${name}/${entry.name}`)
    else yield `${name}/${entry.name}`
  }
}

async function writeAtomically(path: string, body: Uint8Array | string): Promise<void> {
  const temporary = `${path}.${randomBytes(6).toString("hex")}${TEMPORARY}`
  try {
    const file = await open(temporary, "wx")
    try {
      await file.writeFile(body)
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(temporary, path)
    await syncFolder(dirname(path))
  } finally {
    await rm(temporary, { force: true })
  }
}

/** Makes a rename durable; not every system can. */
async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, "r").catch(() => undefined)
  await folder?.sync().catch(() => {})
  await folder?.close()
}
