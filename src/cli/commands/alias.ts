import { print } from "../fd.ts"
import { keyArn } from "../keys.ts"
import { note } from "../messages.ts"
import type { AliasListOptions, CommonOptions } from "../options.ts"
import { formatTable, toJson } from "../text.ts"
import { aliasName, listAliases } from "./alias-names.ts"
import { withKms } from "./requests.ts"

export const aliasCreateCommand = (name: string, key: string, options: CommonOptions): Promise<void> =>
  pointAlias("CreateAlias", name, key, options)

export const aliasUpdateCommand = (name: string, key: string, options: CommonOptions): Promise<void> =>
  pointAlias("UpdateAlias", name, key, options)

export const aliasDeleteCommand = (name: string, options: CommonOptions): Promise<void> =>
  withKms(options, {}, async (kms) => {
    const alias = aliasName(name)
    await kms.send("DeleteAlias", { AliasName: alias })
    if (options.json) await print(toJson({ alias, deleted: true }))
    else note(`${alias} is gone; the key it stood for is not`)
  })

export const aliasListCommand = (options: AliasListOptions): Promise<void> =>
  withKms(options, {}, async (kms) => {
    const arn = options.key === undefined ? undefined : await keyArn(kms, options.key)
    const aliases = await listAliases(kms, arn)
    aliases.sort((a, b) => (a.AliasName < b.AliasName ? -1 : 1))
    if (options.json) {
      return print(
        toJson(
          aliases.map(({ AliasName, AliasArn, TargetKeyId, CreationDate, LastUpdatedDate }) => ({
            alias: AliasName,
            aliasArn: AliasArn,
            keyId: TargetKeyId,
            created: CreationDate?.toISOString(),
            updated: LastUpdatedDate?.toISOString(),
          })),
        ),
      )
    }
    if (aliases.length === 0) return note("no aliases yet: envelope alias create NAME KEY makes one")
    return print(
      formatTable(
        ["ALIAS", "KEY ID"],
        aliases.map((alias) => [alias.AliasName, alias.TargetKeyId]),
      ),
    )
  })

// --- internal ---

const pointAlias = (operation: string, name: string, key: string, options: CommonOptions): Promise<void> =>
  withKms(options, {}, async (kms) => {
    const alias = aliasName(name)
    // KMS takes no alias for the key of an alias.
    const arn = await keyArn(kms, key)
    await kms.send(operation, { AliasName: alias, TargetKeyId: arn })
    if (options.json) await print(toJson({ alias, keyArn: arn }))
    else note(`${alias} stands for ${arn}`)
  })
