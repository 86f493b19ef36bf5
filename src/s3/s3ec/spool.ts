import { type FileHandle, open, unlink } from "node:fs/promises"
import { join } from "node:path"
import { pipeline } from "node:stream/promises"
import { allocateUnfilled } from "../../core/index.ts"
import { randomBytes, wipe } from "../../crypto/index.ts"
import { rawAesKeyring } from "../../keyrings/index.ts"
import { decryptStream, encryptStream } from "../../message/index.ts"

const CHUNK_LENGTH = 1024 * 1024

/**
 * Holds plaintext in a file, as a message under a key that lives as long as the file, and gives it out once `rest` came
 * to its end. The file's name is gone as soon as it is open where the system allows that, so that nothing stays behind
 * even of a process that is killed; elsewhere it is removed at the end.
 *
 * @param first pieces to begin with; taken out of the array
 */
export async function* spooled(
  folder: string,
  first: Uint8Array[],
  rest: AsyncGenerator<Uint8Array>,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array> {
  const file = await openUnnamed(folder)
  const wrappingKey = randomBytes(32)
  const keyring = rawAesKeyring({ keyNamespace: "kms-envelope", keyName: "spool", wrappingKey })
  wipe(wrappingKey)
  const options = { keyring, ...(signal && { signal }) }
  try {
    await pipeline(inOrder(first, rest), encryptStream(options), (sealed) => writeAll(file.handle, sealed), options)
    const opened = decryptStream(options)
    const reading = pipeline(readAll(file.handle), opened, options)
    reading.catch(() => {})
    try {
      yield* opened
    } finally {
      opened.destroy()
      await reading.catch(() => {})
    }
  } finally {
    keyring.close()
    await file.remove()
  }
}

/** The pieces held so far, then what follows. */
async function* inOrder(first: Uint8Array[], rest: AsyncGenerator<Uint8Array>) {
  while (first.length > 0) yield first.shift()!
  yield* rest
}

interface UnnamedFile {
  readonly handle: FileHandle
  remove(): Promise<void>
}

async function openUnnamed(folder: string): Promise<UnnamedFile> {
  const path = join(folder, `.kms-envelope-${Buffer.from(randomBytes(8)).toString("hex")}.tmp`)
  const handle = await open(path, "wx+", 0o600)
  const isUnnamed = await unlink(path).then(
    () => true,
    () => false,
  )
  return {
    handle,
    async remove() {
      await handle.close()
      if (!isUnnamed) await unlink(path).catch(() => {})
    },
  }
}

async function writeAll(file: FileHandle, pieces: AsyncIterable<Uint8Array>): Promise<void> {
  for await (const piece of pieces) await file.writeFile(piece)
}

async function* readAll(file: FileHandle): AsyncGenerator<Uint8Array> {
  for (let at = 0; ; ) {
    const { bytesRead, buffer } = await file.read(allocateUnfilled(CHUNK_LENGTH), 0, CHUNK_LENGTH, at)
    if (bytesRead === 0) return
    at += bytesRead
    yield buffer.subarray(0, bytesRead)
  }
}
