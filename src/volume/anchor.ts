import { open, readFile, rename, rm } from "node:fs/promises"
import { dirname } from "node:path"
import { EnvelopeError } from "../core/index.ts"
import { randomBytes } from "../crypto/index.ts"
import { diskError } from "./failures.ts"

/** What an anchor remembers of a volume (VOL-9.1): what no older state of it has. */
export interface AnchorState {
  readonly volumeId: string
  readonly generation: number
  /** The header's MAC, hexadecimal. */
  readonly mac: string
  /** Of the last durable log record, when the anchor advances with each flush; else 0. */
  readonly sequence: number
  /** That record's tag, hexadecimal; else empty. */
  readonly tag: string
}

/** A place outside the volume's storage that an attacker on that storage cannot set back. */
export interface Anchor {
  /** @returns undefined when nothing was stored yet */
  read(): Promise<AnchorState | undefined>
  /** Stores `next` if what is stored still equals `previous`. @returns false when it does not */
  replace(previous: AnchorState | undefined, next: AnchorState): Promise<boolean>
}

/**
 * An anchor in a file: put it on other storage than the volume. One process at a time may use it.
 *
 * @param path of the file, made at the first use
 */
export function fileAnchor(path: string): Anchor {
  const read = async (): Promise<AnchorState | undefined> => {
    let text: string
    try {
      text = await readFile(path, "utf8")
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined
      throw diskError("reading the anchor", error)
    }
    return parseAnchor(text)
  }
  return {
    read,
    async replace(previous, next) {
      if (!sameAnchor(await read(), previous)) return false
      try {
        await writeWhole(path, formatAnchor(next))
      } catch (error) {
        throw diskError("writing the anchor", error)
      }
      return true
    },
  }
}

/** One line of JSON. */
const formatAnchor = ({ volumeId, generation, mac, sequence, tag }: AnchorState): string =>
  `${JSON.stringify({ volumeId, generation, mac, sequence, tag })}\n`

const sameAnchor = (a: AnchorState | undefined, b: AnchorState | undefined): boolean =>
  a === undefined || b === undefined ? a === b : formatAnchor(a) === formatAnchor(b)

// --- internal ---

function parseAnchor(text: string): AnchorState {
  try {
    const state = JSON.parse(text)
    if (typeof state.volumeId === "string" && formatAnchor(state) === text) return state
  } catch {
    // Told below.
  }
  throw new EnvelopeError("MalformedVolume", "the anchor's file holds no anchor")
}

/** Written beside it, then renamed over it: it is old or new, never half. */
async function writeWhole(path: string, text: string): Promise<void> {
  const temporary = `${path}.${Buffer.from(randomBytes(8)).toString("hex")}.tmp`
  try {
    const handle = await open(temporary, "wx", 0o600)
    try {
      await handle.writeFile(text)
      await handle.sync()
    } finally {
      await handle.close()
    }
    await rename(temporary, path)
  } finally {
    await rm(temporary, { force: true })
  }
  const folder = await open(dirname(path), "r")
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}
