import { expect, it } from "vitest"
import { sandbox, sandboxWithKey } from "./sandbox.ts"
import { transcript } from "./transcript.ts"

it("takes a newcomer from nothing to a decrypted file", async () => {
  const box = sandbox()
  box.write("report.txt", "numbers\n")
  await transcript(
    box,
    `
    $ envelope encrypt report.txt -o report.enc
    envelope: there is no embedded KMS in <store> yet
      hint: make it and a key: envelope key create --alias default
    [exit 20]
    $ envelope key create --alias default
    envelope: made your embedded KMS in <store>
      its keys are encrypted under the root key in <rootKey>: whoever has both can decrypt
      without either nothing can be decrypted again: keep a copy of the root key elsewhere, and
      back the KMS up, also while it is in use: envelope kms backup FOLDER
    arn:aws:kms:us-east-1:111122223333:key/<keyId>
    envelope: alias/default stands for it
    $ envelope encrypt report.txt -o report.enc --context tenant=42
    $ envelope inspect report.enc
    AWS Encryption SDK message, format 2; nothing shown here is authenticated
    algorithm suite  0x0478 (AES-256-GCM, HKDF, key commitment, not signed)
    message id       <messageId>
    frames           of <frame> KiB (<frameBytes> bytes) of plaintext
    header           378 bytes
    message          426 bytes
    plaintext        8 bytes
    encryption context
      tenant = 42
    wrapped keys, any of which decrypts
      arn:aws:kms:us-east-1:111122223333:key/<keyId>  (embedded KMS)
    $ envelope decrypt report.enc --context tenant=42
    numbers
    $ envelope decrypt report.enc -o report.txt
    envelope: report.txt exists already
      hint: choose another --output, or replace it with --force
    [exit 4]
    $ envelope decrypt report.enc -o report.txt --force
    $ cat report.txt
    numbers
    $ envelope decrypt report.enc -o wrong.txt --context tenant=43
    envelope: the encryption context pair "tenant" has another value in the message
      hint: envelope inspect shows the pairs the message has
    [exit 13]
    $ ls wrong.txt
    ls: cannot access 'wrong.txt': No such file or directory
    [exit 2]
    `,
  )
  expect(box.files().sort()).toEqual(["report.enc", "report.txt"])
})

it("manages keys and their names", async () => {
  await transcript(
    sandbox(),
    `
    $ envelope key create --alias app --description 'invoices' --quiet
    arn:aws:kms:us-east-1:111122223333:key/<first>
    $ envelope key create --quiet
    arn:aws:kms:us-east-1:111122223333:key/<second>
    $ envelope key create --alias app
    envelope: alias/app stands for arn:aws:kms:us-east-1:111122223333:key/<first> already: no key was made
      hint: choose another --alias, or make the key without one and move the name: envelope alias update
    [exit 21]
    $ envelope key list
    KEY ID                                STATE    CREATED     ALIASES    DESCRIPTION
    <first>  Enabled  <day>  alias/app  invoices
    <second>  Enabled  <day>  -
    $ envelope alias create other <second>
    envelope: alias/other stands for arn:aws:kms:us-east-1:111122223333:key/<second>
    $ envelope alias update alias/other alias/app
    envelope: alias/other stands for arn:aws:kms:us-east-1:111122223333:key/<first>
    $ envelope alias list
    ALIAS        KEY ID
    alias/app    <first>
    alias/other  <first>
    $ envelope alias list --key <second>
    envelope: no aliases yet: envelope alias create NAME KEY makes one
    $ envelope key disable alias/other
    envelope: arn:aws:kms:us-east-1:111122223333:key/<first> is disabled: it neither encrypts nor decrypts until it is enabled again
    $ echo hello | envelope encrypt --key alias/app > message
    envelope: KMS GenerateDataKey with alias/app failed: DisabledException: arn:aws:kms:us-east-1:111122223333:key/<first> is disabled.
      hint: enable the key: envelope key enable KEY
    [exit 21]
    $ envelope key describe alias/app
    ARN           arn:aws:kms:us-east-1:111122223333:key/<first>
    key id        <first>
    state         Disabled
    aliases       alias/app, alias/other
    description   invoices
    created       <time>
    spec          SYMMETRIC_DEFAULT
    material      AWS_KMS
    multi-Region  no
    $ envelope key enable <first>
    envelope: arn:aws:kms:us-east-1:111122223333:key/<first> is enabled
    $ envelope alias delete other
    envelope: alias/other is gone; the key it stood for is not
    $ envelope alias delete other
    envelope: KMS refused: NotFoundException: Alias arn:aws:kms:us-east-1:111122223333:alias/other is not found.
      hint: envelope key list and envelope alias list show what there is; --kms chooses another KMS
    [exit 21]
    $ envelope key describe app
    envelope: 'app' is no key
      hint: a key is given by its ARN, its id or an alias: did you mean alias/app?
    [exit 2]
    `,
  )
})

it("moves a message to another key and another embedded KMS, context and signature with it", async () => {
  await transcript(
    await sandboxWithKey(),
    `
    $ echo hello | envelope encrypt --signed --context a=1 --required-context b=2 > old
    $ envelope key create --kms local:elsewhere --alias new --quiet
    arn:aws:kms:us-east-1:111122223333:key/<new>
    $ envelope reencrypt old -o new --from-kms local --kms local:elsewhere --key alias/new --from-required-context b=2
    $ envelope inspect new
    AWS Encryption SDK message, format 2; nothing shown here is authenticated
    algorithm suite  0x0578 (AES-256-GCM, HKDF, key commitment, signed)
    ...
    encryption context
      a = 1
      aws-crypto-public-key = <publicKey>
    wrapped keys, any of which decrypts
      arn:aws:kms:us-east-1:111122223333:key/<new>  (embedded KMS)
    $ envelope decrypt new --required-context b=2 --verify-at-end
    envelope: KMS Decrypt with arn:aws:kms:us-east-1:111122223333:key/<new> failed: NotFoundException: Key 'arn:aws:kms:us-east-1:111122223333:key/<new>' does not exist
      hint: envelope key list and envelope alias list show what there is; --kms chooses another KMS
    [exit 21]
    $ ENVELOPE_KMS=local:elsewhere envelope decrypt new -o plain --required-context b=2
    $ cat plain
    hello
    `,
  )
})

it("answers mistakes with what was meant", async () => {
  await transcript(
    sandbox(),
    `
    $ envelope encrpt report.txt
    envelope: unknown command 'encrpt'
      hint: did you mean encrypt?
    [exit 2]
    $ envelope key lst
    envelope: unknown command 'lst'
      hint: did you mean list?
    [exit 2]
    $ envelope encrypt --ouput x
    envelope: unknown option '--ouput'
      hint: did you mean --output?
    [exit 2]
    $ envelope encrypt --context tenant
    envelope: --context 'tenant' is no pair
      hint: write --context NAME=VALUE
    [exit 2]
    $ envelope encrypt --context tenant=1 --context tenant=2
    envelope: the encryption context has 'tenant' twice
      hint: see envelope --help
    [exit 2]
    $ envelope encrypt --frame-length none
    envelope: 'none' is no frame length
      hint: bytes from 1 to 4294967295, or for instance 64KiB
    [exit 2]
    $ envelope encrypt --commitment-policy none
    envelope: 'none' is no commitment policy
      hint: one of require-encrypt-require-decrypt, require-encrypt-allow-decrypt, forbid-encrypt-allow-decrypt
    [exit 2]
    $ envelope decrypt --limit maxThings=1
    envelope: 'maxThings=1' is no limit
      hint: write --limit NAME=VALUE, NAME one of maxWrappedKeys, maxHeaderLength, maxContextLength, maxFrameLength, maxUnauthenticatedBytes
    [exit 2]
    $ envelope key list --kms gcp
    envelope: 'gcp' is no KMS
      hint: --kms takes local, local:DIR, aws, aws:REGION, or an http:// or https:// address
    [exit 2]
    $ envelope key describe
    envelope: missing required argument 'key'
      hint: see envelope --help
    [exit 2]
    $ envelope decrypt a b
    envelope: too many arguments for 'decrypt'. Expected 1 argument but got 2.
      hint: see envelope --help
    [exit 2]
    `,
  )
})
