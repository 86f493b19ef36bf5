import { ACCOUNT, ALIAS, allowAll, type Case, IAM, KEY, KMS, OTHER_KEY, REGION, type Verdict } from "../world.ts"

const actionPage = `${IAM}/reference_policies_elements_action.html`
const notActionPage = `${IAM}/reference_policies_elements_notaction.html`
const resourcePage = `${IAM}/reference_policies_elements_resource.html`
const notResourcePage = `${IAM}/reference_policies_elements_notresource.html`
const aliasPage = `${KMS}/alias-access.html`
const allow = (element: object) => ({ Effect: "Allow", Principal: "*", Resource: "*", ...element })

type Row = readonly [stated: unknown, action: string, verdict: Verdict, name?: string]

const actions: readonly Row[] = [
  ["kms:Encrypt", "kms:Encrypt", "keyPolicy"],
  ["kms:Encrypt", "kms:Decrypt", "no keyPolicy"],
  ["kms:encrypt", "kms:Encrypt", "keyPolicy"],
  ["KMS:ENCRYPT", "kms:Encrypt", "keyPolicy"],
  ["Kms:EnCrYpT", "kms:Encrypt", "keyPolicy"],
  ["kms:*", "kms:PutKeyPolicy", "keyPolicy"],
  ["*", "kms:PutKeyPolicy", "keyPolicy"],
  ["kms:GenerateDataKey*", "kms:GenerateDataKey", "keyPolicy"],
  ["kms:GenerateDataKey*", "kms:GenerateDataKeyWithoutPlaintext", "keyPolicy"],
  ["kms:GenerateDataKey*", "kms:GenerateMac", "no keyPolicy"],
  ["kms:generatedatakey*", "kms:GenerateDataKeyPair", "keyPolicy"],
  ["kms:ReEncrypt*", "kms:ReEncryptFrom", "keyPolicy"],
  ["kms:ReEncrypt*", "kms:ReEncryptTo", "keyPolicy"],
  ["kms:ReEncryptFrom", "kms:ReEncryptTo", "no keyPolicy"],
  ["kms:*Key", "kms:DescribeKey", "keyPolicy"],
  ["kms:*Key", "kms:DescribeKeys", "no keyPolicy"],
  ["kms:*crypt", "kms:Decrypt", "keyPolicy"],
  ["kms:*c*y*t", "kms:Decrypt", "keyPolicy"],
  ["kms:?ecrypt", "kms:Decrypt", "keyPolicy"],
  ["kms:?crypt", "kms:Decrypt", "no keyPolicy"],
  ["kms:Encrypt?", "kms:Encrypt", "no keyPolicy"],
  ["kms:Encrypt*", "kms:Encrypt", "keyPolicy"],
  ["kms:En*?t", "kms:Encrypt", "keyPolicy"],
  ["s3:*", "kms:Encrypt", "no keyPolicy"],
  ["kmsx:Encrypt", "kms:Encrypt", "no keyPolicy"],
  [["kms:Decrypt", "kms:Encrypt"], "kms:Encrypt", "keyPolicy"],
  [["kms:Decrypt", "kms:Sign"], "kms:Encrypt", "no keyPolicy"],
]

const notActions: readonly Row[] = [
  ["kms:Decrypt", "kms:Encrypt", "keyPolicy"],
  ["kms:Encrypt", "kms:Encrypt", "no keyPolicy"],
  ["KMS:encrypt", "kms:Encrypt", "no keyPolicy"],
  ["kms:*", "kms:Encrypt", "no keyPolicy"],
  ["s3:*", "kms:Encrypt", "keyPolicy"],
  [["kms:Decrypt", "kms:Encrypt"], "kms:Encrypt", "no keyPolicy"],
  [["kms:Put*", "kms:Schedule*"], "kms:Encrypt", "keyPolicy"],
]

const at = (region: string, account: string, rest: string): string => `arn:aws:kms:${region}:${account}:${rest}`
const id = KEY.split("/")[1]!

type ResourceRow = readonly [element: object, verdict: Verdict, name: string, where?: string]

const resources: readonly ResourceRow[] = [
  [{ Resource: "*" }, "accountDelegation", "everything"],
  [{ Resource: KEY }, "accountDelegation", "the key's ARN"],
  [{ Resource: OTHER_KEY }, "no identityPolicy", "another key's ARN"],
  [{ Resource: at(REGION, ACCOUNT, "key/*") }, "accountDelegation", "all keys of account and Region"],
  [{ Resource: at("*", ACCOUNT, "key/*") }, "accountDelegation", "all keys of the account in any Region"],
  [{ Resource: at("*", "*", "key/*") }, "accountDelegation", "all keys anywhere"],
  [{ Resource: at("us-*", ACCOUNT, "key/*") }, "accountDelegation", "all keys in Regions of a kind"],
  [{ Resource: at("eu-*", ACCOUNT, "key/*") }, "no identityPolicy", "all keys in other Regions"],
  [{ Resource: at(REGION, "444455556666", "key/*") }, "no identityPolicy", "all keys of another account"],
  [{ Resource: at(REGION, ACCOUNT, `key/${id.slice(0, 8)}*`) }, "accountDelegation", "a beginning of the key's id"],
  [
    { Resource: at(REGION, ACCOUNT, `key/${id.slice(0, -1)}?`) },
    "accountDelegation",
    "a question mark for the last character",
  ],
  [{ Resource: at(REGION, ACCOUNT, `key/${id}?`) }, "no identityPolicy", "a question mark too many"],
  [{ Resource: KEY.toUpperCase().replace("ARN", "arn") }, "no identityPolicy", "an ARN keeps its case"],
  [{ Resource: [OTHER_KEY, KEY] }, "accountDelegation", "a list with the key"],
  [{ Resource: [OTHER_KEY, ALIAS] }, "no identityPolicy", "a list without the key"],
  [{ Resource: ALIAS }, "no identityPolicy", "the ARN of the key's alias says nothing about the key", aliasPage],
  [{ Resource: at(REGION, ACCOUNT, "alias/*") }, "no identityPolicy", "aliases are not keys", aliasPage],
  [{ NotResource: OTHER_KEY }, "accountDelegation", "everything but another key", notResourcePage],
  [{ NotResource: KEY }, "no identityPolicy", "everything but the key", notResourcePage],
  [
    { NotResource: [OTHER_KEY, at(REGION, ACCOUNT, "key/1234*")] },
    "no identityPolicy",
    "everything but keys among which it is",
    notResourcePage,
  ],
  [{ NotResource: "*" }, "no identityPolicy", "everything but everything", notResourcePage],
]

export const actionCases: readonly Case[] = [
  ...actions.map(
    ([Action, action, verdict]): Case => ({
      page: actionPage,
      name: `Action ${JSON.stringify(Action)} and ${action}`,
      key: [allow({ Action })],
      request: { action },
      verdict,
    }),
  ),
  ...notActions.map(
    ([NotAction, action, verdict]): Case => ({
      page: notActionPage,
      name: `NotAction ${JSON.stringify(NotAction)} and ${action}`,
      key: [allow({ NotAction })],
      request: { action },
      verdict,
    }),
  ),
  ...resources.map(
    ([element, verdict, name, where = resourcePage]): Case => ({
      page: where,
      name: `Resource: ${name}`,
      identity: [{ Effect: "Allow", Action: "kms:*", ...element }],
      verdict,
    }),
  ),
  {
    page: `${KMS}/key-policy-overview.html`,
    name: "in a key policy * is this key",
    key: [allow({ Action: "kms:Encrypt", Resource: "*" })],
    verdict: "keyPolicy",
  },
  {
    page: `${KMS}/key-policy-overview.html`,
    name: "in a key policy another key's ARN has no effect",
    key: [allow({ Action: "kms:Encrypt", Resource: OTHER_KEY })],
    verdict: "no keyPolicy",
  },
  {
    page: "kms/latest/APIReference/API_PutKeyPolicy.html",
    name: "a statement without Resource has no effect",
    key: [{ Effect: "Allow", Principal: "*", Action: "kms:*" }],
    verdict: "no keyPolicy",
  },
  {
    page: "kms/latest/APIReference/API_PutKeyPolicy.html",
    name: "a statement without Action has no effect",
    key: [{ Effect: "Allow", Principal: "*", Resource: "*" }],
    verdict: "no keyPolicy",
  },
  {
    page: "kms/latest/APIReference/API_PutKeyPolicy.html",
    name: "a Deny without Resource has no effect either",
    key: [allow({ Action: "kms:*" }), { Effect: "Deny", Principal: "*", Action: "kms:*" }],
    verdict: "keyPolicy",
  },
  {
    page: notActionPage,
    name: "Deny with NotAction leaves what it names",
    key: [allow({ Action: "kms:*" }), { Effect: "Deny", Principal: "*", NotAction: "kms:Encrypt", Resource: "*" }],
    verdict: "keyPolicy",
  },
  {
    page: notActionPage,
    name: "Deny with NotAction denies the rest",
    key: [allow({ Action: "kms:*" }), { Effect: "Deny", Principal: "*", NotAction: "kms:Decrypt", Resource: "*" }],
    verdict: "denied by key policy",
  },
  {
    page: resourcePage,
    name: "variables stand in resources",
    identity: [{ Effect: "Allow", Action: "kms:*", Resource: `arn:aws:kms:*:\${aws:PrincipalAccount}:key/*` }],
    verdict: "accountDelegation",
  },
  {
    page: resourcePage,
    name: "a resource with a variable that the request lacks matches nothing",
    identity: [{ Effect: "Allow", Action: "kms:*", Resource: `arn:aws:kms:*:*:key/\${aws:PrincipalTag/key}` }],
    verdict: "no identityPolicy",
  },
  {
    page: notResourcePage,
    name: "NotResource with a variable that the request lacks matches nothing",
    identity: [{ Effect: "Allow", Action: "kms:*", NotResource: `arn:aws:kms:*:*:key/\${aws:PrincipalTag/key}` }],
    verdict: "no identityPolicy",
  },
  {
    page: aliasPage,
    name: "a policy on all aliases lets the caller make one",
    identity: [{ Effect: "Allow", Action: "kms:CreateAlias", Resource: `arn:aws:kms:*:${ACCOUNT}:alias/*` }],
    request: { action: "kms:CreateAlias", resource: ALIAS },
    verdict: "identityPolicy",
  },
  {
    page: aliasPage,
    name: "a policy on keys alone lets nobody make an alias",
    identity: [{ Effect: "Allow", Action: "kms:CreateAlias", Resource: KEY }],
    request: { action: "kms:CreateAlias", resource: ALIAS },
    verdict: "no identityPolicy",
  },
  { page: resourcePage, name: "an identity policy on everything", identity: [allowAll], verdict: "accountDelegation" },
]
