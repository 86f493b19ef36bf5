import type { Command } from "commander"

export function command(parent: Command, nameAndArguments: string, description: string, examples = ""): Command {
  const made = parent.command(nameAndArguments).description(description)
  return examples === "" ? made : made.addHelpText("after", `\n${examples}`)
}

/** What every command that talks to a KMS takes. */
export const common = (made: Command): Command =>
  made
    .option(
      "--kms <where>",
      "local (yours), local:DIR, aws, aws:REGION, or an address (default: ENVELOPE_KMS, else local)",
    )
    .option("--json", "print JSON")
    .option("-q, --quiet", "print nothing but errors")

/** What every command takes that runs the embedded KMS itself. */
export const operator = (made: Command): Command =>
  made
    .option("--kms <where>", "local (yours) or local:DIR (default: ENVELOPE_KMS, else local)")
    .option("--json", "print JSON")
    .option("-q, --quiet", "print nothing but errors")
