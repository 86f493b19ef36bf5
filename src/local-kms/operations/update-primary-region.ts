import { notFound, unsupported, validation } from "../faults.ts"
import { keyArn } from "../identifiers.ts"
import { requireState } from "../key-state.ts"
import * as shape from "../shapes.ts"
import { isPrimary } from "./key-metadata.ts"
import { keyOperation } from "./operation.ts"

/** Primary and replica change places. On AWS both are in the state Updating for a moment; here the change is instant. */
export const UpdatePrimaryRegion = keyOperation({
  input: { KeyId: shape.requiredKeyId, PrimaryRegion: shape.region },
  readOnly: false,
  rule: "cryptography",
  handle({ PrimaryRegion: region }, call, key) {
    if (key.regions === undefined || !isPrimary(key)) throw unsupported(`${key.arn} is not a multi-region primary key.`)
    if (region === key.scope.region) throw validation(`${key.arn} is the primary key already.`)
    const scope = { ...key.scope, region }
    const replica = call.loadKey(scope, key.keyId)
    if (replica === undefined) throw notFound(`Key '${keyArn(scope, key.keyId)}' does not exist`)
    call.authorizeKey(replica, "kms:UpdatePrimaryRegion")
    requireState(replica, "cryptography")
    call.keys.saveShared(key, { regions: [region, ...key.regions.filter((name) => name !== region)] })
    return {}
  },
})
