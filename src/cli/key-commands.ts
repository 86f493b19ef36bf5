import type { Command } from "commander"
import { command, common } from "./command.ts"
import { usageError } from "./failures.ts"

/** The commands of `envelope key` about what happens to a key in the course of its life. */
export function addKeyLifeCommands(key: Command): void {
  const life = () => import("./commands/key-life.ts")
  const tags = () => import("./commands/key-tags.ts")
  common(command(key, "rotate <key>", "give a key new material to encrypt with, now or every so many days"))
    .option("--every <days>", "rotate automatically, every 90 to 2560 days", parseDays(90, 2560))
    .option("--never", "rotate automatically no more")
    .action(async (id, options) => (await life()).keyRotateCommand(id, rotateOptions(options)))
  common(command(key, "rotations <key>", "list a key's materials, and when it rotated")).action(async (id, options) =>
    (await life()).keyRotationsCommand(id, options),
  )
  common(command(key, "tag <key> [name=value...]", "set tags of a key, and show them all")).action(
    async (id, pairs, options) => (await tags()).keyTagCommand(id, pairs, options),
  )
  common(command(key, "untag <key> <name...>", "take tags off a key")).action(async (id, names, options) =>
    (await tags()).keyUntagCommand(id, names, options),
  )
  common(command(key, "import <key> [file]", "give a key made with --external its material: 32 bytes, as they are"))
    .option("--valid-days <days>", "let the material expire after 1 to 365 days (default: never)", parseDays(1, 365))
    .option("--new", "material to rotate to, for a key that has some: envelope key rotate")
    .action(async (id, file, options) => (await import("./commands/key-import.ts")).keyImportCommand(id, file, options))
  common(command(key, "delete <key>", "delete a key after a waiting period"))
    .option("--days <days>", "wait so many days, 7 to 30 (default: 30)", parseDays(7, 30))
    .action(async (id, options) => (await life()).keyDeleteCommand(id, options))
  common(command(key, "cancel-deletion <key>", "keep a key that waits for its deletion")).action(async (id, options) =>
    (await life()).keyCancelDeletionCommand(id, options),
  )
  command(key, "types", "compare customer managed, AWS managed and AWS owned keys")
    .option("--json", "print JSON")
    .action(async (options) => (await import("./commands/key-types.ts")).keyTypesCommand(options))
}

const parseDays =
  (min: number, max: number) =>
  (text: string): number => {
    const days = Number(text)
    if (/^\d+$/.test(text) && days >= min && days <= max) return days
    throw usageError(`'${text}' is no number of days`, `${min} to ${max}`)
  }

function rotateOptions<T extends { readonly every?: number; readonly never?: boolean }>(options: T): T {
  if (options.every !== undefined && options.never) throw usageError("give --every or --never, not both")
  return options
}
