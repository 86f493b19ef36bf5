import { keyPolicyText } from "../authorization.ts"
import { alreadyExists, unsupported, validation } from "../faults.ts"
import { checkKeyPolicy } from "../key-policy.ts"
import * as shape from "../shapes.ts"
import { checkTags, noteCreated, requireKeyQuota } from "./create-key.ts"
import { isPrimary, keyMetadata } from "./key-metadata.ts"
import { keyOperation } from "./operation.ts"

export const ReplicateKey = keyOperation({
  input: {
    KeyId: shape.requiredKeyId,
    ReplicaRegion: shape.region,
    Policy: shape.policy,
    BypassPolicyLockoutSafetyCheck: { type: "boolean" },
    Description: shape.description,
    Tags: shape.tags,
  },
  readOnly: false,
  rule: "cryptography",
  handle(input, call, key) {
    const tags = checkTags(input.Tags ?? [])
    const { ReplicaRegion: region } = input
    if (key.regions === undefined || !isPrimary(key)) throw unsupported(`${key.arn} is not a multi-region primary key.`)
    if (region === key.scope.region) throw validation("A key cannot be replicated into its own Region.")
    call.authorize("kms:CreateKey", region)
    const scope = { ...key.scope, region }
    if (tags.length > 0) call.authorizeNewKey(scope, key.keyId, "kms:TagResource")
    if (call.keys.load(scope, key.keyId) !== undefined)
      throw alreadyExists(`A replica of ${key.keyId} already exists in ${region}.`)
    requireKeyQuota(call, scope)
    const { Policy } = input
    if (Policy !== undefined) checkKeyPolicy(call, { ...input, Policy }, scope, key.keyId)
    const state = key.origin === "EXTERNAL" ? "PendingImport" : "Enabled"
    const replica = call.keys.insert(
      scope,
      key.keyId,
      { createdAt: call.now, description: input.Description ?? "", state, tags, policy: Policy },
      { ...key, regions: [...key.regions, region] },
    )
    const metadata = keyMetadata(replica)
    noteCreated(call, metadata, "replicaKeyMetadata")
    return { ReplicaKeyMetadata: metadata, ReplicaPolicy: keyPolicyText(replica), ReplicaTags: tags }
  },
})
