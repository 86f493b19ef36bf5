import { ACCOUNT, type Case, IAM, role, root, user, type Version } from "../world.ts"

const page = `${IAM}/reference_policies_variables.html`

/** Operator, the policy's value, the request, whether `test:value` (or the named key) holds. */
interface Row {
  readonly name: string
  readonly operator?: string
  readonly stated: string | readonly string[]
  readonly actual: string
  readonly request?: Case["request"]
  readonly version?: Version
  readonly holds: boolean
}

const tagged = user("Alice", ACCOUNT, {
  userId: "AIDACKCEVSQ6C2EXAMPLE",
  tags: { team: "blue", star: "*", Team2: "x" },
})

const rows: readonly Row[] = [
  { name: "a user's name", stated: `\${aws:username}`, actual: "Alice", holds: true },
  { name: "another user's name", stated: `\${aws:username}`, actual: "Bob", holds: false },
  { name: "a name within text", stated: `home/\${aws:username}/x`, actual: "home/Alice/x", holds: true },
  {
    name: "two variables",
    stated: `\${aws:username}@\${aws:PrincipalAccount}`,
    actual: `Alice@${ACCOUNT}`,
    holds: true,
  },
  { name: "variable names ignore case", stated: `\${AWS:UserName}`, actual: "Alice", holds: true },
  {
    name: "a user's unique id",
    stated: `\${aws:userid}`,
    actual: "AIDACKCEVSQ6C2EXAMPLE",
    request: { caller: tagged },
    holds: true,
  },
  {
    name: "a role has no user name",
    stated: `\${aws:username}`,
    actual: "App",
    request: { caller: role("App") },
    holds: false,
  },
  {
    name: "the root has no user name",
    stated: `\${aws:username}`,
    actual: ACCOUNT,
    request: { caller: root() },
    holds: false,
  },
  {
    name: "a principal's tag",
    stated: `\${aws:PrincipalTag/team}`,
    actual: "blue",
    request: { caller: tagged },
    holds: true,
  },
  {
    name: "another value of the tag",
    stated: `\${aws:PrincipalTag/team}`,
    actual: "red",
    request: { caller: tagged },
    holds: false,
  },
  {
    name: "a tag's key ignores case",
    stated: `\${aws:PrincipalTag/TEAM}`,
    actual: "blue",
    request: { caller: tagged },
    holds: true,
  },
  {
    name: "a tag that is missing never matches",
    stated: `\${aws:PrincipalTag/none}`,
    actual: "",
    request: { caller: tagged },
    holds: false,
  },
  {
    name: "a default for a missing tag",
    stated: `\${aws:PrincipalTag/none, 'common'}`,
    actual: "common",
    request: { caller: tagged },
    holds: true,
  },
  {
    name: "no default where there is a value",
    stated: `\${aws:PrincipalTag/team, 'common'}`,
    actual: "common",
    request: { caller: tagged },
    holds: false,
  },
  {
    name: "an empty default",
    stated: `x\${aws:PrincipalTag/none, ''}`,
    actual: "x",
    request: { caller: tagged },
    holds: true,
  },
  {
    name: "a default with a comma and spaces",
    stated: `\${aws:PrincipalTag/none,'a, b'}`,
    actual: "a, b",
    request: { caller: tagged },
    holds: true,
  },
  {
    name: "a default without quotes is no default",
    stated: `\${aws:PrincipalTag/none, common}`,
    actual: "common",
    request: { caller: tagged },
    holds: false,
  },
  { name: "a reference to nothing never matches", stated: `\${}`, actual: `\${}`, holds: false },
  {
    name: "a value is text, not a pattern",
    operator: "StringLike",
    stated: `\${aws:PrincipalTag/star}`,
    actual: "anything",
    request: { caller: tagged },
    holds: false,
  },
  {
    name: "a value that is an asterisk matches one",
    operator: "StringLike",
    stated: `\${aws:PrincipalTag/star}`,
    actual: "*",
    request: { caller: tagged },
    holds: true,
  },
  {
    name: "wildcards beside a variable",
    operator: "StringLike",
    stated: `\${aws:username}/*`,
    actual: "Alice/documents",
    holds: true,
  },
  { name: "a literal asterisk", operator: "StringLike", stated: `a\${*}`, actual: "a*", holds: true },
  { name: "a literal asterisk is no wildcard", operator: "StringLike", stated: `a\${*}`, actual: "ab", holds: false },
  { name: "a literal question mark", operator: "StringLike", stated: `a\${?}`, actual: "a?", holds: true },
  {
    name: "a literal question mark is no wildcard",
    operator: "StringLike",
    stated: `a\${?}`,
    actual: "ab",
    holds: false,
  },
  {
    name: "a literal dollar sign",
    operator: "StringLike",
    stated: `\${$}{aws:username}`,
    actual: `\${aws:username}`,
    holds: true,
  },
  { name: "a literal asterisk where there are no wildcards", stated: `a\${*}`, actual: "a*", holds: true },
  {
    name: "the older version has no variables",
    stated: `\${aws:username}`,
    actual: "Alice",
    version: "2008-10-17",
    holds: false,
  },
  {
    name: "in the older version a reference is text",
    stated: `\${aws:username}`,
    actual: `\${aws:username}`,
    version: "2008-10-17",
    holds: true,
  },
  {
    name: "without case",
    operator: "StringEqualsIgnoreCase",
    stated: `\${aws:username}`,
    actual: "ALICE",
    holds: true,
  },
  {
    name: "in an ARN",
    operator: "ArnLike",
    stated: `arn:aws:iam::\${aws:PrincipalAccount}:user/*`,
    actual: `arn:aws:iam::${ACCOUNT}:user/x`,
    holds: true,
  },
  {
    name: "one value with a missing variable, another that matches",
    stated: [`\${aws:PrincipalTag/none}`, "b"],
    actual: "b",
    holds: true,
  },
  {
    name: "a negated operator says nothing while a variable is missing",
    operator: "StringNotEquals",
    stated: `\${aws:PrincipalTag/none}`,
    actual: "b",
    holds: false,
  },
  {
    name: "a negated operator with a variable",
    operator: "StringNotEquals",
    stated: `\${aws:username}`,
    actual: "Bob",
    holds: true,
  },
  {
    name: "a negated operator with a variable that is equal",
    operator: "StringNotEquals",
    stated: `\${aws:username}`,
    actual: "Alice",
    holds: false,
  },
  {
    name: "a key of several values is no variable",
    stated: `\${aws:TagKeys}`,
    actual: "a",
    request: { conditions: { "aws:TagKeys": ["a", "b"], "test:value": "a" } },
    holds: false,
  },
  {
    name: "the encryption context as a variable",
    stated: `\${kms:EncryptionContext:tenant}`,
    actual: "42",
    request: { encryptionContext: { tenant: "42" } },
    holds: true,
  },
]

export const variableCases: readonly Case[] = rows.map(
  ({ name, operator = "StringEquals", stated, actual, request = {}, version, holds }): Case => ({
    page,
    name: `variables: ${name}`,
    ...(version === undefined ? {} : { version }),
    key: [
      {
        Effect: "Allow",
        Principal: "*",
        Action: "kms:*",
        Resource: "*",
        Condition: { [operator]: { "test:value": stated } },
      },
    ],
    request: { ...request, conditions: { "test:value": actual, ...request.conditions } },
    verdict: holds ? "keyPolicy" : "no keyPolicy",
  }),
)
