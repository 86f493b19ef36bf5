import { type Command, Option } from "commander"
import { command, common, operator } from "./command.ts"
import { collect } from "./options.ts"
import { parseTime } from "./quantities.ts"

const help = {
  policy: "read, write, check and explain key policies",
  get: "print a key's policy",
  put: "give a key another policy",
  explain: "say why a request would be allowed or refused, for instance kms:Decrypt",
  lint: "find what is malformed, dangerous or without effect in a policy",
  new: "print a policy to begin with",
  replay: "say which recorded calls a new policy would refuse, and which it would allow",
}

const after = {
  policy: `A policy is read from a file, or from standard input for -.

Examples:
  envelope policy new users-only --user arn:aws:iam::111122223333:role/App > policy.json
  envelope policy lint policy.json
  envelope policy replay alias/app policy.json
  envelope policy put alias/app policy.json
  envelope policy explain kms:Decrypt alias/app --principal arn:aws:iam::111122223333:role/App`,
  explain: `Examples:
  envelope policy explain kms:Decrypt alias/app --principal arn:aws:iam::111122223333:role/App --context tenant=42
  envelope policy explain kms:CreateGrant alias/app --principal arn:aws:iam::111122223333:role/App --service ebs
  envelope policy explain kms:Encrypt alias/app --policy policy.json`,
  lint: `Ends with exit code 25 when the policy is malformed or an error was found; warnings and notes do not count.`,
  new: `Cases:
  users-only       the --user given encrypt and decrypt, nobody else
  encrypt-decrypt  the --encrypt given only encrypt, the --decrypt given only decrypt
  administrators   the --administrator given manage the key and do not use it; groups may, through the account
  account-use      the account --user-account encrypts and decrypts, and neither manages nor makes grants
  manage           an identity policy, for instance of a group, to manage keys (--key)
  use              an identity policy to use keys (--key)`,
}

export const policyCases = ["users-only", "encrypt-decrypt", "administrators", "account-use", "manage", "use"] as const

export function addPolicyCommands(program: Command): void {
  const policy = command(program, "policy", help.policy, after.policy)
  const load = () => import("./commands/policy.ts")
  common(command(policy, "get <key>", help.get)).action(async (key, options) =>
    (await load()).policyGetCommand(key, options),
  )
  common(command(policy, "put <key> <file>", help.put))
    .option("--bypass-lockout-check", "also a policy under which you could not put another one")
    .action(async (key, file, options) => (await load()).policyPutCommand(key, file, options))
  operator(command(policy, "explain <action> [key]", help.explain, after.explain))
    .option("--principal <arn>", "who asks: a root, user, role or session (default: the account's root)")
    .option("-c, --context <name=value>", "pair of the encryption context; may be repeated", collect)
    .option("--service <name>", "an AWS service that acts for the principal, for instance s3 (kms:ViaService)")
    .option("--source-ip <address>", "where the request comes from")
    .option("--policy <file>", "decide by this key policy instead of the key's own")
    .action(async (action, key, options) => (await load()).policyExplainCommand(action, key, options))
  command(policy, "lint <file>", help.lint, after.lint)
    .option("--identity", "an identity policy, of a user, role or group (default: a key policy)")
    .option("--account <id>", "the account of the key, to tell its principals from others'")
    .option("--json", "print JSON")
    .option("-q, --quiet", "print nothing but errors")
    .action(async (file, options) => (await load()).policyLintCommand(file, options))
  command(policy, "new", help.new, after.new)
    .addArgument(program.createArgument("<case>").choices(policyCases))
    .option("--account <id>", "the key's account (default: 111122223333)")
    .option("--user <arn>", "who uses the key; may be repeated", collect)
    .option("--encrypt <arn>", "who only encrypts; may be repeated", collect)
    .option("--decrypt <arn>", "who only decrypts; may be repeated", collect)
    .option("--administrator <arn>", "who manages the key; may be repeated", collect)
    .option("--user-account <id>", "the account that uses the key")
    .option("--key <arn>", "the key of an identity policy; may be repeated (default: all)", collect)
    .action(async (kind, options) => (await load()).policyNewCommand(kind, options))
  operator(command(policy, "replay <key> <file>", help.replay))
    .addOption(new Option("--since <time>", "only calls since then").argParser(parseTime))
    .addOption(new Option("--until <time>", "only calls before then").argParser(parseTime))
    .action(async (key, file, options) => (await load()).policyReplayCommand(key, file, options))
}
