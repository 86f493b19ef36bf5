import { keyPolicyText } from "../authorization.ts"
import { notFound } from "../faults.ts"
import { checkKeyPolicy } from "../key-policy.ts"
import { pageOutput, readListPage } from "../paging.ts"
import * as shape from "../shapes.ts"
import { keyOperation, type Operation } from "./operation.ts"

const LIST_POLICIES_PAGE = 100
const DEFAULT = "default"

const policyName = { type: "string", min: 1, max: 128, pattern: /^[\w]+$/ } as const

/** A key has one policy, and that is its name. */
function checkPolicyName(name = DEFAULT): void {
  if (name !== DEFAULT) throw notFound("No such policy exists")
}

const PutKeyPolicy = keyOperation({
  input: {
    KeyId: shape.requiredKeyId,
    PolicyName: policyName,
    Policy: { ...shape.policy, required: true },
    BypassPolicyLockoutSafetyCheck: { type: "boolean" },
  },
  readOnly: false,
  rule: "read",
  handle(input, call, key) {
    checkPolicyName(input.PolicyName)
    checkKeyPolicy(call, input, key.scope, key.keyId)
    call.keys.saveRegional(key, { policy: input.Policy })
    return {}
  },
})

const GetKeyPolicy = keyOperation({
  input: { KeyId: shape.requiredKeyId, PolicyName: policyName },
  readOnly: true,
  rule: "read",
  handle({ PolicyName }, _call, key) {
    checkPolicyName(PolicyName)
    return { Policy: keyPolicyText(key), PolicyName: DEFAULT }
  },
})

const ListKeyPolicies = keyOperation({
  input: { KeyId: shape.requiredKeyId, Limit: shape.limit, Marker: shape.marker },
  readOnly: true,
  rule: "read",
  handle({ Limit = LIST_POLICIES_PAGE, Marker }) {
    return pageOutput("PolicyNames", readListPage("ListKeyPolicies", [[DEFAULT, DEFAULT]], Limit, Marker))
  },
})

export const policies: Record<string, Operation> = { PutKeyPolicy, GetKeyPolicy, ListKeyPolicies }
