import type { LintFinding, PolicyDocument, Replay } from "../../local-kms/index.ts"
import { contextOptions } from "../context.ts"
import { CliError, orUsageError, usageError } from "../failures.ts"
import { print } from "../fd.ts"
import { keyArn } from "../keys.ts"
import { asMistake, withStore } from "../local-store.ts"
import { note, noteMore } from "../messages.ts"
import type { CommonOptions } from "../options.ts"
import type { policyCases } from "../policy-commands.ts"
import { formatTable, printable, toJson } from "../text.ts"
import { readTextFile } from "../text-file.ts"
import { withKms } from "./requests.ts"

export const policyGetCommand = (key: string, options: CommonOptions): Promise<void> =>
  withKms(options, {}, async (kms) => {
    const KeyId = await keyArn(kms, key)
    const { Policy } = await kms.send<{ Policy: string }>("GetKeyPolicy", { KeyId, PolicyName: "default" })
    await print(options.json ? toJson({ keyArn: KeyId, policy: Policy }) : `${Policy.trimEnd()}\n`)
  })

export const policyPutCommand = async (
  key: string,
  file: string,
  options: CommonOptions & { readonly bypassLockoutCheck?: boolean },
): Promise<void> => {
  const Policy = await readTextFile(file)
  await withKms(options, {}, async (kms) => {
    const KeyId = await keyArn(kms, key)
    const bypass = options.bypassLockoutCheck ? { BypassPolicyLockoutSafetyCheck: true } : {}
    await kms.send("PutKeyPolicy", { KeyId, PolicyName: "default", Policy, ...bypass })
    if (options.json) await print(toJson({ keyArn: KeyId }))
    else note(`${KeyId} has the policy in ${file}`)
  })
}

export interface ExplainOptions extends CommonOptions {
  readonly principal?: string
  readonly context?: string[]
  readonly service?: string
  readonly sourceIp?: string
  readonly policy?: string
}

export const policyExplainCommand = async (
  action: string,
  keyId: string | undefined,
  options: ExplainOptions,
): Promise<void> => {
  const { principal, service, sourceIp } = options
  const { encryptionContext } = contextOptions(options.context)
  const keyPolicy = options.policy === undefined ? undefined : await readTextFile(options.policy)
  await withStore(options.kms, {}, async (kms) => {
    const request = {
      action,
      ...(keyId !== undefined && { keyId }),
      ...(principal !== undefined && { principal }),
      ...(service !== undefined && { service }),
      ...(sourceIp !== undefined && { sourceIpAddress: sourceIp }),
      ...(encryptionContext !== undefined && { encryptionContext }),
      ...(keyPolicy !== undefined && { keyPolicy }),
    }
    const explained = await kms.explain(request).catch(asMistake)
    await print(options.json ? toJson(explained) : lines(explained.text))
  })
}

const lines = (text: string): string => text.split("\n").map(printable).join("\n")

export async function policyLintCommand(
  file: string,
  options: { readonly identity?: boolean; readonly account?: string; readonly json?: boolean },
): Promise<void> {
  const text = await readTextFile(file)
  const { describeProblem, lint, parseIdentityPolicy, parseKeyPolicy } = await import("../../local-kms/index.ts")
  const parsed = options.identity ? parseIdentityPolicy(text) : parseKeyPolicy(text)
  if (!parsed.ok) {
    if (options.json) await print(toJson(parsed.problems))
    const problems = parsed.problems.map(describeProblem)
    throw badPolicy(`${file} is no policy: ${problems.slice(0, 5).join("; ")}`)
  }
  const { account: accountId } = options
  const findings = lint(parsed.policy, accountId === undefined ? {} : { accountId })
  if (options.json) await print(toJson(findings))
  else if (findings.length === 0) note(`nothing to say about ${file}`)
  else await print(formatTable(["SEVERITY", "STATEMENT", "RULE", "FINDING"], findings.map(findingRow)))
  const errors = findings.filter(({ severity }) => severity === "error").length
  if (errors > 0) throw badPolicy(`${file} has ${errors === 1 ? "an error" : `${errors} errors`}`)
}

const findingRow = ({ severity, statement, rule, message }: LintFinding): string[] => [
  severity,
  statement === undefined ? "-" : (statement.sid ?? String(statement.index + 1)),
  rule,
  message,
]

const badPolicy = (message: string): CliError => new CliError("badPolicy", message)

export interface NewPolicyOptions {
  readonly account?: string
  readonly user?: string[]
  readonly encrypt?: string[]
  readonly decrypt?: string[]
  readonly administrator?: string[]
  readonly userAccount?: string
  readonly key?: string[]
}

export async function policyNewCommand(kind: (typeof policyCases)[number], options: NewPolicyOptions): Promise<void> {
  const policies = await import("../../local-kms/index.ts")
  const { account = "111122223333", user = [], encrypt = [], decrypt = [], administrator, key = ["*"] } = options
  const owner = { accountId: account, ...(administrator !== undefined && { administrators: administrator }) }
  const make: Record<typeof kind, () => PolicyDocument> = {
    "users-only": () => policies.usersOnlyPolicy(owner, needed(user, "--user")),
    "encrypt-decrypt": () =>
      policies.splitUsePolicy(owner, { encrypt: needed(encrypt, "--encrypt"), decrypt: needed(decrypt, "--decrypt") }),
    administrators: () =>
      policies.administratorsPolicy({ ...owner, administrators: needed(administrator ?? [], "--administrator") }, user),
    "account-use": () => policies.accountUsePolicy(owner, options.userAccount ?? missing("--user-account")),
    manage: () => policies.managementPolicy(key),
    use: () => policies.usePolicy(key),
  }
  await print(`${policies.formatPolicy(orUsageError(make[kind]))}\n`)
}

const needed = (arns: readonly string[], option: string): readonly string[] =>
  arns.length > 0 ? arns : missing(option)

const missing = (option: string): never => {
  throw usageError(`this policy takes ${option}`)
}

export const policyReplayCommand = async (
  key: string,
  file: string,
  options: CommonOptions & { readonly since?: Date; readonly until?: Date },
): Promise<void> => {
  const policy = await readTextFile(file)
  const { since, until } = options
  await withStore(options.kms, {}, async (kms) => {
    const query = { ...(since !== undefined && { since }), ...(until !== undefined && { until }) }
    const result = await kms.replayPolicy(key, policy, query).catch(asMistake)
    if (options.json) return print(toJson(result))
    const { refused, newlyAllowed, unchanged, skipped } = result
    const { describeDecision } = await import("../../local-kms/index.ts")
    const row =
      (answer: string) =>
      ({ event, action, caller, decision }: Replay["refused"][number]): string[] => [
        answer,
        event.eventTime,
        action,
        caller,
        describeDecision(decision),
      ]
    const rows = [...refused.map(row("refused")), ...newlyAllowed.map(row("allowed"))]
    if (rows.length > 0) await print(formatTable(["NOW", "TIME", "ACTION", "CALLER", "WHY"], rows))
    note(`${refused.length} refused, ${newlyAllowed.length} newly allowed, ${unchanged} as they were`)
    if (skipped.length > 0)
      noteMore(`${skipped.length} left out: no key policy decides about them, or nobody knows whose`)
  })
}
