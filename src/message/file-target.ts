import { type FileHandle, link, open, rename, unlink } from "node:fs/promises"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { randomBytes } from "../crypto/index.ts"

export type FilePath = string | URL

/** A file that appears under its name whole or not at all. */
export interface FileTarget {
  readonly handle: FileHandle
  /** Makes the content durable and gives it its name. @throws the error `EEXIST` when the name is taken */
  commit(): Promise<void>
  /** Leaves no trace. */
  discard(): Promise<void>
}

/** A caller's open file is written as it is. */
export function targetOf(target: FilePath | FileHandle, overwrite: boolean): Promise<FileTarget> | FileTarget {
  if (typeof target === "string" || target instanceof URL) return openTarget(target, overwrite)
  return { handle: target, commit: async () => {}, discard: async () => {} }
}

/** Writes to a temporary file of mode 0600 in the same folder. */
async function openTarget(path: FilePath, overwrite: boolean): Promise<FileTarget> {
  const name = typeof path === "string" ? path : fileURLToPath(path)
  const temporary = join(dirname(name), `.kms-envelope-${Buffer.from(randomBytes(8)).toString("hex")}.tmp`)
  const handle = await open(temporary, "wx", 0o600)
  const discard = async () => {
    await handle.close()
    await unlink(temporary).catch(() => {})
  }
  return {
    handle,
    discard,
    async commit() {
      await handle.sync()
      // A link, unlike a rename, never replaces what has the name by now.
      if (overwrite) await rename(temporary, name)
      else await link(temporary, name)
      await discard()
    },
  }
}
