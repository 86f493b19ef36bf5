import { printable } from "./text.ts"

/** Standard error is for people: messages, hints, progress. Standard output is for data. */
let isQuiet = false
let beforeMessage: () => void = () => {}

export function setQuiet(quiet: boolean): void {
  isQuiet = quiet
}

export const quiet = (): boolean => isQuiet

/** The progress line takes itself back before anything else is printed. */
export function setBeforeMessage(action: () => void): void {
  beforeMessage = action
}

/** Something a person may want to know. Not shown with `--quiet`. */
export function note(text: string): void {
  if (!isQuiet) write(`envelope: ${printable(text)}\n`)
}

/** Lines that belong to the note before them. */
export function noteMore(...lines: readonly string[]): void {
  if (!isQuiet) for (const line of lines) write(`  ${printable(line)}\n`)
}

export function complain(message: string, hint: string | undefined): void {
  write(`envelope: ${printable(message)}\n`)
  if (hint !== undefined) write(`  hint: ${printable(hint)}\n`)
}

export function write(text: string): void {
  beforeMessage()
  process.stderr.write(text)
}

/** That a job is done: worth a line to a person at a terminal, noise in a script. */
export function noteDone(text: string): void {
  if (process.stderr.isTTY === true) note(text)
}
