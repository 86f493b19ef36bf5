import { expect, it } from "vitest"
import { sandbox, sandboxWithKey } from "./sandbox.ts"
import { transcript } from "./transcript.ts"

const APP = "arn:aws:iam::111122223333:role/App"
const CLERK = "arn:aws:iam::111122223333:role/Clerk"

it("makes a grant, lists it, says what it lets through, and revokes it", async () => {
  await transcript(
    await sandboxWithKey(),
    `
    $ envelope grant list alias/default
    envelope: <key> has no such grant
    $ envelope grant create alias/default --grantee ${APP} --operation Encrypt,Decrypt --operation DescribeKey --context tenant=42 --name app
    <id>
    envelope: ${APP} may Encrypt, Decrypt, DescribeKey with <key>
    $ envelope grant list alias/default | head -1 | tr -s ' '
    GRANT ID CREATED NAME GRANTEE OPERATIONS ONLY WITH
    $ envelope grant list alias/default | tail -1
    <id>  <day>  app   ${APP}  Encrypt, Decrypt, DescribeKey  tenant=42
    $ envelope policy explain Encrypt alias/default --principal ${APP} --context tenant=42 | sed -n 3p
      Allowed by the grant <id>.
    $ envelope policy explain Encrypt alias/default --principal ${APP} | tail -1
    grant <id>: does not allow: the encryption context does not meet its constraint EncryptionContextSubset {"tenant":"42"}
    $ envelope grant create alias/default --grantee ${APP} --operation Encrypt,Decrypt,DescribeKey --context tenant=42 --name app --quiet
    <id>
    $ envelope grant revoke alias/default <id> --dry-run
    envelope: this would succeed; nothing was done
    $ envelope grant revoke alias/default <id>
    envelope: the grant <id> is revoked
    $ envelope grant revoke alias/default <id>
    envelope: KMS refused: NotFoundException: Grant ID <id> not found
      hint: envelope key list and envelope alias list show what there is; --kms chooses another KMS
    [exit 21]
    $ envelope policy explain Encrypt alias/default --principal ${APP} --context tenant=42 | head -1
    REFUSED: kms:Encrypt on <key>
    `,
  )
})

it("lists what somebody is to retire, and retires by key and id or by token", async () => {
  await transcript(
    await sandboxWithKey(),
    `
    $ envelope grant create alias/default --grantee ${APP} --operation Decrypt --retiring ${CLERK} --quiet
    <one>
    $ envelope grant create alias/default --grantee ${APP} --operation Encrypt --retiring ${CLERK} --exact --context a=b --json --quiet > made
    $ envelope grant list-retirable ${CLERK} | grep Encrypt | cut -c1-64 > two
    $ envelope grant list-retirable ${CLERK} | grep -c 'a=b, no other context'
    1
    $ envelope grant list-retirable ${APP}
    envelope: ${APP} has no grant to retire
    $ envelope grant retire alias/default <one>
    envelope: the grant <one> is retired
    $ sed -n 's/.*"grantToken": "\\(.*\\)"/\\1/p' made | envelope grant retire --token -
    envelope: the grant is retired
    $ envelope grant list alias/default --grantee ${APP}
    envelope: <key> has no such grant
    $ sed -n 's/.*"grantToken": "\\(.*\\)"/\\1/p' made | envelope grant retire --token -
    envelope: KMS refused: InvalidGrantTokenException: The grant token is not valid.
      hint: the grant is gone, or the token is another KMS's: envelope grant list KEY shows the grants
    [exit 21]
    `,
  )
})

it("says what is missing or wrong in a grant", async () => {
  await transcript(
    await sandboxWithKey(),
    `
    $ envelope grant create alias/default --operation Decrypt
    envelope: required option '--grantee <arn>' not specified
    ...
    [exit 2]
    $ envelope grant create default --grantee ${APP} --operation Decrypt
    envelope: 'default' is no key
      hint: a key is given by its ARN, its id or an alias: did you mean alias/default?
    [exit 2]
    $ envelope grant create alias/default --grantee ${APP} --operation Fly 2>&1 | cut -c1-95
    envelope: KMS refused: ValidationException: 1 validation error detected: Value 'Fly' at 'operat
    $ envelope grant create alias/default --grantee App --operation Decrypt
    envelope: KMS refused: InvalidArnException: ARN does not refer to a valid principal: App
    [exit 21]
    $ envelope grant create alias/default --grantee s3.amazonaws.com --operation Decrypt
    envelope: KMS refused: ValidationException: A grant to a service principal must have a SourceArn constraint.
    [exit 21]
    $ envelope grant create alias/default --grantee ${APP} --operation Decrypt --context tenant
    envelope: --context 'tenant' is no pair
      hint: write --context NAME=VALUE
    [exit 2]
    $ envelope grant retire alias/default
    envelope: name the grant by key and id, or by --token
      hint: envelope grant list KEY shows the ids
    [exit 2]
    $ envelope grant retire alias/default x --token y
    envelope: name the grant by key and id, or by --token
      hint: envelope grant list KEY shows the ids
    [exit 2]
    $ envelope grant revoke alias/default x
    envelope: KMS refused: InvalidGrantIdException: Invalid grant ID x
      hint: envelope grant list KEY shows the ids of its grants
    [exit 21]
    $ envelope grant create alias/default --grantee ${APP} --operation Decrypt --dry-run
    envelope: this would succeed; nothing was done
    $ envelope grant create alias/default --grantee ${APP} --operation Sign --dry-run --quiet 2>/dev/null
    [exit 21]
    `,
  )
})

it("prints grants as JSON, with the token only where it is made", async () => {
  const box = await sandboxWithKey()
  const json = async (...args: string[]) => JSON.parse((await box.ok(["grant", ...args, "--json"])).stdout.toString())
  const source = ["--source-arn", "arn:aws:s3:::bucket"]
  const to = ["--grantee", "s3.amazonaws.com", "--operation", "Decrypt", "--retiring", CLERK]
  const made = await json("create", box.keyArn, ...to, ...source)
  expect(made).toEqual({
    keyArn: box.keyArn,
    grantId: expect.stringMatching(/^[0-9a-f]{64}$/),
    grantToken: expect.any(String),
  })
  const listed = await json("list", box.keyArn)
  expect(listed).toEqual([
    {
      grantId: made.grantId,
      keyArn: box.keyArn,
      name: "",
      created: expect.stringMatching(/^\d{4}-/),
      grantee: "s3.amazonaws.com",
      retiring: CLERK,
      issuingAccount: "arn:aws:iam::111122223333:root",
      operations: ["Decrypt"],
      constraints: { SourceArn: "arn:aws:s3:::bucket" },
    },
  ])
  expect(await json("list-retirable", CLERK)).toEqual(listed)
  expect(await json("retire", box.keyArn, made.grantId, "--dry-run")).toEqual({ wouldSucceed: true })
  expect(await json("retire", "--token", made.grantToken)).toEqual({ ended: true })
  const next = await json("create", box.keyArn, ...to, ...source)
  expect(await json("revoke", box.keyArn, next.grantId)).toEqual({ grantId: next.grantId, ended: true })
  expect(await json("list", box.keyArn)).toEqual([])
})

it("has no grants where there is no embedded KMS", async () => {
  expect((await sandbox().run(["grant", "list", "alias/default"])).code).toBe(20)
})
