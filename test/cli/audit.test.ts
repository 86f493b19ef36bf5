import { expect, it } from "vitest"
import { sandbox, sandboxWithKey } from "./sandbox.ts"
import { transcript } from "./transcript.ts"

it("shows who did what, and finds it", async () => {
  await transcript(
    await sandboxWithKey(),
    `
    $ echo hello | envelope encrypt --context tenant=42 > message
    $ envelope decrypt message
    hello
    $ envelope key disable alias/default --quiet
    $ envelope decrypt message 2>/dev/null
    [exit 21]
    $ envelope audit
    TIME                  EVENT            CALLER             ABOUT                                 ERROR
    ...
    $ envelope audit --event Decrypt
    TIME                  EVENT    CALLER             ABOUT                                 ERROR
    <first>  Decrypt  111122223333:root  <keyId>
    <second>  Decrypt  111122223333:root  <keyId>  DisabledException
    $ envelope audit --key <keyId> --error DisabledException --last 1
    TIME                  EVENT    CALLER             ABOUT                                 ERROR
    <second>  Decrypt  111122223333:root  <keyId>  DisabledException
    $ envelope audit --context tenant=42 --error none --json | grep '"eventName"'
        "eventName": "GenerateDataKey",
        "eventName": "Decrypt",
    $ envelope audit --context tenant=43
    envelope: no such events
    $ envelope audit --since 1h --until 2020-01-01
    envelope: no such events
    $ envelope audit --principal arn:aws:iam::111122223333:user/Nobody --resource vol-1
    envelope: no such events
    $ envelope audit --since yesterday
    envelope: 'yesterday' is no time
      hint: for instance 2026-05-20, 2026-05-20T20:45:00Z, or 15m, 2h, 7d ago
    [exit 2]
    $ envelope audit --kms aws
    envelope: this is done where the embedded KMS's folder is
      hint: --kms takes local or local:DIR here
    [exit 2]
    $ envelope audit verfy
    envelope: too many arguments for 'audit'. Expected 0 arguments but got 1.
      hint: see envelope --help
    [exit 2]
    `,
  )
})

it("verifies the trail, against a digest that was kept elsewhere as well", async () => {
  const box = await sandboxWithKey()
  await transcript(
    box,
    `
    $ envelope audit verify
    envelope: the trail is as it was written: events 1 to <last>
      no digest has been signed yet: envelope audit digest
    $ cp -r .home older
    $ envelope key list > keys
    $ envelope audit digest > digest.json
    $ envelope audit verify --digest digest.json
    envelope: the trail is as it was written: events 1 to <now>
      signed up to event <now>
    $ envelope audit verify --json
    {
      "valid": true,
      "first": 1,
      "last": <now>,
      "signedUpTo": <now>,
      "problems": [],
      "problemCount": 0
    }
    $ XDG_DATA_HOME=$PWD/older/data envelope audit verify --digest digest.json
    EVENT  PROBLEM
    <range>    the digest 1 does not carry this store's signature
    envelope: the audit trail was changed: 1 problem
    [exit 24]
    `,
  )
})

it("delivers log files and verifies them", async () => {
  await transcript(
    await sandboxWithKey(),
    `
    $ envelope audit deliver logs
    envelope: delivered <events> events in 1 log file to logs
    $ envelope audit deliver logs
    envelope: logs has everything already
    $ envelope audit public-key > audit.pem
    $ head -1 audit.pem
    -----BEGIN PUBLIC KEY-----
    $ envelope audit verify-delivery logs
    envelope: as they were delivered: <events> events in 1 log file, up to <time>
    $ envelope audit verify-delivery logs --public-key audit.pem --kms local:none --json | grep valid
      "valid": true,
    $ rm -r logs/AWSLogs/111122223333/CloudTrail
    $ envelope audit verify-delivery logs --public-key audit.pem 2>/dev/null | tr -s ' '
    FILE PROBLEM
    AWSLogs/<file> this log file is missing
    $ envelope audit verify-delivery logs --public-key audit.pem > report --quiet
    envelope: the delivered files were changed: 1 problem
    [exit 24]
    $ envelope audit verify-delivery logs --public-key digest
    envelope: cannot read digest: no such file or directory
    [exit 3]
    $ envelope audit deliver audit.pem
    envelope: cannot deliver to audit.pem: not a directory
    [exit 3]
    `,
  )
})

it("follows the trail until it is interrupted", async () => {
  const box = await sandboxWithKey()
  const following = box.start(["audit", "--follow", "--json", "--last", "0"], { input: "" })
  let output = ""
  const seen = new Promise<void>((resolve) => {
    following.stdout!.on("data", (chunk: Buffer) => {
      output += chunk
      if (output.includes("EnableKey")) resolve()
    })
  })
  await box.ok(["key", "enable", "alias/default"])
  // It may have begun after that.
  const again = setInterval(() => void box.run(["key", "enable", "alias/default"]), 1000)
  await seen
  clearInterval(again)
  following.kill("SIGINT")
  for (const line of output.trim().split("\n")) expect(JSON.parse(line)).toMatchObject({ eventVersion: "1.11" })
})

it("says what AWS would charge", async () => {
  await transcript(
    await sandboxWithKey(),
    `
    $ envelope cost estimate --keys 1 --volumes 250
    2024-04                QUANTITY  FREE  USD
    customer managed keys  720 h           1.00
    requests               750       750   0.00
    total                                  1.00
    $ envelope cost estimate --keys 1 --objects-written 10,000 --objects-read 2,000,000 --month 2026-05
    2026-05                QUANTITY   FREE    USD
    customer managed keys  744 h              1.00
    requests               2,010,000  20,000  5.97
    total                                     6.97
    $ envelope cost estimate --keys 1 --objects-written 10000 --objects-read 2000000 --bucket-key --json
    {
      "month": "2024-04",
      "currency": "USD",
      "lines": [
        {
          "item": "keys",
          "quantity": 720,
          "free": 0,
          "usd": "1.00"
        },
        {
          "item": "standard",
          "quantity": 17280,
          "free": 17280,
          "usd": "0.00"
        }
      ],
      "total": "1.00",
      "pricesFrom": "2024-04"
    }
    $ envelope cost estimate --objects-read 2000000 --bucket-key-saves 99 | tr -s ' '
    2024-04 QUANTITY FREE USD
    requests 20,000 20,000 0.00
    total 0.00
    $ envelope cost --actual | tail -n +2 | tr -s ' '
    customer managed keys 1 h <usd>
    requests <n> <n> 0.00
    total <usd>
    $ envelope cost --actual --month 2026-05 --account 444455556666
    2026-05  QUANTITY  FREE  USD
    total                    0.00
    $ envelope cost --actual --month 2024-03
    envelope: no prices are known before 2024-04
      hint: --month takes that or later
    [exit 2]
    $ envelope cost
    envelope: which cost?
      hint: envelope cost --actual, or envelope cost estimate --keys 1 ...
    [exit 2]
    $ envelope cost estimate --keys many
    envelope: 'many' is no number
      hint: a whole number, for instance 10000
    [exit 2]
    `,
  )
})

it("has nothing to tell of before there is an embedded KMS", async () => {
  await transcript(
    sandbox(),
    `
    $ envelope audit
    envelope: there is no embedded KMS in <store> yet
      hint: make it and a key: envelope key create --alias default
    [exit 20]
    `,
  )
})
