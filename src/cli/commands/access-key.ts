import { print } from "../fd.ts"
import { asMistake, withStore } from "../local-store.ts"
import { note } from "../messages.ts"
import type { AccessKeyCreateOptions, CommonOptions } from "../options.ts"
import { formatTable, toJson } from "../text.ts"

/** Prints what a shell can evaluate: `eval "$(envelope principal access-key create ARN)"`. */
export const accessKeyCreateCommand = (principal: string, options: AccessKeyCreateOptions): Promise<void> =>
  withStore(options.kms, { create: true }, async (kms) => {
    const { service } = options
    const key = await kms.accessKeys.create({ principal, ...(service !== undefined && { service }) }).catch(asMistake)
    const text = `AWS_ACCESS_KEY_ID=${key.accessKeyId}\nAWS_SECRET_ACCESS_KEY=${key.secretAccessKey}\n`
    await print(options.json ? toJson(key) : text)
    note("the secret is not shown again")
  })

export const accessKeyListCommand = (principal: string | undefined, options: CommonOptions): Promise<void> =>
  withStore(options.kms, {}, async (kms) => {
    const keys = await kms.accessKeys.list(principal)
    if (options.json) return print(toJson(keys))
    if (keys.length === 0) return note("no access keys yet: envelope principal access-key create ARN makes one")
    const rows = keys.map(({ accessKeyId, status, createdAt, service, principal }) => [
      accessKeyId,
      status,
      createdAt.toISOString().slice(0, 10),
      service ?? "-",
      principal,
    ])
    return print(formatTable(["ACCESS KEY ID", "STATUS", "CREATED", "SERVICE", "PRINCIPAL"], rows))
  })

const outcomes = { enable: "may sign again", disable: "is disabled", delete: "is deleted" }

export const accessKeyChangeCommand = (
  change: keyof typeof outcomes,
  accessKeyId: string,
  options: CommonOptions,
): Promise<void> =>
  withStore(options.kms, {}, async (kms) => {
    await kms.accessKeys[change](accessKeyId).catch(asMistake)
    if (options.json) await print(toJson({ accessKeyId, change }))
    else note(`${accessKeyId} ${outcomes[change]}`)
  })
