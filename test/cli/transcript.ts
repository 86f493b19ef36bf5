import { expect } from "vitest"
import type { Sandbox } from "./sandbox.ts"

/**
 * Runs a session as a person would read it. A line `$ command` is run by the shell; the lines below are what it prints,
 * messages included. `<word>` stands for any text without white space, the same each time; a line `...` for any lines;
 * `[exit 4]` for the exit code where it is not 0.
 */
export async function transcript(box: Sandbox, text: string): Promise<void> {
  const known = new Map<string, string>()
  for (const { command, expected } of parseTranscript(text)) {
    const result = await box.shell(`{ ${fillIn(command, known)}\n} 2>&1`)
    const status = result.code === 0 ? "" : `[exit ${result.code}]\n`
    const actual = result.stdout.toString() + status
    const match = toRegExp(expected, known).exec(actual)
    if (match === null) expect(`$ ${command}\n${actual}`).toBe(`$ ${command}\n${expected}`)
    for (const [name, value] of Object.entries(match?.groups ?? {})) known.set(name, value)
  }
}

interface Step {
  readonly command: string
  readonly expected: string
}

function parseTranscript(text: string): Step[] {
  const steps = dedent(text).split(/^\$ /m).slice(1)
  return steps.map((step) => {
    const [command = "", ...lines] = step.trimEnd().split("\n")
    return { command, expected: lines.map((line) => `${line}\n`).join("") }
  })
}

function dedent(text: string): string {
  const lines = text.split("\n")
  const indent = Math.min(...lines.filter((line) => line.trim() !== "").map((line) => line.search(/\S/)))
  return lines.map((line) => line.slice(indent)).join("\n")
}

const fillIn = (command: string, known: ReadonlyMap<string, string>): string =>
  command.replace(/<(\w+)>/g, (whole, name) => known.get(name) ?? whole)

function toRegExp(expected: string, known: ReadonlyMap<string, string>): RegExp {
  const seen = new Set<string>()
  const pattern = expected
    .split(/(<\w+>|^\.\.\.\n)/m)
    .map((part) => {
      if (part === "...\n") return "(?:.*\\n)*?"
      const [, name] = /^<(\w+)>$/.exec(part) ?? []
      if (name === undefined) return part.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&")
      const value = known.get(name)
      if (value !== undefined) return value.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&")
      if (seen.has(name)) return `\\k<${name}>`
      seen.add(name)
      return `(?<${name}>\\S+)`
    })
    .join("")
  return new RegExp(`^${pattern}$`)
}
