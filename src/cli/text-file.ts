import { readFile } from "node:fs/promises"
import { text } from "node:stream/consumers"
import { ioError } from "./failures.ts"

/** A file's text, or for `-` that of standard input. @throws CliError `inputOutput` */
export async function readTextFile(file: string): Promise<string> {
  if (file === "-") return text(process.stdin)
  return readFile(file, "utf8").catch((error: unknown) => {
    throw ioError(`cannot read ${file}`, error)
  })
}
