import type { Tag } from "../keys.ts"
import { pageOutput, readListPage } from "../paging.ts"
import * as shape from "../shapes.ts"
import { checkTagKeys, checkTags } from "./create-key.ts"
import { keyOperation, type Operation } from "./operation.ts"

const LIST_TAGS_MAX = 50

const TagResource = keyOperation({
  input: { KeyId: shape.requiredKeyId, Tags: { ...shape.tags, required: true } },
  readOnly: false,
  rule: "manage",
  handle({ Tags }, call, key) {
    const given = new Map(checkTags(Tags).map((tag) => [tag.TagKey, tag]))
    const kept = key.tags.filter(({ TagKey }) => !given.has(TagKey))
    call.keys.saveRegional(key, { tags: checkTags([...kept, ...given.values()]) })
    return {}
  },
})

const UntagResource = keyOperation({
  input: {
    KeyId: shape.requiredKeyId,
    TagKeys: { type: "list", of: { type: "string", min: 1, max: 128 }, required: true },
  },
  readOnly: false,
  rule: "manage",
  handle({ TagKeys }, call, key) {
    checkTagKeys(TagKeys)
    const removed = new Set(TagKeys)
    call.keys.saveRegional(key, { tags: key.tags.filter(({ TagKey }) => !removed.has(TagKey)) })
    return {}
  },
})

const ListResourceTags = keyOperation({
  input: { KeyId: shape.requiredKeyId, Limit: shape.limit, Marker: shape.marker },
  readOnly: true,
  rule: "read",
  handle({ Limit = LIST_TAGS_MAX, Marker }, _call, key) {
    const entries = key.tags.map((tag): readonly [string, Tag] => [tag.TagKey, tag])
    entries.sort(([a], [b]) => (a < b ? -1 : 1))
    return pageOutput("Tags", readListPage("ListResourceTags", entries, Math.min(Limit, LIST_TAGS_MAX), Marker))
  },
})

export const tags: Record<string, Operation> = { TagResource, UntagResource, ListResourceTags }
