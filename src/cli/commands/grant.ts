import { contextOptions } from "../context.ts"
import { usageError } from "../failures.ts"
import { print } from "../fd.ts"
import { keyArn } from "../keys.ts"
import type { Kms } from "../kms.ts"
import { note } from "../messages.ts"
import type { CommonOptions } from "../options.ts"
import { formatTable, toJson } from "../text.ts"
import { readTextFile } from "../text-file.ts"
import { allPages, withKms } from "./requests.ts"

interface DryOptions extends CommonOptions {
  readonly dryRun?: boolean
}

export interface GrantCreateOptions extends DryOptions {
  readonly grantee: string
  readonly operation: string[]
  readonly retiring?: string
  readonly context?: string[]
  readonly exact?: boolean
  readonly sourceArn?: string
  readonly name?: string
  readonly grantToken?: string[]
}

/** Prints the grant's id, so that `GRANT=$(envelope grant create …)` works. */
export function grantCreateCommand(key: string, options: GrantCreateOptions): Promise<void> {
  const { grantee, operation, retiring, name, grantToken } = options
  const Operations = operation.flatMap((text) => text.split(","))
  const Constraints = constraintsOf(options)
  return withKms(options, {}, async (kms) => {
    const KeyId = await keyArn(kms, key)
    const made = await sendUnlessDry<{ GrantId: string; GrantToken: string }>(kms, "CreateGrant", options, {
      KeyId,
      ...principalMember("Grantee", grantee),
      ...(retiring !== undefined && principalMember("Retiring", retiring)),
      Operations,
      ...(Constraints !== undefined && { Constraints }),
      ...(name !== undefined && { Name: name }),
      ...(grantToken !== undefined && { GrantTokens: grantToken }),
    })
    if (made === undefined) return
    const { GrantId, GrantToken } = made
    await print(options.json ? toJson({ keyArn: KeyId, grantId: GrantId, grantToken: GrantToken }) : `${GrantId}\n`)
    note(`${grantee} may ${Operations.join(", ")} with ${KeyId}`)
  })
}

export const grantListCommand = (key: string, options: CommonOptions & { readonly grantee?: string }): Promise<void> =>
  withKms(options, {}, async (kms) => {
    const KeyId = await keyArn(kms, key)
    const { grantee } = options
    const input = { KeyId, ...(grantee !== undefined && principalMember("Grantee", grantee)) }
    const grants = await allPages<GrantEntry>(kms, "ListGrants", "Grants", input)
    await printGrants(grants, options, `${KeyId} has no such grant`, "NAME", ({ Name }) => Name || "-")
  })

export const grantListRetirableCommand = (principal: string, options: CommonOptions): Promise<void> =>
  withKms(options, {}, async (kms) => {
    const input = principalMember("Retiring", principal)
    const grants = await allPages<GrantEntry>(kms, "ListRetirableGrants", "Grants", input)
    await printGrants(grants, options, `${principal} has no grant to retire`, "KEY", ({ KeyId }) => KeyId)
  })

export async function grantRetireCommand(
  key: string | undefined,
  grant: string | undefined,
  options: DryOptions & { readonly token?: string },
): Promise<void> {
  if ((options.token === undefined) === (grant === undefined) || (options.token !== undefined && key !== undefined))
    throw usageError("name the grant by key and id, or by --token", "envelope grant list KEY shows the ids")
  const GrantToken = options.token === "-" ? (await readTextFile("-")).trim() : options.token
  await withKms(options, {}, async (kms) => {
    const input = GrantToken === undefined ? { KeyId: await keyArn(kms, key!), GrantId: grant } : { GrantToken }
    const done = await sendUnlessDry(kms, "RetireGrant", options, input)
    if (done !== undefined) await tellEnd(grant, options, "is retired")
  })
}

export const grantRevokeCommand = (key: string, GrantId: string, options: DryOptions): Promise<void> =>
  withKms(options, {}, async (kms) => {
    const done = await sendUnlessDry(kms, "RevokeGrant", options, { KeyId: await keyArn(kms, key), GrantId })
    if (done !== undefined) await tellEnd(GrantId, options, "is revoked")
  })

// --- internal ---

/** A service has a host name, such as `s3.amazonaws.com`, and a parameter of its own. */
const principalMember = (role: "Grantee" | "Retiring", principal: string): object =>
  principal.startsWith("arn:") || !principal.includes(".")
    ? { [`${role}Principal`]: principal }
    : { [`${role}ServicePrincipal`]: principal }

function constraintsOf({ context, exact, sourceArn }: GrantCreateOptions): object | undefined {
  if (context === undefined && !exact && sourceArn === undefined) return undefined
  const { encryptionContext = {} } = contextOptions(context)
  return {
    ...(exact && { EncryptionContextEquals: encryptionContext }),
    ...(context !== undefined && !exact && { EncryptionContextSubset: encryptionContext }),
    ...(sourceArn !== undefined && { SourceArn: sourceArn }),
  }
}

/** @returns undefined for a dry run, which KMS answers with an error when all is well */
async function sendUnlessDry<T extends object>(
  kms: Kms,
  operation: string,
  { dryRun, json }: DryOptions,
  input: object,
): Promise<T | undefined> {
  if (!dryRun) return kms.send<T>(operation, input)
  await kms.send(operation, { ...input, DryRun: true }).catch((error: Error) => {
    if (error.name !== "DryRunOperationException") throw error
  })
  if (json) await print(toJson({ wouldSucceed: true }))
  else note("this would succeed; nothing was done")
  return undefined
}

async function tellEnd(grantId: string | undefined, { json }: CommonOptions, end: string): Promise<void> {
  if (json) await print(toJson({ ...(grantId !== undefined && { grantId }), ended: true }))
  else note(`${grantId === undefined ? "the grant" : `the grant ${grantId}`} ${end}`)
}

interface GrantEntry {
  readonly GrantId: string
  readonly KeyId: string
  readonly Name?: string
  readonly CreationDate?: Date
  readonly GranteePrincipal?: string
  readonly GranteeServicePrincipal?: string
  readonly RetiringPrincipal?: string
  readonly RetiringServicePrincipal?: string
  readonly IssuingAccount?: string
  readonly Operations?: readonly string[]
  readonly Constraints?: {
    readonly EncryptionContextEquals?: Readonly<Record<string, string>>
    readonly EncryptionContextSubset?: Readonly<Record<string, string>>
    readonly SourceArn?: string
  }
}

async function printGrants(
  grants: readonly GrantEntry[],
  { json }: CommonOptions,
  none: string,
  heading: string,
  cell: (grant: GrantEntry) => string,
): Promise<void> {
  if (json) return print(toJson(grants.map(grantJson)))
  if (grants.length === 0) return note(none)
  const rows = grants.map((grant) => [
    grant.GrantId,
    grant.CreationDate?.toISOString().slice(0, 10) ?? "",
    cell(grant),
    granteeOf(grant) ?? "-",
    (grant.Operations ?? []).join(", "),
    shownConstraints(grant),
  ])
  return print(formatTable(["GRANT ID", "CREATED", heading, "GRANTEE", "OPERATIONS", "ONLY WITH"], rows))
}

const granteeOf = ({ GranteePrincipal, GranteeServicePrincipal }: GrantEntry): string | undefined =>
  GranteePrincipal ?? GranteeServicePrincipal

function shownConstraints({ Constraints = {} }: GrantEntry): string {
  const { EncryptionContextEquals: equals, EncryptionContextSubset: subset, SourceArn } = Constraints
  const pairs = (context: Readonly<Record<string, string>>): string[] =>
    Object.entries(context).map(([name, value]) => `${name}=${value}`)
  const shown = [
    ...(subset === undefined ? [] : pairs(subset)),
    ...(equals === undefined ? [] : [...pairs(equals), "no other context"]),
    ...(SourceArn === undefined ? [] : [`on behalf of ${SourceArn}`]),
  ]
  return shown.join(", ") || "-"
}

const grantJson = (grant: GrantEntry): object => ({
  grantId: grant.GrantId,
  keyArn: grant.KeyId,
  name: grant.Name ?? "",
  created: grant.CreationDate?.toISOString(),
  grantee: granteeOf(grant),
  retiring: grant.RetiringPrincipal ?? grant.RetiringServicePrincipal,
  issuingAccount: grant.IssuingAccount,
  operations: grant.Operations,
  constraints: grant.Constraints ?? {},
})
