import type { Command } from "commander"
import { command, common } from "./command.ts"
import { collect } from "./options.ts"

const help = {
  grant: "let somebody use a key without changing a policy",
  create: "make a grant and print its id",
  list: "list the grants of a key",
  listRetirable: "list the grants that somebody, by ARN, is to retire",
  retire: "end a grant, as its retiring principal, its grantee with RetireGrant, or the account",
  revoke: "end a grant, as whoever may manage the key",
}

const after = {
  grant: `Examples:
  envelope grant create alias/app --grantee arn:aws:iam::111122223333:role/App --operation Decrypt
  envelope grant list alias/app
  envelope grant revoke alias/app GRANT-ID`,
  create: `Operations are AWS's: Decrypt, Encrypt, GenerateDataKey, GenerateDataKeyWithoutPlaintext, ReEncryptFrom,
ReEncryptTo, CreateGrant, RetireGrant, DescribeKey; of HMAC keys GenerateMac and VerifyMac.

A request that is sent again makes a second grant, unless it has a --name: then it gets the first one's id.
--json shows the token too, with which the grant can be used and retired before AWS knows it everywhere.

Examples:
  envelope grant create alias/app --grantee arn:aws:iam::111122223333:role/App --operation Encrypt,Decrypt
  envelope grant create alias/app --grantee arn:aws:iam::111122223333:role/App --operation Decrypt \\
      --context tenant=42 --exact --retiring arn:aws:iam::111122223333:role/Clerk --name tenant-42`,
  retire: `Examples:
  envelope grant retire alias/app GRANT-ID
  envelope grant create alias/app --grantee ARN --operation Decrypt --json | jq -r .grantToken > token
  envelope grant retire --token - < token`,
}

export function addGrantCommands(program: Command): void {
  const grant = command(program, "grant", help.grant, after.grant)
  const load = () => import("./commands/grant.ts")
  dry(command(grant, "create <key>", help.create, after.create))
    .requiredOption("--grantee <arn>", "who gets it: a user, role, session or account root, or a service's name")
    .requiredOption("--operation <name>", "what the grantee may do, for instance Decrypt; may be repeated", collect)
    .option("--retiring <arn>", "who may retire it")
    .option("-c, --context <name=value>", "only with this pair in the encryption context; may be repeated", collect)
    .option("--exact", "with no other pair in the encryption context than those given")
    .option("--source-arn <arn>", "only for requests that a service makes on behalf of this resource")
    .option("--name <name>", "so that the same request, sent again, makes no second grant")
    .option("--grant-token <token>", "of the grant by which you make this one; may be repeated", collect)
    .action(async (key, options) => (await load()).grantCreateCommand(key, options))
  common(command(grant, "list <key>", help.list))
    .option("--grantee <arn>", "only grants to this principal")
    .action(async (key, options) => (await load()).grantListCommand(key, options))
  common(command(grant, "list-retirable <principal>", help.listRetirable)).action(async (principal, options) =>
    (await load()).grantListRetirableCommand(principal, options),
  )
  dry(command(grant, "retire [key] [grant]", help.retire, after.retire))
    .option("--token <token>", "a token of the grant, instead of key and id; - reads standard input")
    .action(async (key, id, options) => (await load()).grantRetireCommand(key, id, options))
  dry(command(grant, "revoke <key> <grant>", help.revoke)).action(async (key, id, options) =>
    (await load()).grantRevokeCommand(key, id, options),
  )
}

const dry = (made: Command): Command => common(made.option("--dry-run", "only say whether it would succeed"))
