import { readFileSync, writeFileSync } from "node:fs"
import { expect, it } from "vitest"
import { sandbox, sandboxWithKey } from "./sandbox.ts"
import { transcript } from "./transcript.ts"

const APP = "arn:aws:iam::111122223333:role/App"

it("makes a policy, tries it on the calls recorded, puts it, and says what it does", async () => {
  await transcript(
    await sandboxWithKey(),
    `
    $ envelope policy get alias/default | grep Sid
        "Sid" : "Enable IAM User Permissions",
    $ echo hello | envelope encrypt > message
    $ envelope policy new users-only --user ${APP} > policy.json
    $ envelope policy lint policy.json --account 111122223333
    envelope: nothing to say about policy.json
    $ envelope policy replay alias/default policy.json
    NOW      TIME                  ACTION               CALLER                          WHY
    refused  <time>  kms:GenerateDataKey  arn:aws:iam::111122223333:root  No statement of the key policy allows it, neither for the caller nor for the caller's account.
    envelope: 1 refused, 0 newly allowed, <same> as they were
      1 left out: no key policy decides about them, or nobody knows whose
    $ envelope policy put alias/default policy.json
    envelope: <arn> has the policy in policy.json
    $ envelope policy get alias/default --quiet | diff - policy.json && echo same
    same
    $ envelope policy explain kms:Decrypt alias/default --principal ${APP} | head -3
    ALLOWED: kms:Decrypt on <arn>
      for arn:aws:sts::111122223333:assumed-role/App/kms-envelope
      Allowed by key policy, statement 2 "Users use the key", which names the caller.
    $ envelope policy explain Decrypt alias/default | head -1
    REFUSED: kms:Decrypt on <arn>
    $ envelope policy explain kms:Encrypt alias/default --json --principal ${APP} --context a=b | grep '"allowed"'
        "allowed": true,
    $ envelope decrypt message 2>/dev/null
    [exit 21]
    `,
  )
})

it("says what is wrong with a policy, and with a question", async () => {
  const box = await sandboxWithKey()
  writeFileSync(box.path("bad.json"), '{"Statement": {"Effect": "Allow", "Action": "kms:*"}}')
  const open = { Effect: "Allow", Principal: "*", Action: "kms:*", Resource: "*" }
  writeFileSync(box.path("open.json"), JSON.stringify({ Version: "2012-10-17", Statement: [open] }))
  const locked = { ...open, Principal: { AWS: APP }, Action: "kms:Encrypt" }
  writeFileSync(box.path("locked.json"), JSON.stringify({ Version: "2012-10-17", Statement: [locked] }))
  await transcript(
    box,
    `
    $ envelope policy lint bad.json
    envelope: bad.json is no policy: Statement: A statement of a key policy must have one of Principal and NotPrincipal
    [exit 25]
    $ envelope policy lint open.json > findings
    envelope: open.json has an error
    [exit 25]
    $ grep -c wildcard-principal findings
    1
    $ envelope policy put alias/default locked.json
    envelope: KMS refused: MalformedPolicyDocumentException: The new key policy will not allow you to update the key policy in the future.
    [exit 21]
    $ envelope policy put alias/default locked.json --bypass-lockout-check --quiet
    $ envelope policy get alias/default 2>/dev/null
    [exit 21]
    $ envelope policy lint none.json
    envelope: cannot read none.json: no such file or directory
    [exit 3]
    $ envelope policy explain kms:MakeCoffee alias/default
    envelope: 'kms:MakeCoffee' is no action of AWS KMS, such as kms:Decrypt
      hint: see envelope --help
    [exit 2]
    $ envelope policy new encrypt-decrypt --encrypt ${APP}
    envelope: this policy takes --decrypt
      hint: see envelope --help
    [exit 2]
    $ envelope policy new users-only --user me
    envelope: Statement[1].Principal.AWS: Policy contains a statement with one or more invalid principals. ('me' is no ARN of an account root, a user, a role or a role session, and no account id)
      hint: see envelope --help
    [exit 2]
    `,
  )
})

it("registers users, roles and groups, and gives them policies", async () => {
  await transcript(
    sandbox(),
    `
    $ envelope principal create-group KeyAdmins --quiet
    arn:aws:iam::111122223333:group/KeyAdmins
    $ envelope principal list
    PRINCIPAL                                  GROUPS  POLICIES
    arn:aws:iam::111122223333:group/KeyAdmins  -       -
    $ envelope policy new manage | envelope principal policy arn:aws:iam::111122223333:group/KeyAdmins manage -
    envelope: arn:aws:iam::111122223333:group/KeyAdmins has the policy manage
    $ envelope principal create-user Carol --tag team=payments
    arn:aws:iam::111122223333:user/Carol
    $ envelope principal add arn:aws:iam::111122223333:user/Carol KeyAdmins
    envelope: arn:aws:iam::111122223333:user/Carol is in the group KeyAdmins
    $ envelope principal create-role App --path /service/
    arn:aws:iam::111122223333:role/service/App
    $ envelope policy lint --identity - < /dev/null
    envelope: - is no policy: A policy consists of tabs, line ends and the characters U+0020 to U+00FF
    [exit 25]
    $ envelope key create --alias default --quiet
    <arn>
    $ envelope policy explain DisableKey alias/default --principal arn:aws:iam::111122223333:user/Carol | head -1
    ALLOWED: kms:DisableKey on <arn>
    $ envelope policy explain Encrypt alias/default --principal arn:aws:iam::111122223333:user/Carol | head -1
    REFUSED: kms:Encrypt on <arn>
    $ envelope principal list
    PRINCIPAL                                   GROUPS     POLICIES
    arn:aws:iam::111122223333:group/KeyAdmins   -          manage
    arn:aws:iam::111122223333:role/service/App  -          -
    arn:aws:iam::111122223333:user/Carol        KeyAdmins  -
    $ envelope principal show arn:aws:iam::111122223333:user/Carol | grep payments
        "team": "payments"
    $ envelope principal delete arn:aws:iam::111122223333:group/KeyAdmins
    envelope: arn:aws:iam::111122223333:group/KeyAdmins has members: arn:aws:iam::111122223333:user/Carol
      hint: see envelope --help
    [exit 2]
    $ envelope principal remove arn:aws:iam::111122223333:user/Carol KeyAdmins
    envelope: arn:aws:iam::111122223333:user/Carol is no longer in the group KeyAdmins
    $ envelope principal delete-policy arn:aws:iam::111122223333:group/KeyAdmins manage
    envelope: arn:aws:iam::111122223333:group/KeyAdmins has no policy manage any more
    $ envelope principal delete arn:aws:iam::111122223333:group/KeyAdmins
    envelope: arn:aws:iam::111122223333:group/KeyAdmins is deleted
    $ envelope principal create-user Carol
    envelope: there is a user Carol in the account 111122223333 already
      hint: see envelope --help
    [exit 2]
    $ envelope principal create-group A --tag a=b
    envelope: unknown option '--tag'
    ...
    [exit 2]
    `,
  )
})

it("takes a trust policy for a role", async () => {
  const box = sandbox()
  const Statement = { Effect: "Allow", Principal: { AWS: "arn:aws:iam::444455556666:root" }, Action: "sts:AssumeRole" }
  const trust = JSON.stringify({ Version: "2012-10-17", Statement })
  writeFileSync(box.path("trust.json"), trust)
  await box.ok(["principal", "create-role", "App", "--trust", "trust.json"])
  await box.ok(["principal", "trust", APP, "trust.json"])
  const shown = JSON.parse((await box.ok(["principal", "show", APP])).stdout.toString())
  expect(shown.trustPolicy).toBe(readFileSync(box.path("trust.json"), "utf8"))
})
