import { readFileSync } from "node:fs"
import { PutObjectCommand } from "@aws-sdk/client-s3"
import { expect, it, onTestFinished, vi } from "vitest"
import { pattern } from "../support/keys.ts"
import { type S3Server, startS3Server } from "../support/s3-server/index.ts"
import { outcome, type Sandbox, sandboxWithKey } from "./sandbox.ts"
import { transcript } from "./transcript.ts"

// Sessions of many commands, each a process that loads the AWS SDK.
vi.setConfig({ testTimeout: 120_000 })

const guide = readFileSync(new URL("../../docs/guide/s3-command.md", import.meta.url), "utf8")

/** A sandbox whose commands find a server with the bucket `box`. */
async function sandboxWithBucket(): Promise<Sandbox & { readonly keyArn: string; readonly server: S3Server }> {
  const server = await startS3Server({ buckets: ["box", "other", "reports"] })
  onTestFinished(() => server.close())
  const box = await sandboxWithKey()
  Object.assign(box.env, {
    AWS_ACCESS_KEY_ID: "TESTACCESSKEY",
    AWS_SECRET_ACCESS_KEY: "secret",
    AWS_ENDPOINT_URL_S3: server.endpoint,
  })
  return { ...box, server }
}

const putPlain = ({ server }: { server: S3Server }, Key: string, Body: string) =>
  server.client().send(new PutObjectCommand({ Bucket: "box", Key, Body }))

it("puts, shows, reads and copies objects", async () => {
  const box = await sandboxWithBucket()
  box.write("report.txt", "hello, world")
  await transcript(
    box,
    `
    $ envelope s3 put report.txt s3://box/2026/ --context tenant=42 --content-type text/x
    $ envelope s3 head s3://box/2026/report.txt
    s3://box/2026/report.txt; nothing shown here is authenticated
    format            message of the AWS Encryption SDK
    algorithm suite   0x0478
    stored            <stored> bytes
    plaintext         12 bytes
    wrapped key       in the header of the message, at the beginning of the object
    under             <keyArn>
    S3's own layer    none
    storage class     STANDARD
    ETag (as stored)  <etag>
    encryption context
      aws:s3:arn = arn:aws:s3:::box/2026/report.txt
      tenant = 42
    $ envelope s3 cat s3://box/2026/report.txt; echo
    hello, world
    $ envelope s3 cat s3://box/2026/report.txt --range 7-; echo
    world
    $ envelope s3 cat s3://box/2026/report.txt --range=-5; echo
    world
    $ envelope s3 get s3://box/2026/report.txt copy.txt --context tenant=42
    $ cmp report.txt copy.txt
    $ envelope s3 get s3://box/2026/report.txt copy.txt
    envelope: copy.txt exists already
      hint: choose another --output, or replace it with --force
    [exit 4]
    $ envelope s3 cat s3://box/2026/report.txt --context tenant=43
    envelope: the encryption context pair "tenant" has another value in the message
      hint: envelope inspect shows the pairs the message has
    [exit 13]
    $ envelope s3 cp s3://box/2026/report.txt s3://other/copy
    $ envelope s3 cat s3://other/copy; echo
    hello, world
    $ echo again | envelope s3 put - s3://box/2026/report.txt --if-absent
    envelope: S3 refused: PreconditionFailed: <At> least one of the pre-conditions you specified did not hold
      hint: the object exists already, or was written meanwhile
    [exit 30]
    $ echo again | envelope s3 put - s3://box/
    envelope: 's3://box/' names no object
      hint: standard input has no name: write s3://BUCKET/KEY
    [exit 2]
    $ envelope s3 cat s3://box/none
    envelope: there is no object s3://box/none
      hint: envelope s3 ls shows what there is
    [exit 30]
    `,
  )
  expect(box.server.stored("box", "2026/report.txt").headers["content-type"]).toBe("text/x")
})

it("moves large objects in parts and ranges, and pipes", async () => {
  const box = await sandboxWithBucket()
  const large = Buffer.from(pattern(35 * 1024 * 1024))
  box.write("large", large)
  const { stdout } = await box.ok(["s3", "put", "large", "s3://box/large", "--parallel", "2", "--json"])
  expect(JSON.parse(stdout.toString())).toMatchObject({ output: "s3://box/large", bytes: large.length })
  expect(box.server.count("UploadPart")).toBeGreaterThan(2)
  box.server.forget()
  await box.ok(["s3", "get", "s3://box/large", "copy", "--parallel", "3"])
  expect(Buffer.compare(box.read("copy"), large)).toBe(0)
  expect(box.server.count("GetObject")).toBeGreaterThanOrEqual(4)
  await transcript(
    box,
    `
    $ envelope s3 cat s3://box/large | envelope s3 put - s3://box/second
    $ envelope s3 cat s3://box/second | cmp - large
    $ envelope s3 cp large s3://box/third
    $ envelope s3 cp s3://box/third fourth
    $ cmp fourth large
    `,
  )
  await box.server.tamper("box", "large", (bytes) => bytes.map((byte, i) => (i === 20_000_000 ? byte ^ 1 : byte)))
  const { code } = await box.run(["s3", "get", "s3://box/large", "bad"])
  expect(code).toBe(11)
  expect(box.files()).not.toContain("bad")
})

it("reads and writes objects of the S3 Encryption Client", async () => {
  const box = await sandboxWithBucket()
  await transcript(
    box,
    `
    $ echo hello | envelope s3 put - s3://box/ec --format s3ec
    $ envelope s3 head s3://box/ec | head -6
    s3://box/ec; nothing shown here is authenticated
    format            S3 Encryption Client, format V3
    algorithm suite   0x0073
    stored            22 bytes
    plaintext         6 bytes
    wrapped key       in the object's user metadata (x-amz-meta-…)
    $ envelope s3 cat s3://box/ec
    hello
    $ envelope s3 cat s3://box/ec --key alias/default
    hello
    `,
  )
})

it("lists buckets and objects, and looks into them", async () => {
  const box = await sandboxWithBucket()
  await box.ok(["s3", "put", "-", "s3://box/a/1"], { input: "secret" })
  await putPlain(box, "b", "plain")
  await transcript(
    box,
    `
    $ envelope s3 ls
    s3://box
    s3://other
    s3://reports
    $ envelope s3 ls s3://box | cut -c 20-
                      a/
                   5  b
    $ envelope s3 ls s3://box --recursive | cut -c 36-
      a/1
      b
    $ envelope s3 ls s3://box --long
    KEY  STORED  FORMAT     SUITE   UNDER
    a/1  <size>     message    0x0478  <arn>
    b    5       plaintext  -       -
    $ envelope s3 ls s3://box --json --long | grep '"format"'
        "format": "message",
        "format": "plaintext",
    $ envelope s3 ls box
    envelope: 'box' is no place in S3
      hint: write s3://BUCKET/KEY
    [exit 2]
    $ envelope s3 ls s3://none
    envelope: S3 refused: NoSuchBucket: The specified bucket does not exist
      hint: envelope s3 ls shows the buckets
    [exit 30]
    $ envelope s3 ls --endpoint http://127.0.0.1:1 2>&1 | head -1 | cut -c 1-34
    envelope: S3 cannot be reached: co
    `,
  )
})

it("encrypts what is there, audits it, and moves it to another key", async () => {
  const box = await sandboxWithBucket()
  for (const name of ["p/1", "p/2"]) await putPlain(box, name, "plain")
  await transcript(
    box,
    `
    $ envelope s3 audit s3://box/p/
    OBJECT  FORMAT     SUITE  UNDER  S3'S LAYER  REMARK
    p/1     plaintext  -      -      none
    p/2     plaintext  -      -      none
    ...
    unfinished uploads  0, 0 bytes
    envelope: 2 findings in s3://box/p/
      hint: --fail-on says what counts
    [exit 34]
    $ envelope s3 encrypt s3://box/p/ --dry-run
    would be encrypted  p/1  plaintext
    would be encrypted  p/2  plaintext
    envelope: 2 encrypted; 10 bytes (dry run: nothing was written)
    $ envelope s3 encrypt s3://box/p/ --journal journal
    encrypted     p/1  plaintext
    encrypted     p/2  plaintext
    envelope: 2 encrypted; 10 bytes
    $ envelope s3 encrypt s3://box/p/ --journal journal
    envelope: no objects; 0 bytes
    $ envelope s3 cat s3://box/p/1; echo
    plain
    $ envelope s3 audit s3://box/p/ --json | grep '"findings"'
      "findings": 0,
    $ echo hello | envelope s3 put - s3://box/p/3 --format s3ec
    $ envelope key create --alias new
    <new>
    envelope: alias/new stands for it
    $ envelope s3 rewrap s3://box/p/ --to alias/new --from alias/default
    reencrypted   p/1  message
    reencrypted   p/2  message
    rewrapped     p/3  s3ec-v3
    envelope: 1 rewrapped, 2 reencrypted; <bytes> bytes
    $ envelope s3 rewrap s3://box/p/ --to alias/new
    envelope: 3 skipped; 0 bytes
    $ envelope key disable alias/default --quiet
    $ for i in 1 2 3; do envelope s3 cat s3://box/p/$i; done
    plainplainhello
    $ envelope s3 audit s3://box/p/ --under-key alias/new 2>/dev/null | tail -5
    need the key        3; perhaps 0; not 0
    unfinished uploads  0, 0 bytes
    wrapped under
      <new>  2, <messages> bytes
      kms                                                                          1, 22 bytes
    $ envelope s3 rewrap s3://box/p/
    envelope: rewrap to which key?
      hint: --to takes a key ARN, a key id or alias/NAME
    [exit 2]
    $ envelope s3 audit s3://box/p/ --fail-on everything
    envelope: 'everything' is nothing to fail on
      hint: one of plaintext, unknown, key, uploads, uncommitted, none
    [exit 2]
    `,
  )
})

it("says which objects are not done, with an exit code", async () => {
  const box = await sandboxWithBucket()
  await putPlain(box, "1", "x")
  box.server.intervene = ({ operation }) =>
    operation === "PutObject" ? { status: 403, code: "AccessDenied" } : undefined
  const { code, stdout } = await box.run(["s3", "encrypt", "s3://box", "--json"])
  expect(code).toBe(35)
  expect(JSON.parse(stdout.toString())).toMatchObject({
    summary: { objects: { failed: 1 } },
    failures: [{ key: "1", action: "failed", error: "AccessDenied: Injected" }],
  })
})

it("goes on after it was killed, and what it was at is as it was", async () => {
  const box = await sandboxWithBucket()
  for (const name of ["1", "2", "3", "4"]) await putPlain(box, name, `plain ${name}`)
  const args = ["s3", "encrypt", "s3://box", "--journal", box.path("journal"), "--concurrency", "1"]
  const reached = new Promise<void>((resolve) => {
    box.server.intervene = ({ operation, key, headers }) => {
      if (operation !== "PutObject" || headers["if-match"] === undefined || key !== "3") return undefined
      resolve()
      return new Promise(() => {})
    }
  })
  const child = box.start(args)
  await reached
  child.kill("SIGKILL")
  await outcome(child)
  box.server.intervene = undefined
  const stored = async (key: string) => Buffer.from(await box.server.stored("box", key).content.bytes()).toString()
  expect(await stored("2")).not.toContain("plain")
  expect([await stored("3"), await stored("4")]).toEqual(["plain 3", "plain 4"])
  const { stdout } = await box.ok([...args, "--json"])
  expect(JSON.parse(stdout.toString())).toMatchObject({ summary: { objects: { encrypted: 2, skipped: 2, failed: 0 } } })
  expect((await box.ok(["s3", "cat", "s3://box/3"])).stdout.toString()).toBe("plain 3")
})

it("keeps the default encryption of buckets in the user's own file", async () => {
  const box = await sandboxWithBucket()
  box.env.ENVELOPE_S3_CONFIG = box.path("s3.json")
  await transcript(
    box,
    `
    $ envelope s3 default-encryption get
    envelope: no default encryption in <file>: --key, ENVELOPE_KEY or alias/default holds
    $ envelope key create --alias app --quiet
    <app>
    $ envelope s3 default-encryption set s3://box --key alias/app --bucket-key
    envelope: s3://box/…: alias/app, with bucket keys
    $ envelope s3 default-encryption set s3://box/public/ --off --quiet
    $ envelope s3 default-encryption set s3://other --aws-owned-key --quiet
    $ envelope s3 default-encryption get s3://box
    OBJECTS           ENCRYPTION
    s3://box/         alias/app, with bucket keys
    s3://box/public/  none: objects are written as they are
    $ echo 1 | envelope s3 put - s3://box/1
    $ echo 2 | envelope s3 put - s3://box/public/2
    envelope: the length of what is not to be encrypted must be known
      hint: put a file, or encrypt it: --key
    [exit 2]
    $ echo 2 > 2; envelope s3 put 2 s3://box/public/
    $ echo 3 | envelope s3 put - s3://other/3
    $ envelope s3 ls s3://box --long
    KEY       STORED  FORMAT     SUITE   UNDER
    1         <size>     message    0x0478  <app>, through a bucket key
    public/2  2       plaintext  -       -
    $ envelope s3 cat s3://box/1
    1
    $ envelope s3 cat s3://other/3
    3
    $ envelope s3 cat s3://box/public/2
    envelope: s3://box/public/2 is not encrypted
      hint: envelope s3 head shows what it is, envelope s3 encrypt brings it under the envelope
    [exit 32]
    $ envelope s3 cat s3://box/public/2 --allow-plaintext
    2
    $ envelope s3 default-encryption clear s3://box/public/
    $ envelope s3 default-encryption clear s3://box/public/
    envelope: there is no default encryption for s3://box/public/
      hint: see envelope --help
    [exit 2]
    $ envelope s3 default-encryption set s3://box --off --bucket-key
    envelope: there is no bucket key without encryption
      hint: see envelope --help
    [exit 2]
    $ envelope s3 default-encryption set s3://box --off --aws-owned-key
    envelope: name one encryption
      hint: --key KEY, --aws-owned-key, --aws-managed-key or --off
    [exit 2]
    $ echo '{"version":1,"defaultEncryption":[{"bucket":"box","encryption":{"customerKey":"x"}}]}' > s3.json
    $ echo 1 | envelope s3 put - s3://box/1 2>&1 | cut -d ' ' -f 1,3-
    envelope: holds no default encryption
     hint: envelope s3 default-encryption set writes it
    `,
  )
})

it("prints a bucket policy", async () => {
  const box = await sandboxWithBucket()
  const { stdout } = await box.ok(["s3", "policy", "s3://box/in/", "--outer-key", box.keyArn])
  expect(JSON.parse(stdout.toString()).Statement).toHaveLength(5)
  expect((await box.run(["s3", "policy", "s3://box", "--outer-key", "alias/x"])).code).toBe(2)
})

it("is explained in the guide, option by option", async () => {
  const box = await sandboxWithBucket()
  const names = ["put", "get", "cat", "head", "ls", "cp", "encrypt", "rewrap", "audit", "policy"]
  const commands = [
    ...names.map((name) => [name]),
    ...["get", "set", "clear"].map((name) => ["default-encryption", name]),
  ]
  const texts = await Promise.all(commands.map((command) => box.ok(["s3", ...command, "--help"])))
  for (const [i, { stdout }] of texts.entries()) {
    const text = stdout.toString()
    expect(text).toContain(`Usage: envelope s3 ${commands[i]!.join(" ")}`)
    for (const [option] of text.matchAll(/--[a-z0-9-]+/g)) expect(guide).toContain(`\`${option}`)
  }
})

it("has a guide whose sessions happen as they are printed", async () => {
  const box = await sandboxWithBucket()
  box.write("report.pdf", Buffer.alloc(150_000, "%PDF "))
  const sessions = [...guide.matchAll(/^```console\n(.*?)^```$/gms)].map(([, session]) => session!)
  expect(sessions.length).toBe(2)
  await transcript(box, sessions.join("\n"))
})

it("delivers the audit trail into a bucket, encrypted, and verifies it there", async () => {
  const box = await sandboxWithBucket()
  await transcript(
    box,
    `
    $ envelope key list > keys
    $ envelope audit deliver s3://box/trail/
    envelope: delivered <events> events in 1 log file to s3://box/trail/
    $ envelope audit verify-delivery s3://box/trail/
    envelope: as they were delivered: <events> events in 1 log file, up to <time>
    $ envelope s3 audit s3://box/trail/ --json | grep '"findings"'
      "findings": 0,
    $ envelope audit deliver s3://none/
    envelope: S3 refused: NoSuchBucket: The specified bucket does not exist
      hint: envelope s3 ls shows the buckets
    [exit 30]
    `,
  )
})
