import { once } from "node:events"
import { createServer } from "node:net"
import { CreateKeyCommand, KMSClient, ListKeysCommand } from "@aws-sdk/client-kms"
import { expect, it, onTestFinished, vi } from "vitest"
import { TEST_CERT, TEST_KEY } from "../local-kms/http/test-certificate.ts"
import { type ServerProcess, whenServing } from "../support/kms-server.ts"
import { type Sandbox, sandbox } from "./sandbox.ts"

// Each starts the command many times, which a busy machine takes its time for.
vi.setConfig({ testTimeout: 120_000 })

const ROOT = "arn:aws:iam::111122223333:root"

async function serve(box: Sandbox, ...args: string[]): Promise<ServerProcess> {
  const child = box.start(["kms", "serve", "--port", "0", ...args])
  onTestFinished(() => void child.kill("SIGKILL"))
  return whenServing(child)
}

function client(endpoint: string, credentials = { accessKeyId: "tests", secretAccessKey: "tests-tests" }): KMSClient {
  const made = new KMSClient({ endpoint, region: "us-east-1", credentials })
  onTestFinished(() => made.destroy())
  return made
}

const shellKey = (text: string) => ({
  accessKeyId: /^AWS_ACCESS_KEY_ID=(.+)$/m.exec(text)![1]!,
  secretAccessKey: /^AWS_SECRET_ACCESS_KEY=(.+)$/m.exec(text)![1]!,
})

it("serves the store that other commands use at the same time, until a signal ends it in order", async () => {
  const box = sandbox()
  const server = await serve(box)
  expect(server.endpoint).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/)
  await expect.poll(server.stderr).toContain("nobody can sign requests yet: envelope principal access-key create ARN")
  expect(server.stderr()).toContain(`export AWS_ENDPOINT_URL_KMS=${server.endpoint} AWS_ENDPOINT_URL_STS=`)
  const made = await box.ok(["principal", "access-key", "create", ROOT])
  expect(made.stderr).toBe("envelope: the secret is not shown again\n")
  const kms = client(server.endpoint, shellKey(made.stdout.toString()))
  const { KeyMetadata } = await kms.send(new CreateKeyCommand({}))
  const listed = await box.ok(["key", "list", "--json"])
  expect(JSON.parse(listed.stdout.toString())).toMatchObject([{ keyArn: KeyMetadata!.Arn }])
  const { stdout } = await box.ok(["key", "create"])
  const { Keys } = await kms.send(new ListKeysCommand({}))
  expect(Keys!.map(({ KeyArn }) => KeyArn).sort()).toEqual([KeyMetadata!.Arn!, stdout.toString().trim()].sort())
  server.child.kill("SIGTERM")
  expect(await server.exited).toEqual([0, null])
  expect(server.stderr()).toContain("SIGTERM: answering what is running, then closing")
})

it("takes the keys of the command itself over HTTP", async () => {
  const box = sandbox()
  const server = await serve(box, "--memory", "--open")
  await expect.poll(server.stderr).toContain("no signature is checked")
  const env = { ENVELOPE_KMS: server.endpoint, AWS_ACCESS_KEY_ID: "any", AWS_SECRET_ACCESS_KEY: "any" }
  await box.ok(["key", "create", "--alias", "app"], { env })
  box.write("a.txt", "hello")
  await box.ok(["encrypt", "a.txt", "-o", "a.enc", "--key", "alias/app"], { env })
  const { stdout } = await box.ok(["decrypt", "a.enc", "--account", "111122223333"], { env })
  expect(stdout.toString()).toBe("hello")
})

it("begins with what a start-up file says, once", async () => {
  const box = sandbox()
  const accessKeys = [{ accessKeyId: "tests", secretAccessKey: "tests-tests", principal: ROOT }]
  box.write("seed.json", JSON.stringify({ keys: [{ aliases: ["alias/app"] }], accessKeys }))
  const first = await serve(box, "--kms", "local:kms", "--seed", "seed.json")
  expect(first.stderr()).toContain("seed.json: 3 made, 0 there already")
  const { Keys } = await client(first.endpoint).send(new ListKeysCommand({}))
  first.child.kill("SIGINT")
  expect(await first.exited).toEqual([0, null])
  const second = await serve(box, "--kms", "local:kms", "--seed", "seed.json", "--json")
  expect(second.stderr()).toContain("seed.json: 0 made, 3 there already")
  const { endpoint, metricsUrl, pid } = JSON.parse(second.endpoint)
  expect([pid, metricsUrl]).toEqual([second.child.pid, `${endpoint}/metrics`])
  expect((await client(endpoint).send(new ListKeysCommand({}))).Keys).toEqual(Keys)
})

it("serves HTTPS, metrics on a port of their own, another account and Region", async () => {
  const box = sandbox()
  box.write("cert.pem", TEST_CERT)
  box.write("key.pem", TEST_KEY)
  const tls = ["--tls-cert", "cert.pem", "--tls-key", "key.pem", "--host", "0.0.0.0"]
  const where = ["--account", "444455556666", "--region", "eu-west-1"]
  const server = await serve(box, "--memory", "--open", "--metrics-port", "0", "--json", ...tls, ...where)
  const { endpoint, metricsUrl } = JSON.parse(server.endpoint)
  expect(endpoint).toMatch(/^https:\/\/localhost:\d+$/)
  expect(metricsUrl).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/metrics$/)
  expect((await fetch(metricsUrl)).status).toBe(200)
})

it("refuses what cannot be meant, with a hint", async () => {
  const box = sandbox()
  const refused = async (...args: string[]) => {
    const { code, stderr } = await box.run(["kms", "serve", "--memory", ...args])
    return `${code} ${stderr}`
  }
  expect(await refused("--port", "70000")).toMatch(/^2 envelope: '70000' is no port\n {2}hint: /)
  expect(await refused("--host", "0.0.0.0")).toMatch(/^2 envelope: 0\.0\.0\.0 can be reached by other machines: /)
  expect(await refused("--tls-cert", "x.pem")).toMatch(/^2 envelope: --tls-cert and --tls-key go together\n/)
  expect(await refused("--tls-cert", "x.pem", "--tls-key", "x.pem")).toMatch(/^3 envelope: cannot read x\.pem: /)
  expect(await refused("--kms", "local:kms")).toMatch(/^2 envelope: --memory has no folder: leave out --kms\n/)
  expect(await refused("--account", "12")).toMatch(/^2 envelope: accountId must be twelve digits\n/)
  expect(await refused("--grace", "soon")).toMatch(/^2 envelope: 'soon' is no number of seconds\n/)
  expect(await refused("--seed", "no.json")).toMatch(/^3 envelope: cannot read no\.json: no such file or directory\n/)
  box.write("seed.json", "{")
  expect(await refused("--seed", "seed.json")).toMatch(/^2 envelope: seed\.json is no JSON: /)
  box.write("seed.json", '{"keys":[{"alias":"alias/a"}]}')
  expect(await refused("--seed", "seed.json")).toMatch(/^2 envelope: seed\.json: keys\[0\] has no member alias: /)
  expect((await box.run(["kms", "serve", "--kms", "aws"])).code).toBe(2)
  const taken = createServer().listen(0, "127.0.0.1")
  await once(taken, "listening")
  onTestFinished(() => void taken.close())
  const { port } = taken.address() as { port: number }
  expect(await refused("--port", String(port))).toBe(
    `3 envelope: cannot listen on port ${port}: address already in use\n`,
  )
})

it("makes, lists, disables, enables and deletes access keys", async () => {
  const box = sandbox()
  const accessKey = async (...args: string[]) => (await box.ok(["principal", "access-key", ...args])).stdout.toString()
  const alice = "arn:aws:iam::111122223333:user/Alice"
  const { accessKeyId } = shellKey(await accessKey("create", alice))
  const service = JSON.parse(await accessKey("create", ROOT, "--service", "s3", "--json"))
  expect(service).toMatchObject({ principal: ROOT, service: "s3", status: "Active" })
  await accessKey("disable", accessKeyId)
  expect(await accessKey("list", alice)).toMatch(
    new RegExp(
      `^ACCESS KEY ID +STATUS +CREATED +SERVICE +PRINCIPAL\n${accessKeyId} +Inactive +\\d{4}-\\d\\d-\\d\\d +- +${alice}\n$`,
    ),
  )
  expect(await accessKey("list")).toContain(" s3 ")
  expect(await accessKey("list", "--json")).not.toContain(service.secretAccessKey)
  await accessKey("enable", accessKeyId)
  await accessKey("delete", accessKeyId)
  expect(await accessKey("list", alice)).toBe("")
  const gone = await box.run(["principal", "access-key", "delete", accessKeyId])
  expect([gone.code, gone.stderr]).toEqual([2, expect.stringContaining(`there is no access key ${accessKeyId}`)])
  expect((await box.run(["principal", "access-key", "create", "Alice"])).code).toBe(2)
})

it("has quotas, and lets only registered principals call where it is told so", async () => {
  const box = sandbox()
  box.write(
    "kms.json",
    JSON.stringify({
      accessKeys: [
        { accessKeyId: "tests", secretAccessKey: "tests-tests", principal: ROOT.replace("root", "user/Nobody") },
      ],
    }),
  )
  const strict = await serve(box, "--memory", "--seed", "kms.json", "--registered-only")
  await expect(client(strict.endpoint).send(new ListKeysCommand({}))).rejects.toThrow(/security token .* is invalid/)
  box.write(
    "root.json",
    JSON.stringify({ accessKeys: [{ accessKeyId: "tests", secretAccessKey: "tests-tests", principal: ROOT }] }),
  )
  const small = await serve(box, "--memory", "--seed", "root.json", "--quota", "keys=1")
  const kms = client(small.endpoint)
  await kms.send(new CreateKeyCommand({}))
  await expect(kms.send(new CreateKeyCommand({}))).rejects.toThrow(/quota of 1 keys/)
  for (const quota of ["keys", "keys=-1", "nonsense=1"])
    expect((await box.run(["kms", "serve", "--memory", "--quota", quota])).code, quota).toBe(2)
})

it("is copied while it serves, and the copy opens with the root key", async () => {
  const box = sandbox()
  await box.ok(["key", "create", "--alias", "default"])
  box.write("a.txt", "hello")
  await box.ok(["encrypt", "a.txt", "-o", "a.enc"])
  await serve(box)
  const made = await box.ok(["kms", "backup", "copy"])
  expect(made.stderr).toContain("copy holds the embedded KMS as it is now, without its root key file")
  expect((await box.run(["kms", "backup", "copy"])).stderr).toContain("is not empty")
  const env = { ENVELOPE_KMS: "local:copy" }
  expect((await box.run(["decrypt", "a.enc"], { env })).stderr).toMatch(/root key file .* is missing/)
  const rootKey = { ...env, ENVELOPE_KMS_ROOT_KEY: `${box.env.XDG_DATA_HOME}/kms-envelope/kms/root.key` }
  expect((await box.ok(["decrypt", "a.enc"], { env: rootKey })).stdout.toString()).toBe("hello")
})
