import { expect, it } from "vitest"
import { keyTypes } from "../../src/local-kms/index.ts"
import { sandbox, sandboxWithKey } from "./sandbox.ts"
import { transcript } from "./transcript.ts"

it("rotates keys, now and by itself, and lists what they have", async () => {
  await transcript(
    await sandboxWithKey(),
    `
    $ envelope key rotations alias/default
    automatic rotation is off
    ROTATED  HOW  STATE    KEY MATERIAL
    -        -    CURRENT  <first>
    $ echo hello | envelope encrypt > old
    $ envelope key rotate alias/default
    envelope: arn:aws:kms:us-east-1:111122223333:key/<id> encrypts with new key material from now on; what it encrypted before decrypts as before
    $ envelope decrypt old
    hello
    $ envelope key rotate alias/default --every 90
    envelope: arn:aws:kms:us-east-1:111122223333:key/<id>: automatic rotation every 90 days, next on <day>
    $ envelope key rotations alias/default
    automatic rotation every 90 days, next on <day>
    ROTATED     HOW        STATE        KEY MATERIAL
    -           -          NON_CURRENT  <first>
    <today>  ON_DEMAND  CURRENT      <second>
    $ envelope key rotate alias/default --never
    envelope: arn:aws:kms:us-east-1:111122223333:key/<id>: automatic rotation is off
    $ envelope key rotate alias/default --every 30
    envelope: '30' is no number of days
      hint: 90 to 2560
    [exit 2]
    $ envelope key rotate alias/default --every 90 --never
    envelope: give --every or --never, not both
      hint: see envelope --help
    [exit 2]
    `,
  )
})

it("imports key material, lets it expire, and says why such a key does not rotate by itself", async () => {
  const box = await sandboxWithKey()
  box.write("material", Buffer.alloc(32, 7))
  box.write("other", Buffer.alloc(32, 8))
  box.write("long", Buffer.alloc(100_000, 8))
  box.write("empty", "")
  await transcript(
    box,
    `
    $ envelope key create --external --alias mine --quiet
    arn:aws:kms:us-east-1:111122223333:key/<id>
    $ echo hello | envelope encrypt --key alias/mine
    envelope: KMS GenerateDataKey with alias/mine failed: KMSInvalidStateException: arn:aws:kms:us-east-1:111122223333:key/<id> is pending import.
    ...
    [exit 21]
    $ envelope key import alias/mine material --valid-days 30
    envelope: arn:aws:kms:us-east-1:111122223333:key/<id> has the key material <first>; keep the file, where nobody else can read it
    $ echo hello | envelope encrypt --key alias/mine > message
    $ envelope decrypt message
    hello
    $ envelope key rotations alias/mine
    automatic rotation is not possible: arn:aws:kms:us-east-1:111122223333:key/<id> origin is EXTERNAL which is not valid for this operation.
    ROTATED  HOW  STATE    KEY MATERIAL
    -        -    CURRENT  <first>
    $ envelope key import alias/mine other
    envelope: KMS refused: IncorrectKeyMaterialException: The key material is not one that was imported into arn:aws:kms:us-east-1:111122223333:key/<id> before.
    ...
    [exit 21]
    $ envelope key import alias/mine --new --quiet < other
    $ envelope key rotate alias/mine --quiet
    $ envelope decrypt message
    hello
    $ envelope key import alias/mine long
    envelope: long is too long for key material
      hint: it is 32 bytes for a symmetric key, as they are: openssl rand 32 > material
    [exit 2]
    $ envelope key import alias/mine empty
    envelope: empty is empty
      hint: see envelope --help
    [exit 2]
    `,
  )
})

it("tags keys", async () => {
  await transcript(
    await sandboxWithKey(),
    `
    $ envelope key tag alias/default team=billing stage=
    stage
    team   billing
    $ envelope key tag alias/default
    stage
    team   billing
    $ envelope key untag alias/default stage
    team  billing
    $ envelope key tag alias/default --json | grep -v keyArn
    {
      "tags": {
        "team": "billing"
      }
    }
    $ envelope key tag alias/default team
    envelope: 'team' is no tag
      hint: write NAME=VALUE
    [exit 2]
    `,
  )
})

it("deletes keys after a waiting period, unless that is taken back", async () => {
  await transcript(
    await sandboxWithKey(),
    `
    $ envelope key delete alias/default --days 7
    envelope: arn:aws:kms:us-east-1:111122223333:key/<id> will be deleted on <day>, and nothing encrypted under it can be decrypted then
    envelope: until then this takes it back: envelope key cancel-deletion arn:aws:kms:us-east-1:111122223333:key/<id>
    $ echo hello | envelope encrypt
    envelope: KMS GenerateDataKey with alias/default failed: KMSInvalidStateException: arn:aws:kms:us-east-1:111122223333:key/<id> is pending deletion.
    ...
    [exit 21]
    $ envelope key cancel-deletion <id>
    envelope: arn:aws:kms:us-east-1:111122223333:key/<id> stays; it is disabled until envelope key enable
    $ envelope key delete alias/default --days 5
    envelope: '5' is no number of days
      hint: 7 to 30
    [exit 2]
    `,
  )
})

it("makes HMAC keys", async () => {
  await transcript(
    await sandboxWithKey(),
    `
    $ envelope key create --hmac 256 --quiet
    arn:aws:kms:us-east-1:111122223333:key/<id>
    $ envelope key describe <id> | grep spec
    spec          HMAC_256
    $ envelope key create --hmac 100
    envelope: there is no HMAC key of '100' bits
      hint: 224, 256, 384 or 512
    [exit 2]
    `,
  )
})

it("compares the three types of keys, with no KMS at all", async () => {
  const box = sandbox()
  const text = (await box.ok(["key", "types"])).stdout.toString()
  for (const { type, creator, rotation, deletion, visibleMetadata, scope, cost } of keyTypes)
    for (const cell of [type, creator, rotation, deletion, visibleMetadata, scope, cost]) expect(text).toContain(cell)
  expect(JSON.parse((await box.ok(["key", "types", "--json"])).stdout.toString())).toEqual(keyTypes)
  expect(box.files()).toEqual([])
})
