import { randomBytes as randomName, scrypt } from "node:crypto"
import { link, open, rm, stat } from "node:fs/promises"
import { EnvelopeError } from "../core/index.ts"
import { randomBytes, wipe } from "../crypto/index.ts"

const ROOT_KEY_LENGTH = 32

/** scrypt (RFC 7914) parameters, kept beside the store so that later versions may raise them. */
export interface ScryptParameters {
  readonly cost: number
  readonly blockSize: number
  readonly parallelization: number
  /** base64url */
  readonly salt: string
}

const COST = 2 ** 17
const BLOCK_SIZE = 8
/** A store that asks for more would have us spend memory, not security. */
const MAX_COST = 2 ** 20

export const newScryptParameters = (): ScryptParameters => ({
  cost: COST,
  blockSize: BLOCK_SIZE,
  parallelization: 1,
  salt: Buffer.from(randomBytes(32).buffer).toString("base64url"),
})

/** KMS-3.1. Takes about 128 MiB of memory and a third of a second. */
export async function deriveRootKey(
  passphrase: string | Uint8Array,
  parameters: ScryptParameters,
): Promise<Uint8Array> {
  const { cost, blockSize, parallelization, salt } = parameters
  const isSane = cost >= 2 && cost <= MAX_COST && blockSize > 0 && blockSize <= 32 && parallelization === 1
  if (!isSane) throw new EnvelopeError("KmsStore", "the KMS store is damaged: its scrypt parameters are out of range")
  const options = { cost, blockSize, parallelization, maxmem: 256 * cost * blockSize }
  return new Promise((resolve, reject) => {
    scrypt(passphrase, Buffer.from(salt, "base64url"), ROOT_KEY_LENGTH, options, (error, key) => {
      if (error === null) resolve(key)
      else reject(error)
    })
  })
}

/**
 * KMS-3.1. Reads a root key file: 32 bytes that nobody but the owner may read.
 *
 * @returns `undefined` when there is no such file
 * @throws EnvelopeError `KmsStore` for a file that others may read, or of another size
 */
export async function readRootKeyFile(path: string): Promise<Uint8Array | undefined> {
  let file: Awaited<ReturnType<typeof open>>
  try {
    file = await open(path, "r")
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ENOENT") return undefined
    throw new EnvelopeError("KmsStore", `the root key file ${path} cannot be read`, { cause })
  }
  try {
    const { mode, size } = await file.stat()
    if (process.platform !== "win32" && (mode & 0o077) !== 0)
      throw new EnvelopeError("KmsStore", `the root key file ${path} may be read by others: chmod 600 it`)
    const key = new Uint8Array(ROOT_KEY_LENGTH)
    const { bytesRead } = await file.read(key, 0, ROOT_KEY_LENGTH, 0)
    if (size === ROOT_KEY_LENGTH && bytesRead === ROOT_KEY_LENGTH) return key
    wipe(key)
    throw new EnvelopeError("KmsStore", `the root key file ${path} is not ${ROOT_KEY_LENGTH} bytes long`)
  } finally {
    await file.close()
  }
}

/**
 * Makes a root key file, complete from the moment it exists and readable by its owner only. When another process makes
 * one at the same time, both go on with the same.
 */
export async function createRootKeyFile(path: string): Promise<void> {
  const temporary = `${path}.${randomName(6).toString("hex")}.tmp`
  const key = randomBytes(ROOT_KEY_LENGTH)
  try {
    const file = await open(temporary, "wx", 0o600)
    try {
      await file.write(key)
      await file.sync()
    } finally {
      await file.close()
    }
    await link(temporary, path)
  } catch (cause) {
    if (!(await exists(path)))
      throw new EnvelopeError("KmsStore", `the root key file ${path} cannot be made`, { cause })
  } finally {
    wipe(key)
    await rm(temporary, { force: true })
  }
}

const exists = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  )
