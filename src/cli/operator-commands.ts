import type { Command } from "commander"
import { command, operator } from "./command.ts"
import { after, commandGroups, help } from "./help.ts"
import { collect, parseGrace, parsePort } from "./options.ts"

/** Commands for whoever runs an embedded KMS. */
export function addOperatorCommands(program: Command): void {
  program.commandsGroup(commandGroups.server)
  addServerCommands(program)
  addPrincipalCommands(program)
}

// --- internal ---

function addServerCommands(program: Command): void {
  const kms = command(program, "kms", help.kms, after.kms)
  operator(command(kms, "serve", help.kmsServe, after.kmsServe))
    .option("--memory", "a KMS that is gone when the command ends, instead of a folder")
    .option("-p, --port <number>", "port; 0 takes a free one (default: 4599)", parsePort)
    .option("--host <address>", "address to bind to (default: 127.0.0.1)")
    .option("--tls-cert <file>", "serve HTTPS with this certificate and its chain (PEM)")
    .option("--tls-key <file>", "its private key (PEM)")
    .option("--insecure", "allow a --host that other machines reach without TLS")
    .option("--open", "check no signatures: whoever reaches the port is the account's root")
    .option("--seed <file>", "begin with the keys, aliases and principals of this file")
    .option("--account <id>", "the account of the KMS, twelve digits (default: 111122223333)")
    .option("--region <region>", "the Region of requests that name none (default: us-east-1)")
    .option("--registered-only", "let only registered users and roles, and roots, call and be named in key policies")
    .option("--quota <name=number>", "how much there may be: keys, aliasesPerKey, ...; may be repeated", collect)
    .option("--metrics-port <number>", "serve /metrics on a port of its own", parsePort)
    .option("--no-metrics", "serve no /metrics")
    .option("--grace <seconds>", "how long running requests may take at the end (default: 10)", parseGrace)
    .action(async (options) => (await import("./commands/kms-serve.ts")).kmsServeCommand(options))
  operator(command(kms, "backup <folder>", help.kmsBackup)).action(async (folder, options) =>
    (await import("./commands/kms-backup.ts")).kmsBackupCommand(folder, options),
  )
}

function addPrincipalCommands(program: Command): void {
  const principal = command(program, "principal", help.principal, after.principal)
  addIdentityCommands(principal)
  const accessKey = command(principal, "access-key", help.accessKey)
  const load = () => import("./commands/access-key.ts")
  operator(command(accessKey, "create <arn>", help.accessKeyCreate))
    .option("--service <name>", "an AWS service that acts for the principal, for instance s3 (kms:ViaService)")
    .action(async (arn, options) => (await load()).accessKeyCreateCommand(arn, options))
  operator(command(accessKey, "list [arn]", help.accessKeyList)).action(async (arn, options) =>
    (await load()).accessKeyListCommand(arn, options),
  )
  operator(command(accessKey, "enable <id>", help.accessKeyEnable)).action(async (id, options) =>
    (await load()).accessKeyChangeCommand("enable", id, options),
  )
  operator(command(accessKey, "disable <id>", help.accessKeyDisable)).action(async (id, options) =>
    (await load()).accessKeyChangeCommand("disable", id, options),
  )
  operator(command(accessKey, "delete <id>", help.accessKeyDelete)).action(async (id, options) =>
    (await load()).accessKeyChangeCommand("delete", id, options),
  )
}

function addIdentityCommands(principal: Command): void {
  const load = () => import("./commands/principal.ts")
  const create = (type: "user" | "role" | "group", description: string): Command =>
    operator(command(principal, `create-${type} <name>`, description))
      .option("--account <id>", "its account (default: 111122223333)")
      .option("--path <path>", "for instance /service/ (default: /)")
      .action(async (name, options) => (await load()).principalCreateCommand(type, name, options))
  create("user", help.principalCreateUser)
    .option("--group <name>", "a group of its account; may be repeated", collect)
    .option("--tag <name=value>", "tag, for aws:PrincipalTag; may be repeated", collect)
  create("role", help.principalCreateRole)
    .option("--trust <file>", "trust policy: who may assume it (default: whom identity policies of its account let)")
    .option("--tag <name=value>", "tag of its sessions, for aws:PrincipalTag; may be repeated", collect)
  create("group", help.principalCreateGroup)
  for (const change of ["add", "remove"] as const)
    operator(
      command(principal, `${change} <user> <group>`, { add: help.principalAdd, remove: help.principalRemove }[change]),
    ).action(async (user, group, options) => (await load()).principalMemberCommand(change, user, group, options))
  operator(command(principal, "policy <arn> <name> <file>", help.principalPolicy)).action(
    async (arn, name, file, options) => (await load()).principalPolicyCommand(arn, name, file, options),
  )
  operator(command(principal, "delete-policy <arn> <name>", help.principalDeletePolicy)).action(
    async (arn, name, options) => (await load()).principalDeletePolicyCommand(arn, name, options),
  )
  operator(command(principal, "trust <role> <file>", help.principalTrust)).action(async (arn, file, options) =>
    (await load()).principalTrustCommand(arn, file, options),
  )
  operator(command(principal, "show <arn>", help.principalShow)).action(async (arn, options) =>
    (await load()).principalShowCommand(arn, options),
  )
  operator(command(principal, "list", help.principalList)).action(async (options) =>
    (await load()).principalListCommand(options),
  )
  operator(command(principal, "delete <arn>", help.principalDelete)).action(async (arn, options) =>
    (await load()).principalDeleteCommand(arn, options),
  )
}
