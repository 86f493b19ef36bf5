import { isDeepStrictEqual } from "node:util"
import { type IamChange, iamName } from "../iam-events.ts"
import type { PrincipalRecord, PrincipalType } from "./records.ts"

export const putPolicyChange = (
  type: PrincipalType,
  policyName: string,
  policyDocument: string,
): Omit<IamChange, "arn"> => ({
  eventName: iamName("Put", type, "Policy"),
  parameters: { policyName, policyDocument },
})

/** Of a principal that was there: what differs, each as its own operation. */
export function noteChanged(before: PrincipalRecord, after: PrincipalRecord, note: (change: IamChange) => void): void {
  const { type, arn, tags, trustPolicy = "" } = after
  const policiesOf = ({ policies }: PrincipalRecord) => new Map(policies.map(({ name, text }) => [name, text]))
  const [old, now] = [policiesOf(before), policiesOf(after)]
  const parameters = { tags: Object.entries(tags).map(([key, value]) => ({ key, value })) }
  if (!isDeepStrictEqual(before.tags, tags)) note({ eventName: iamName("Tag", type), arn, parameters })
  if (before.trustPolicy !== after.trustPolicy)
    note({ eventName: "UpdateAssumeRolePolicy", arn, parameters: { policyDocument: trustPolicy } })
  for (const [name, text] of now) if (old.get(name) !== text) note({ ...putPolicyChange(type, name, text), arn })
  for (const policyName of old.keys())
    if (!now.has(policyName)) note({ eventName: iamName("Delete", type, "Policy"), arn, parameters: { policyName } })
  const [left, joined] = [before.groups ?? [], after.groups ?? []]
  for (const groupName of joined.filter((group) => !left.includes(group)))
    note({ eventName: "AddUserToGroup", arn, parameters: { groupName } })
  for (const groupName of left.filter((group) => !joined.includes(group)))
    note({ eventName: "RemoveUserFromGroup", arn, parameters: { groupName } })
}

/** AUD-1.8: as if each thing had been asked of IAM by itself. */
export function noteCreated(made: PrincipalRecord, note: (change: IamChange) => void): void {
  const { type, arn, id, tags, trustPolicy, groups = [] } = made
  const stated = {
    path: `/${arn.split("/").slice(1, -1).join("/")}/`.replace("//", "/"),
    ...(Object.keys(tags).length === 0 ? {} : { tags: Object.entries(tags).map(([key, value]) => ({ key, value })) }),
    ...(trustPolicy === undefined ? {} : { assumeRolePolicyDocument: trustPolicy }),
  }
  note({
    eventName: iamName("Create", type),
    arn,
    parameters: stated,
    response: { [type]: { arn, [`${type}Id`]: id } },
  })
  for (const { name, text } of made.policies) note({ ...putPolicyChange(type, name, text), arn })
  for (const groupName of groups) note({ eventName: "AddUserToGroup", arn, parameters: { groupName } })
}
