import type { RegisteredPrincipal, RoleOptions, UserOptions } from "../../local-kms/index.ts"
import { usageError } from "../failures.ts"
import { print } from "../fd.ts"
import { asMistake, withStore } from "../local-store.ts"
import { note } from "../messages.ts"
import type { CommonOptions } from "../options.ts"
import { formatTable, toJson } from "../text.ts"
import { readTextFile } from "../text-file.ts"

export interface CreatePrincipalOptions extends CommonOptions {
  readonly account?: string
  readonly path?: string
  readonly tag?: string[]
  readonly group?: string[]
  readonly trust?: string
}

/** Prints the ARN. */
export async function principalCreateCommand(
  type: RegisteredPrincipal["type"],
  name: string,
  options: CreatePrincipalOptions,
): Promise<void> {
  const { account, path, tag, group, trust } = options
  const request: UserOptions & RoleOptions = {
    name,
    ...(account !== undefined && { accountId: account }),
    ...(path !== undefined && { path }),
    ...(tag !== undefined && { tags: Object.fromEntries(tag.map(readTag)) }),
    ...(group !== undefined && { groups: group }),
    ...(trust !== undefined && { trustPolicy: await readTextFile(trust) }),
  }
  await withStore(options.kms, { create: true }, async ({ principals }) => {
    const create = { user: principals.createUser, role: principals.createRole, group: principals.createGroup }[type]
    const made = await create(request).catch(asMistake)
    await print(options.json ? toJson(made) : `${made.arn}\n`)
  })
}

function readTag(text: string): [string, string] {
  const at = text.indexOf("=")
  if (at <= 0) throw usageError(`--tag '${text}' is no pair`, "write --tag NAME=VALUE")
  return [text.slice(0, at), text.slice(at + 1)]
}

export const principalMemberCommand = (
  change: "add" | "remove",
  user: string,
  group: string,
  options: CommonOptions,
): Promise<void> =>
  withStore(options.kms, {}, async ({ principals }) => {
    await (change === "add" ? principals.addUserToGroup : principals.removeUserFromGroup)(user, group).catch(asMistake)
    note(`${user} is ${change === "add" ? "in" : "no longer in"} the group ${group}`)
  })

export async function principalPolicyCommand(
  arn: string,
  name: string,
  file: string,
  options: CommonOptions,
): Promise<void> {
  const policy = await readTextFile(file)
  await withStore(options.kms, {}, async ({ principals }) => {
    await principals.putPolicy(arn, name, policy).catch(asMistake)
    note(`${arn} has the policy ${name}`)
  })
}

export const principalDeletePolicyCommand = (arn: string, name: string, options: CommonOptions): Promise<void> =>
  withStore(options.kms, {}, async ({ principals }) => {
    await principals.deletePolicy(arn, name).catch(asMistake)
    note(`${arn} has no policy ${name} any more`)
  })

export async function principalTrustCommand(arn: string, file: string, options: CommonOptions): Promise<void> {
  const policy = await readTextFile(file)
  await withStore(options.kms, {}, async ({ principals }) => {
    await principals.putTrustPolicy(arn, policy).catch(asMistake)
    note(`${arn} is assumed by whom ${file} says`)
  })
}

export const principalShowCommand = (arn: string, options: CommonOptions): Promise<void> =>
  withStore(options.kms, {}, async ({ principals }) => print(toJson(await principals.get(arn).catch(asMistake))))

export const principalListCommand = (options: CommonOptions): Promise<void> =>
  withStore(options.kms, {}, async ({ principals }) => {
    const all = await principals.list()
    if (options.json) return print(toJson(all))
    if (all.length === 0) return note("nobody is registered: envelope principal create-user NAME does it")
    const rows = all.map(({ arn, groups = [], policies }) => [
      arn,
      groups.join(", ") || "-",
      Object.keys(policies).join(", ") || "-",
    ])
    return print(formatTable(["PRINCIPAL", "GROUPS", "POLICIES"], rows))
  })

export const principalDeleteCommand = (arn: string, options: CommonOptions): Promise<void> =>
  withStore(options.kms, {}, async ({ principals }) => {
    await principals.delete(arn).catch(asMistake)
    note(`${arn} is deleted`)
  })
