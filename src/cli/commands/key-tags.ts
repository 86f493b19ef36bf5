import { usageError } from "../failures.ts"
import { print } from "../fd.ts"
import { keyArn } from "../keys.ts"
import type { Kms } from "../kms.ts"
import type { CommonOptions } from "../options.ts"
import { formatPairs, printable, toJson } from "../text.ts"
import { allPages, withKms } from "./requests.ts"

interface Tag {
  readonly TagKey: string
  readonly TagValue: string
}

/** Sets tags, where any are given, and prints what the key has then. */
export const keyTagCommand = (key: string, pairs: readonly string[], options: CommonOptions): Promise<void> => {
  const Tags = pairs.map(readTag)
  return withKms(options, {}, async (kms) => {
    const arn = await keyArn(kms, key)
    if (Tags.length > 0) await kms.send("TagResource", { KeyId: arn, Tags })
    await printTags(kms, arn, options)
  })
}

export const keyUntagCommand = (key: string, TagKeys: readonly string[], options: CommonOptions): Promise<void> =>
  withKms(options, {}, async (kms) => {
    const arn = await keyArn(kms, key)
    await kms.send("UntagResource", { KeyId: arn, TagKeys })
    await printTags(kms, arn, options)
  })

function readTag(text: string): Tag {
  const at = text.indexOf("=")
  if (at <= 0) throw usageError(`'${text}' is no tag`, "write NAME=VALUE")
  return { TagKey: text.slice(0, at), TagValue: text.slice(at + 1) }
}

async function printTags(kms: Kms, arn: string, { json }: CommonOptions): Promise<void> {
  const tags = await allPages<Tag>(kms, "ListResourceTags", "Tags", { KeyId: arn })
  const pairs = tags.map(({ TagKey, TagValue }): [string, string] => [TagKey, TagValue])
  if (json) return print(toJson({ keyArn: arn, tags: Object.fromEntries(pairs) }))
  return print(formatPairs(pairs.map(([name, value]) => [printable(name), printable(value)])))
}
