import { type FileHandle, open } from "node:fs/promises"

/** What a migration does; a journal serves no other one. */
export interface MigrationJob {
  readonly operation: "encrypt" | "rewrap"
  readonly bucket: string
  readonly prefix: string
  /** The ARN of the new key, for a rewrap. */
  readonly toKeyArn?: string
  readonly fromKeyArn?: string
}

/** How far a migration is, in a file, so that it goes on where it was interrupted. */
export interface Journal {
  /** Every object up to this key was dealt with. */
  readonly startAfter: string | undefined
  /** Those of them that failed, and have to be tried again. */
  readonly failed: readonly string[]
  /** Every object up to this key was dealt with. */
  through(key: string): Promise<void>
  fail(key: string): Promise<void>
  /** An object that had failed was dealt with. */
  mend(key: string): Promise<void>
  close(): Promise<void>
}

type Line =
  | { readonly job: MigrationJob }
  | { readonly through: string }
  | { readonly failed: string }
  | { readonly mended: string }

/**
 * OBJ-11.6: opens a journal, or begins one. Lines of JSON are appended; one that the end of a process cut short is ignored. A key
 * is written down after its object was written, so that what is lost is done again, which changes nothing.
 *
 * @throws TypeError for a journal of another migration, or a file that is no journal; errors of the file system
 */
export async function openJournal(path: string, job: MigrationJob): Promise<Journal> {
  const file = await open(path, "a+")
  try {
    const lines = parseLines(path, await file.readFile("utf8"))
    const [first] = lines
    if (first === undefined) await append(file, { job })
    else if (!("job" in first) || !isSame(first.job, job)) {
      throw new TypeError(`${path} is the journal of another migration: use another file, or delete it`)
    }
    return journalIn(file, lines)
  } catch (error) {
    await file.close()
    throw error
  }
}

// --- internal ---

function journalIn(file: FileHandle, lines: readonly Line[]): Journal {
  let startAfter: string | undefined
  const failed = new Set<string>()
  for (const line of lines) {
    if ("through" in line) startAfter = line.through
    if ("failed" in line) failed.add(line.failed)
    if ("mended" in line) failed.delete(line.mended)
  }
  return {
    startAfter,
    failed: [...failed],
    through: (key) => append(file, { through: key }),
    fail: (key) => append(file, { failed: key }),
    mend: (key) => append(file, { mended: key }),
    close: () => file.close(),
  }
}

const append = (file: FileHandle, line: Line): Promise<void> => file.appendFile(`${JSON.stringify(line)}\n`)

const isSame = (a: MigrationJob, b: MigrationJob): boolean =>
  (["operation", "bucket", "prefix", "toKeyArn", "fromKeyArn"] as const).every((name) => a[name] === b[name])

function parseLines(path: string, text: string): Line[] {
  const lines = text.split("\n")
  // What follows the last line end is nothing, or a line that was cut short.
  lines.pop()
  return lines.map((line) => {
    try {
      return JSON.parse(line) as Line
    } catch {
      throw new TypeError(`${path} is no journal of a migration`)
    }
  })
}
