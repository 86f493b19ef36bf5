import { type Command, Option } from "commander"
import { command, operator } from "./command.ts"
import { collect } from "./options.ts"
import { parseCount, parseMonth, parsePercent, parseSeconds, parseTime } from "./quantities.ts"

const help = {
  audit: "show who did what with the embedded KMS: its audit trail",
  verify: "compare the trail with what the KMS wrote",
  digest: "sign what the trail holds now; keep the output elsewhere, for audit verify --digest",
  publicKey: "print the key that verifies digests and delivered files (PEM)",
  deliver: "write what is new into a folder or s3://BUCKET/PREFIX, as CloudTrail log files with signed digest files",
  verifyDelivery: "check what was delivered to a folder or s3://BUCKET/PREFIX with the public key",
  cost: "say what AWS KMS costs",
  estimate: "what a workload would cost in a month",
}

const after = {
  audit: `Times are like 2026-05-20, 2026-05-20T20:45:00Z, or 15m, 2h, 7d ago. The options of a search hold together.

Examples:
  envelope audit --since 1h --error AccessDenied
  envelope audit --resource arn:aws:s3:::photos/cat.jpg --json | jq '.[].userIdentity.arn'
  envelope audit --context tenant=42 --follow
  envelope audit verify
  envelope audit deliver /var/log/kms`,
  digest: `Examples:
  envelope audit digest > /safe/digest.json
  envelope audit verify --digest /safe/digest.json`,
  deliver: `In a bucket the files are encrypted, as envelope s3 put encrypts.

Examples:
  envelope audit deliver /var/log/kms
  envelope audit deliver s3://logs/kms/ --encrypt-key alias/logs`,
  verifyDelivery: `Examples:
  envelope audit public-key > audit.pem
  envelope audit verify-delivery /var/log/kms --public-key audit.pem`,
  cost: `Examples:
  envelope cost --actual
  envelope cost --actual --month 2026-05 --json
  envelope cost estimate --keys 1 --volumes 250
  envelope cost estimate --keys 1 --objects-written 10000 --objects-read 2000000`,
}

/** Commands about what the embedded KMS recorded. Options of a command with subcommands are theirs too, wherever they stand. */
export function addAuditCommands(program: Command): void {
  const audit = search(operator(command(program, "audit", help.audit, after.audit)))
  const load = () => import("./commands/audit.ts")
  audit.action(async (options) => (await load()).auditListCommand(options))
  operator(command(audit, "verify", help.verify))
    .option("--digest <file>", "the trail must still hold what this digest tells of")
    .action(async (_options, made) => (await load()).auditVerifyCommand(made.optsWithGlobals()))
  operator(command(audit, "digest", help.digest, after.digest)).action(async (_options, made) =>
    (await load()).auditDigestCommand(made.optsWithGlobals()),
  )
  operator(command(audit, "public-key", help.publicKey)).action(async (_options, made) =>
    (await load()).auditPublicKeyCommand(made.optsWithGlobals()),
  )
  inBucket(operator(command(audit, "deliver <folder>", help.deliver, after.deliver)))
    .option("--encrypt-key <key>", "key of the embedded KMS for the files in a bucket (default: alias/default)")
    .action(async (folder, _options, made) => (await load()).auditDeliverCommand(folder, made.optsWithGlobals()))
  inBucket(operator(command(audit, "verify-delivery <folder>", help.verifyDelivery, after.verifyDelivery)))
    .option("--public-key <file>", "the key (PEM), instead of asking the embedded KMS")
    .action(async (folder, _options, made) => (await load()).auditVerifyDeliveryCommand(folder, made.optsWithGlobals()))
}

export function addCostCommands(program: Command): void {
  const cost = operator(command(program, "cost", help.cost, after.cost))
  const load = () => import("./commands/cost.ts")
  cost
    .option("--actual", "of what the embedded KMS did: its requests and keys at AWS's prices")
    .option("--month <month>", "for instance 2026-05 (default: this month, up to now)", parseMonth)
    .option("--account <id>", "whose bill (default: 111122223333)")
    .action(async (options) => (await load()).costActualCommand(options))
  command(cost, "estimate", help.estimate)
    .option("--keys <count>", "customer managed keys", parseCount)
    .option("--rotations-per-key <count>", "how often each has been rotated", parseCount)
    .option("--volumes <count>", "volumes created and attached", parseCount)
    .option("--requests-per-volume <count>", "KMS requests for each (default: 3)", parseCount)
    .option("--objects-written <count>", "objects written", parseCount)
    .option("--objects-read <count>", "objects read", parseCount)
    .option("--other-requests <count>", "requests of any other kind", parseCount)
    .option("--bucket-key", "objects share bucket keys, as this library holds them")
    .option("--buckets <count>", "in so many buckets (default: 1)", parseCount)
    .option("--processes <count>", "in so many processes (default: 1)", parseCount)
    .option("--max-age <seconds>", "each for so long (default: 300)", parseSeconds)
    .addOption(
      new Option("--bucket-key-saves <percent>", "or: a bucket key saves so much of the objects' requests")
        .argParser(parsePercent)
        .conflicts(["bucketKey", "buckets", "processes", "maxAge"]),
    )
    .option("--month <month>", "at the prices of this month (default: the newest)", parseMonth)
    .option("--json", "print JSON")
    .action(async (_options, made) => (await load()).costEstimateCommand(made.optsWithGlobals()))
}

// --- internal ---

/** The place may be s3://BUCKET/PREFIX. */
const inBucket = (made: Command): Command =>
  made
    .option("--endpoint <url>", "for s3://: a server other than AWS (default: AWS_ENDPOINT_URL_S3)")
    .option("--region <region>", "for s3://: the Region of the bucket (default: that of the AWS SDK)")

const search = (made: Command): Command =>
  made
    .option("-k, --key <key>", "events about this key: ARN, id or alias/NAME")
    .option("-e, --event <name>", "the operation, for instance Decrypt")
    .option("--principal <arn>", "the caller; a role means all its sessions")
    .option("--error <code>", "the error, for instance AccessDenied; none for what succeeded")
    .option("-r, --resource <name>", "an S3 object's ARN, a volume's id, or the ARN of a key or alias")
    .option("-c, --context <name=value>", "pair of the encryption context; may be repeated", collect)
    .option("--since <time>", "not before", parseTime)
    .option("--until <time>", "before", parseTime)
    .option("-n, --last <count>", "only the newest so many (default: 100, or all with --since or --until)", parseCount)
    .option("-f, --follow", "go on with what happens, until Ctrl-C; JSON is one event a line then")
