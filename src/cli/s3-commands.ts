import type { Command } from "commander"
import { command, common } from "./command.ts"
import { usageError } from "./failures.ts"
import { collect } from "./options.ts"
import { isMissingPackage, missingPackage } from "./packages.ts"
import { parseCount } from "./quantities.ts"

const help = {
  s3: "objects in S3: encrypted on their way, looked at, moved to other keys",
  put: "encrypt a file, or standard input, into an object",
  get: "decrypt an object into a file",
  cat: "decrypt an object to standard output",
  head: "show an object: format, where its wrapped key is and under which key; needs no key",
  ls: "list buckets or objects",
  cp: "copy an object and encrypt it for its new place; from or to a file too",
  encrypt: "bring the objects below a prefix that are plaintext under the envelope",
  rewrap: "move the objects below a prefix to another KMS key",
  audit: "tell how every object is encrypted; needs no key",
  policy: "print a bucket policy that requires TLS, and SSE-KMS as the outer layer",
  rules: "the default encryption of buckets and prefixes, in a file of yours",
  rulesGet: "show it",
  rulesSet: "set that of a bucket or prefix",
  rulesClear: "forget that of a bucket or prefix",
}

const after = {
  s3: `Objects are s3://BUCKET/KEY. Without --key the default encryption holds (envelope s3 default-encryption), or else
ENVELOPE_KEY, or else alias/default of the embedded KMS.

Examples:
  envelope s3 put report.pdf s3://reports/2026/
  envelope s3 head s3://reports/2026/report.pdf
  envelope s3 cat s3://reports/2026/report.pdf --range 0-99
  envelope s3 audit s3://reports
  envelope s3 ls --endpoint http://127.0.0.1:9000`,
  put: `Examples:
  envelope s3 put report.pdf s3://reports/2026/report.pdf --key alias/app --context tenant=42
  tar -c photos | envelope s3 put - s3://backup/photos.tar
  envelope s3 put state.json s3://app/state.json --if-absent`,
  get: `Examples:
  envelope s3 get s3://reports/2026/report.pdf
  envelope s3 get s3://reports/2026/report.pdf copy.pdf --context tenant=42
  envelope s3 get s3://replica/report.pdf --bound-to s3://reports/2026/report.pdf`,
  encrypt: `Each object is written on the condition that nobody wrote it meanwhile.

Examples:
  envelope s3 encrypt s3://reports/2026/ --dry-run
  envelope s3 encrypt s3://reports --key alias/app --bucket-key --journal encrypt.journal`,
  rewrap: `S3 Encryption Client objects are rewrapped in place, messages are read and written again.

Examples:
  envelope s3 rewrap s3://reports --to alias/app-2026 --dry-run
  envelope s3 rewrap s3://reports --from alias/app --to alias/app-2026 --journal rewrap.journal`,
  audit: `Ends with exit code 34 when it finds what --fail-on names: plaintext, unknown (what cannot be read or told), key
(with --under-key), uploads (unfinished ones), uncommitted (suites without key commitment), or none.
Default: plaintext, unknown and key.

Examples:
  envelope s3 audit s3://reports --versions
  envelope s3 audit s3://reports --under-key alias/app --json
  envelope s3 audit s3://reports --inventory s3://inventories/reports/daily/2026-11-24T00-00Z/manifest.json`,
  rules: `Examples:
  envelope s3 default-encryption set s3://reports --key alias/app --bucket-key
  envelope s3 default-encryption set s3://reports/public/ --off
  envelope s3 default-encryption get s3://reports`,
}

/** Each command's code, and with it the AWS SDK, is loaded when it is called. */
export function addS3Commands(program: Command): void {
  const s3 = command(program, "s3", help.s3, after.s3)
  const transfer = () => orMissing(import("./commands/s3-transfer.ts"))
  writing(place(common(command(s3, "put <file> <place>", help.put, after.put)))).action(async (file, to, options) =>
    (await transfer()).s3PutCommand(file, to, options),
  )
  downloading(place(common(command(s3, "get <object> [file]", help.get, after.get))))
    .option("-f, --force", "replace the file if it exists")
    .action(async (from, file, options) => (await transfer()).s3GetCommand(from, file, options))
  downloading(place(common(command(s3, "cat <object>", help.cat)))).action(async (from, options) =>
    (await transfer()).s3CatCommand(from, options),
  )
  addLookCommands(s3)
  writing(place(common(command(s3, "cp <from> <to>", help.cp))))
    .option("--account <id>", "any key of this AWS account may decrypt the source, or of any", collect)
    .option("-f, --force", "replace the file if it exists")
    .action(async (from, to, options) => (await transfer()).s3CopyCommand(from, to, options))
  addMigrationCommands(s3)
  addAuditCommand(s3)
  command(s3, "policy <place>", help.policy)
    .option("--outer-key <arn>", "require SSE-KMS under this KMS key")
    .option("--partition <name>", "aws-cn or aws-us-gov instead of aws")
    .action(async (text, options) => (await orMissing(import("./commands/s3-audit.ts"))).s3PolicyCommand(text, options))
  addRuleCommands(s3)
}

// --- internal ---

const orMissing = <T>(module: Promise<T>): Promise<T> =>
  module.catch((error: unknown) => {
    throw isMissingPackage(error) ? missingPackage("S3", "@aws-sdk/client-s3", error, "s3Unreachable") : error
  })

const place = (made: Command): Command =>
  made
    .option("--endpoint <url>", "an S3 server other than AWS (default: AWS_ENDPOINT_URL_S3)")
    .option("--region <region>", "the Region of the bucket (default: that of the AWS SDK)")

const context = (made: Command): Command =>
  made
    .option("-c, --context <name=value>", "pair of the encryption context; may be repeated", collect)
    .option("--object-context <what>", "arn binds an object to its place, none does not (default: arn)", parseContext)
    .option("--parallel <count>", "parts or ranges at a time (default: 4)", parseCount)

const writing = (made: Command): Command =>
  context(
    made
      .option("-k, --key <key>", "KMS key to encrypt under: ARN, id or alias/NAME; repeat it for more keys", collect)
      .option("--bucket-key", "one KMS call for many objects of a bucket"),
  )
    .option("--format <format>", "message (default) or s3ec, as the S3 Encryption Client writes", parseFormat)
    .option("--content-type <type>", "the object's Content-Type")
    .option("--storage-class <class>", "for instance STANDARD_IA")
    .option("--metadata <name=value>", "user metadata, in the clear; may be repeated", collect)
    .option("--if-absent", "only where there is no object yet")

const downloading = (made: Command): Command =>
  context(
    made
      .option("-k, --key <key>", "only this key may decrypt: ARN, id or alias/NAME; may be repeated", collect)
      .option("--account <id>", "any key of this AWS account may decrypt, or of any; may be repeated", collect),
  )
    .option("--range <bytes>", "only these bytes of the plaintext: 0-99, 100-, or -16 for the last 16")
    .option("--bound-to <object>", "where the object was when it was written")
    .option("--version-id <id>", "an older version")
    .option("--allow-plaintext", "objects that are not encrypted too")

function addLookCommands(s3: Command): void {
  const load = () => orMissing(import("./commands/s3-look.ts"))
  place(command(s3, "head <object>", help.head))
    .option("--version-id <id>", "an older version")
    .option("--json", "print JSON")
    .action(async (text, options) => (await load()).s3HeadCommand(text, options))
  place(command(s3, "ls [place]", help.ls))
    .option("-r, --recursive", "what is below, too")
    .option("-l, --long", "look into each: format, suite and key")
    .option("--json", "print JSON")
    .action(async (text, options) => (await load()).s3ListCommand(text, options))
}

const migrating = (made: Command): Command =>
  context(place(common(made)).option("--bucket-key", "one KMS call for many objects of a bucket"))
    .option("--dry-run", "say what would be done, and write nothing")
    .option("--journal <file>", "keep there how far it is, and go on from there")
    .option("--concurrency <count>", "objects at a time (default: 8)", parseCount)
    .option("--no-versions", "do not list noncurrent versions")

function addMigrationCommands(s3: Command): void {
  const load = () => orMissing(import("./commands/s3-migrate.ts"))
  migrating(command(s3, "encrypt <place>", help.encrypt, after.encrypt))
    .option("-k, --key <key>", "KMS key to encrypt under: ARN, id or alias/NAME; repeat it for more keys", collect)
    .action(async (text, options) => (await load()).s3EncryptCommand(text, options))
  migrating(command(s3, "rewrap <place>", help.rewrap, after.rewrap))
    .option("--to <key>", "the new key: ARN, id or alias/NAME")
    .option("--from <key>", "only objects under this key")
    .option("--account <id>", "any key of this AWS account may decrypt messages, or of any", collect)
    .action(async (text, options) => (await load()).s3RewrapCommand(text, options))
}

function addAuditCommand(s3: Command): void {
  const load = () => orMissing(import("./commands/s3-audit.ts"))
  place(common(command(s3, "audit <place>", help.audit, after.audit)))
    .option("--versions", "noncurrent versions too")
    .option("--inventory <manifest>", "an S3 Inventory (CSV) instead of listing: s3://…/manifest.json")
    .option("--under-key <key>", "is this key still needed? ARN, id or alias/NAME")
    .option("--fail-on <what>", "what ends it with exit code 34; may be repeated", collect)
    .option("--list", "show every object, not only what was found")
    .option("--concurrency <count>", "objects at a time (default: 16)", parseCount)
    .action(async (text, { underKey: key, ...options }) =>
      (await load()).s3AuditCommand(text, { ...options, ...(key !== undefined && { key }) }),
    )
}

function addRuleCommands(s3: Command): void {
  const rules = command(s3, "default-encryption", help.rules, after.rules)
  const load = () => orMissing(import("./commands/s3-default-encryption.ts"))
  command(rules, "get [place]", help.rulesGet)
    .option("--json", "print JSON")
    .action(async (text, options) => (await load()).defaultEncryptionGetCommand(text, options))
  command(rules, "set <place>", help.rulesSet)
    .option("-k, --key <key>", "a customer managed KMS key: ARN, id or alias/NAME")
    .option("--aws-owned-key", "a key that the embedded KMS's S3 owns, in the place of SSE-S3")
    .option("--aws-managed-key", "alias/aws/s3 of the embedded KMS, in the place of SSE-KMS without a key id")
    .option("--off", "no encryption")
    .option("--bucket-key", "with bucket keys: one KMS call for many objects")
    .option("-q, --quiet", "print nothing but errors")
    .action(async (text, options) => (await load()).defaultEncryptionSetCommand(text, options))
  command(rules, "clear <place>", help.rulesClear).action(async (text) =>
    (await load()).defaultEncryptionClearCommand(text),
  )
}

function parseContext(text: string): "arn" | "none" {
  if (text === "arn" || text === "none") return text
  throw usageError(`'${text}' is no object context`, "arn or none")
}

function parseFormat(text: string): "message" | "s3ec" {
  if (text === "message" || text === "s3ec") return text
  throw usageError(`'${text}' is no format`, "message or s3ec")
}
