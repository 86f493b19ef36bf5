import { CliError } from "../failures.ts"
import { print } from "../fd.ts"
import { checkKey, keyArn } from "../keys.ts"
import type { Kms } from "../kms.ts"
import { note } from "../messages.ts"
import type { CommonOptions, KeyCreateOptions } from "../options.ts"
import { formatPairs, formatTable, printable, toJson } from "../text.ts"
import { type AliasEntry, aliasName, listAliases } from "./alias-names.ts"
import { allPages, mapLimited, withKms } from "./requests.ts"

interface KeyMetadata {
  readonly KeyId: string
  readonly Arn: string
  readonly KeyState: string
  readonly Description?: string
  readonly CreationDate?: Date
  readonly DeletionDate?: Date
  readonly MultiRegion?: boolean
  readonly KeySpec?: string
  readonly Origin?: string
}

/** Prints the new key's ARN, so that `KEY=$(envelope key create)` works. */
export async function keyCreateCommand(options: KeyCreateOptions): Promise<void> {
  const { description, multiRegion, hmac, external, json } = options
  const alias = options.alias === undefined ? undefined : aliasName(options.alias)
  await withKms(options, { create: true }, async (kms) => {
    if (alias !== undefined) await checkFree(kms, alias)
    const { KeyMetadata } = await kms.send<{ KeyMetadata: KeyMetadata }>("CreateKey", {
      ...(description !== undefined && { Description: description }),
      ...(multiRegion && { MultiRegion: true }),
      ...(hmac !== undefined && { KeySpec: `HMAC_${hmac}`, KeyUsage: "GENERATE_VERIFY_MAC" }),
      ...(external && { Origin: "EXTERNAL" }),
    })
    if (alias !== undefined) await nameKey(kms, alias, KeyMetadata.Arn)
    await print(json ? toJson(keyJson(KeyMetadata, alias === undefined ? [] : [alias])) : `${KeyMetadata.Arn}\n`)
    if (alias !== undefined) note(`${alias} stands for it`)
  })
}

export const keyListCommand = (options: CommonOptions): Promise<void> =>
  withKms(options, {}, async (kms) => {
    const listed = await allPages<{ KeyArn: string }>(kms, "ListKeys", "Keys")
    const aliases = await listAliases(kms)
    const keys = await mapLimited(listed, ({ KeyArn }) => describe(kms, KeyArn))
    keys.sort((a, b) => (a.CreationDate?.getTime() ?? 0) - (b.CreationDate?.getTime() ?? 0))
    if (options.json) return print(toJson(keys.map((key) => keyJson(key, namesOf(key, aliases)))))
    if (keys.length === 0) return note("no keys yet: envelope key create --alias default makes one")
    const rows = keys.map((key) => [
      key.KeyId,
      key.KeyState,
      key.CreationDate?.toISOString().slice(0, 10) ?? "",
      namesOf(key, aliases).join(", ") || "-",
      key.Description ?? "",
    ])
    return print(formatTable(["KEY ID", "STATE", "CREATED", "ALIASES", "DESCRIPTION"], rows))
  })

export const keyDescribeCommand = (key: string, options: CommonOptions): Promise<void> =>
  withKms(options, {}, async (kms) => {
    const metadata = await describe(kms, checkKey(kms, key))
    const names = namesOf(metadata, await listAliases(kms, metadata.Arn))
    if (options.json) return print(toJson(keyJson(metadata, names)))
    const pairs: [string, string | undefined][] = [
      ["ARN", metadata.Arn],
      ["key id", metadata.KeyId],
      ["state", metadata.KeyState],
      ["aliases", names.join(", ") || "none"],
      ["description", metadata.Description],
      ["created", metadata.CreationDate?.toISOString()],
      ["to be deleted", metadata.DeletionDate?.toISOString()],
      ["spec", metadata.KeySpec],
      ["material", metadata.Origin],
      ["multi-Region", metadata.MultiRegion ? "yes" : "no"],
    ]
    return print(formatPairs(pairs.flatMap(([name, value]) => (value ? [[name, printable(value)] as const] : []))))
  })

export const keyEnableCommand = (key: string, options: CommonOptions): Promise<void> =>
  changeState("EnableKey", key, options, "is enabled")

export const keyDisableCommand = (key: string, options: CommonOptions): Promise<void> =>
  changeState("DisableKey", key, options, "is disabled: it neither encrypts nor decrypts until it is enabled again")

// --- internal ---

/** A name taken already would leave a key without one behind, which costs money at AWS. */
async function checkFree(kms: Kms, alias: string): Promise<void> {
  const taken = await describe(kms, alias).catch((error: Error) => {
    if (error.name === "NotFoundException" || error.name === "AccessDeniedException") return undefined
    throw error
  })
  if (taken === undefined) return
  throw new CliError("kmsRefused", `${alias} stands for ${taken.Arn} already: no key was made`, {
    hint: "choose another --alias, or make the key without one and move the name: envelope alias update",
  })
}

async function nameKey(kms: Kms, alias: string, arn: string): Promise<void> {
  try {
    await kms.send("CreateAlias", { AliasName: alias, TargetKeyId: arn })
  } catch (cause) {
    const { message } = cause as Error
    throw new CliError("kmsRefused", `the key ${arn} was made, but cannot be called ${alias}: ${message}`, { cause })
  }
}

async function describe(kms: Kms, key: string): Promise<KeyMetadata> {
  return (await kms.send<{ KeyMetadata: KeyMetadata }>("DescribeKey", { KeyId: key })).KeyMetadata
}

const changeState = (operation: string, key: string, options: CommonOptions, outcome: string): Promise<void> =>
  withKms(options, {}, async (kms) => {
    const arn = await keyArn(kms, key)
    await kms.send(operation, { KeyId: arn })
    if (options.json) await print(toJson({ keyArn: arn, enabled: operation === "EnableKey" }))
    else note(`${arn} ${outcome}`)
  })

const namesOf = ({ KeyId }: KeyMetadata, aliases: readonly AliasEntry[]): string[] =>
  aliases.filter(({ TargetKeyId }) => TargetKeyId === KeyId).map(({ AliasName }) => AliasName)

const keyJson = (key: KeyMetadata, aliases: readonly string[]): object => ({
  keyArn: key.Arn,
  keyId: key.KeyId,
  state: key.KeyState,
  aliases,
  description: key.Description ?? "",
  created: key.CreationDate?.toISOString(),
  deletionDate: key.DeletionDate?.toISOString(),
  spec: key.KeySpec,
  origin: key.Origin,
  multiRegion: key.MultiRegion ?? false,
})
