import { CommanderError } from "commander"
import { CliError, classify } from "./failures.ts"
import { complain, write } from "./messages.ts"
import { createProgram } from "./program.ts"
import { toJson } from "./text.ts"

/** Runs one command line. @returns the exit code */
export async function run(argv: readonly string[]): Promise<number> {
  // When nobody reads messages or help any more, the exit code has to do.
  process.stderr.on("error", () => {})
  process.stdout.on("error", () => {})
  try {
    await createProgram().parseAsync(argv)
    return 0
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return 0
    return reportFailure(error, argv.includes("--json"))
  }
}

// --- internal ---

function reportFailure(error: unknown, json: boolean): number {
  // A command without its subcommand: its help stands on standard error by now.
  if (error instanceof CommanderError && error.code === "commander.help") return 2
  const report = classify(error instanceof CommanderError ? parserError(error) : error)
  const { exitCode, code, message, hint } = report
  if (process.env.ENVELOPE_DEBUG) process.stderr.write(`${debugText(error)}\n`)
  // Like any program at the end of a pipe that is closed at the other end.
  else if (code === "EPIPE" || code === "brokenPipe") return exitCode
  if (json) write(toJson({ error: { code, message, hint, exitCode } }))
  else complain(message, hint)
  return exitCode
}

/** `error: unknown command 'encrpt'\n(Did you mean encrypt?)` in this command's own form. */
function parserError({ message }: CommanderError): CliError {
  const [first = "", ...more] = message.split("\n")
  const suggestion = /\(Did you mean (.+)\?\)/.exec(more.join(" "))?.[1]
  const hint = suggestion === undefined ? undefined : `did you mean ${suggestion}?`
  return new CliError("usage", first.replace(/^error: /, ""), { hint })
}

const debugText = (error: unknown): string => (error instanceof Error ? (error.stack ?? error.message) : String(error))
