import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { installProject, type Project } from "../package/installed.ts"

/** Uses the main entry as an application would, and shows that no type of it has decayed to `any`. */
const application = `
import { decrypt, EnvelopeError, encrypt, kmsKeyring, multiKeyring, rawAesKeyring } from "kms-envelope"
import type { Decrypted, EnvelopeErrorCode, Keyring, KmsClient } from "kms-envelope"

const client: KmsClient = { send: async (_command: object) => ({}) }
const generatorKeyId = "arn:aws:kms:eu-west-1:111122223333:key/0c1d2e3f-0000-4000-8000-000000000000"
const local: Keyring = rawAesKeyring({ keyNamespace: "test", keyName: "one", wrappingKey: new Uint8Array(32) })
export const both: Keyring = multiKeyring({ generator: local, children: [kmsKeyring({ client, generatorKeyId })] })

async function main(): Promise<void> {
  const message: Uint8Array = await encrypt("plaintext", { keyring: local, encryptionContext: { tenant: "42" } })
  const decrypted: Decrypted = await decrypt(message, { keyring: local, encryptionContext: { tenant: "42" } })
  console.log(decrypted.text())
  // @ts-expect-error plaintext is bytes
  const text: string = decrypted.plaintext
  // @ts-expect-error a keyring is required
  await encrypt(text, {}).catch(() => {})
  try {
    await decrypt(message, { keyring: local, encryptionContext: { tenant: "43" } })
  } catch (error) {
    if (!(error instanceof EnvelopeError)) throw error
    const code: EnvelopeErrorCode = error.code
    console.log(code)
  }
}
void main()
`

const strict = { target: "ES2022", lib: ["ES2022"], types: ["node"], strict: true, outDir: "out" }

describe("the published types, compiled without skipLibCheck and without the AWS SDK", () => {
  let project: Project
  beforeAll(async () => {
    project = await installProject({ type: "commonjs", packages: ["@types/node"] })
  })
  afterAll(() => project.remove())

  test("the project can resolve neither the SDK nor any other peer", async () => {
    const peers = '["@aws-sdk/client-kms", "aws-sdk-client-mock", "lmdb"]'
    const resolvable = `${peers}.filter((name) => { try { return require.resolve(name) } catch { return false } })`
    expect(JSON.parse(await project.node("-p", `JSON.stringify(${resolvable})`))).toEqual([])
  })

  test.each([
    ["ES modules (nodenext)", "main.mts", "main.mjs", { module: "nodenext" }],
    ["CommonJS (nodenext)", "main.cts", "main.cjs", { module: "nodenext" }],
    ["CommonJS by a CommonJS package.json", "main.ts", "main.js", { module: "node16" }],
    ["a bundler", "main.ts", undefined, { module: "preserve" }],
    [
      "CommonJS with the resolution of old compilers",
      "main.ts",
      "main.js",
      { module: "commonjs", moduleResolution: "node10", ignoreDeprecations: "6.0" },
    ],
  ])("%s compile and run", async (_name, source, output, options) => {
    project.write({
      [source]: application,
      "tsconfig.json": { compilerOptions: { ...strict, ...options }, files: [source] },
    })
    expect(await project.tsc()).toBe("")
    if (output !== undefined) expect(await project.node(`out/${output}`)).toBe("plaintext\nContextMismatch\n")
  })

  test("a mistake is reported", async () => {
    project.write({
      "wrong.mts": 'import { decrypt } from "kms-envelope"\nexport const x: number = decrypt',
      "tsconfig.json": { compilerOptions: { ...strict, module: "nodenext" }, files: ["wrong.mts"] },
    })
    expect(await project.tsc()).toContain("TS2322")
  })
})

describe("the published types beside the AWS SDK", () => {
  let project: Project
  beforeAll(async () => {
    const packages = ["@types/node", "@aws-sdk/client-kms", "@aws-sdk/client-s3", "aws-sdk-client-mock"]
    project = await installProject({ packages })
  })
  afterAll(() => project.remove())

  const application = `
import { KMSClient } from "@aws-sdk/client-kms"
import { GetObjectCommand, ListObjectsV2Command, S3Client } from "@aws-sdk/client-s3"
import { kmsKeyring } from "kms-envelope"
import * as cost from "kms-envelope/cost"
import { LocalKms } from "kms-envelope/local-kms"
import { type BlockDevice, serveNbd } from "kms-envelope/nbd"
import { EncryptedS3Client } from "kms-envelope/s3"
import * as testing from "kms-envelope/testing"

export const address = async (device: BlockDevice) => (await serveNbd(device, { port: 0 })).address
const kms = LocalKms.inMemory()
const client: KMSClient = kms.client()
export const here = kmsKeyring({ client, generatorKeyId: "alias/one" })
export const there = kmsKeyring({ client: (region) => new KMSClient({ region }), keyIds: [] })
const s3: S3Client = new EncryptedS3Client({ client: new S3Client({}), keyring: here, service: kms.service("s3") })
export async function read(client: EncryptedS3Client): Promise<number | undefined> {
  const { Contents } = await client.send(new ListObjectsV2Command({ Bucket: "b" }))
  const { ContentLength } = await client.send(new GetObjectCommand({ Bucket: "b", Key: Contents![0]!.Key! }), {
    boundTo: { bucket: "c", key: "k" },
  })
  // @ts-expect-error the output is the command's own
  Contents.nothing
  // @ts-expect-error an option that there is not
  await s3.send(new GetObjectCommand({ Bucket: "b", Key: "k" }), { boundTo: { bucket: "c", key: "k" } })
  return ContentLength
}
// @ts-expect-error the client has its own type
export const wrong: string = client
// @ts-expect-error so has the module
export const missing = testing.nothingOfThatName
// @ts-expect-error and every other
export const unknown = cost.nothingOfThatName
`
  test.each([
    ["ES modules", "main.mts", { module: "nodenext" }],
    ["CommonJS", "main.cts", { module: "nodenext" }],
    [
      "the resolution of old compilers",
      "main.ts",
      { module: "commonjs", moduleResolution: "node10", ignoreDeprecations: "6.0" },
    ],
  ])("every entry compiles for %s", async (_name, source, options) => {
    project.write({
      [source]: application,
      "tsconfig.json": { compilerOptions: { ...strict, skipLibCheck: true, ...options }, files: [source] },
    })
    expect(await project.tsc()).toBe("")
  })
})
