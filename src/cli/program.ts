import { createRequire } from "node:module"
import { Command, Option } from "commander"
import { addAuditCommands, addCostCommands } from "./audit-commands.ts"
import { command, common } from "./command.ts"
import { addGrantCommands } from "./grant-commands.ts"
import { after, commandGroups, environmentHelp, exitCodeHelp, help } from "./help.ts"
import { addKeyLifeCommands } from "./key-commands.ts"
import { setQuiet } from "./messages.ts"
import { addOperatorCommands } from "./operator-commands.ts"
import { collect, limitNames, parseFrameLength, parseHmac, parseLimit, parsePolicy, policyNames } from "./options.ts"
import { addPolicyCommands } from "./policy-commands.ts"
import { addS3Commands } from "./s3-commands.ts"
import { addVolumeCommands } from "./volume-commands.ts"

/** The command tree. Each command's code is loaded when it is called, so that `--help` and mistakes answer at once. */
export function createProgram(): Command {
  const program = new Command("envelope")
    .description(help.program)
    .version(packageVersion(), "-V, --version", "print the version")
    .helpOption("-h, --help", "show this help, or that of a command")
    .showSuggestionAfterError(true)
    .configureHelp({ showGlobalOptions: false, sortSubcommands: false })
    .exitOverride()
    .configureOutput({ outputError: () => {} })
    .addHelpText("after", `${after.program}\n${environmentHelp}\n${exitCodeHelp()}`)
    .hook("preAction", (_program, command) => setQuiet(command.optsWithGlobals().quiet === true))
  program.addHelpCommand(new Command("help").argument("[command]").description(help.help).helpGroup("Help:"))
  addMessageCommands(program)
  addObjectCommands(program)
  program.commandsGroup(commandGroups.volumes)
  addVolumeCommands(program)
  addKeyCommands(program)
  addAliasCommands(program)
  addGrantCommands(program)
  addOperatorCommands(program)
  addPolicyCommands(program)
  addAuditCommands(program)
  addCostCommands(program)
  return program
}

// --- internal ---

const packageVersion = (): string =>
  (createRequire(import.meta.url)("kms-envelope/package.json") as { version: string }).version

function addMessageCommands(program: Command): void {
  program.commandsGroup(commandGroups.messages)
  writing(command(program, "encrypt [file]", help.encrypt, after.encrypt)).action(async (file, options) =>
    (await import("./commands/encrypt.ts")).encryptCommand(file, options),
  )
  reading(command(program, "decrypt [file]", help.decrypt, after.decrypt)).action(async (file, options) =>
    (await import("./commands/decrypt.ts")).decryptCommand(file, options),
  )
  command(program, "inspect [file]", help.inspect, after.inspect)
    .option("--base64", "the message is base64 text")
    .addOption(limitOption())
    .option("--json", "print JSON")
    .action(async (file, options) => (await import("./commands/inspect.ts")).inspectCommand(file, options))
  rewriting(command(program, "reencrypt [file]", help.reencrypt, after.reencrypt)).action(async (file, options) =>
    (await import("./commands/reencrypt.ts")).reencryptCommand(file, options),
  )
}

function addObjectCommands(program: Command): void {
  program.commandsGroup(commandGroups.objects)
  addS3Commands(program)
}

function addKeyCommands(program: Command): void {
  program.commandsGroup(commandGroups.keys)
  const key = command(program, "key", help.key, after.key)
  const load = () => import("./commands/key.ts")
  common(command(key, "create", help.keyCreate))
    .option("-a, --alias <name>", "give the key a name to encrypt with: NAME or alias/NAME")
    .option("-d, --description <text>", "what the key is for")
    .option("--multi-region", "a multi-Region primary key")
    .option("--hmac <bits>", "a key for MACs instead of encryption: 224, 256, 384 or 512", parseHmac)
    .option("--external", "a key without material, for envelope key import")
    .action(async (options) => (await load()).keyCreateCommand(options))
  common(command(key, "list", help.keyList)).action(async (options) => (await load()).keyListCommand(options))
  common(command(key, "describe <key>", help.keyDescribe)).action(async (id, options) =>
    (await load()).keyDescribeCommand(id, options),
  )
  common(command(key, "enable <key>", help.keyEnable)).action(async (id, options) =>
    (await load()).keyEnableCommand(id, options),
  )
  common(command(key, "disable <key>", help.keyDisable)).action(async (id, options) =>
    (await load()).keyDisableCommand(id, options),
  )
  addKeyLifeCommands(key)
}

function addAliasCommands(program: Command): void {
  const alias = command(program, "alias", help.alias, after.alias)
  const load = () => import("./commands/alias.ts")
  common(command(alias, "create <name> <key>", help.aliasCreate)).action(async (name, key, options) =>
    (await load()).aliasCreateCommand(name, key, options),
  )
  common(command(alias, "list", help.aliasList))
    .option("-k, --key <key>", "only the names of this key")
    .action(async (options) => (await load()).aliasListCommand(options))
  common(command(alias, "update <name> <key>", help.aliasUpdate)).action(async (name, key, options) =>
    (await load()).aliasUpdateCommand(name, key, options),
  )
  common(command(alias, "delete <name>", help.aliasDelete)).action(async (name, options) =>
    (await load()).aliasDeleteCommand(name, options),
  )
}

const files = (made: Command): Command =>
  common(
    made
      .option("-o, --output <file>", "write to this file, which appears when all is done (default: standard output)")
      .option("-f, --force", "replace the output file if it exists"),
  )

const writing = (made: Command): Command =>
  policy(
    files(
      made
        .option("-k, --key <key>", "KMS key to encrypt under: ARN, id or alias/NAME; repeat it for more keys", collect)
        .option("-c, --context <name=value>", "pair to authenticate and store in the clear; may be repeated", collect)
        .option(
          "--required-context <name=value>",
          "pair to authenticate but not store: decrypting takes it again",
          collect,
        )
        .option("--signed", "sign, so that those who may decrypt cannot forge")
        .option("--base64", "write the message as base64 text"),
    ).option("--frame-length <bytes>", "plaintext in a frame, for instance 4096 or 1MiB", parseFrameLength),
  )

const reading = (made: Command): Command =>
  policy(
    files(
      made
        .option("-k, --key <key>", "only this key may decrypt: ARN, id or alias/NAME; may be repeated", collect)
        .option("--account <id>", "any key of this AWS account may decrypt, or of any; may be repeated", collect)
        .option("-c, --context <name=value>", "the message must have this pair; may be repeated", collect)
        .option("--required-context <name=value>", "pair that the message does not store", collect)
        .option("--base64", "the message is base64 text"),
    )
      .option("--verify-at-end", "let the plaintext of a signed message into a pipe before its signature is checked")
      .addOption(limitOption()),
  )

const rewriting = (made: Command): Command =>
  writing(made)
    .option("--from-kms <where>", "where the message's present key is (default: --kms)")
    .option("--from-key <key>", "only this key may decrypt the message that comes in", collect)
    .option("--account <id>", "any key of this AWS account may decrypt it, or of any", collect)
    .option("--from-context <name=value>", "the message that comes in must have this pair", collect)
    .option("--from-required-context <name=value>", "pair that the message that comes in does not store", collect)
    .addOption(limitOption())

const policy = (made: Command): Command =>
  made.option("--commitment-policy <policy>", `${policyNames.join(", ")} (default: the first)`, parsePolicy)

const limitOption = (): Option =>
  new Option("--limit <name=value>", `raise a limit: ${limitNames.join(", ")}`).argParser(parseLimit)
