import { readdirSync, readFileSync } from "node:fs"
import { createRequire } from "node:module"
import { dirname, join } from "node:path"
import { createContext, Script } from "node:vm"
import ts from "typescript"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { installProject, type Project } from "./installed.ts"

let project: Project
beforeAll(async () => {
  project = await installProject({ type: "commonjs" })
})
afterAll(() => project.remove())

const folder = () => join(project.dir, "node_modules/kms-envelope/dist")

/** Encrypts and decrypts through an embedded KMS, without the AWS SDK: prints the plaintext and an error's code. */
const roundTrip = `
async function roundTrip({ decrypt, encrypt, EnvelopeError, kmsKeyring }, { LocalKms }) {
  const kms = LocalKms.inMemory()
  const client = kms.directClient()
  const CreateKeyCommand = class CreateKeyCommand { input = {} }
  const { KeyMetadata } = await client.send(new CreateKeyCommand())
  const keyring = kmsKeyring({ client, generatorKeyId: KeyMetadata.Arn })
  const encryptionContext = { tenant: "42" }
  const message = await encrypt("plaintext", { keyring, encryptionContext, signed: true })
  const { plaintext } = await decrypt(message, { keyring, encryptionContext })
  message[message.length - 1] ^= 1
  const error = await decrypt(message, { keyring }).catch((error) => error)
  await kms.close()
  return [Buffer.from(plaintext).toString(), error instanceof EnvelopeError, error.code]
}`
const expected = ["plaintext", true, "TamperedMessage"]

describe("from CommonJS", () => {
  test("a message goes through KMS keys and back, with no AWS SDK to be found", async () => {
    const main = `${roundTrip}
      roundTrip(require("kms-envelope"), require("kms-envelope/local-kms")).then((x) => console.log(JSON.stringify(x)))`
    project.write({ "main.cjs": main })
    expect(JSON.parse(await project.node("main.cjs"))).toEqual(expected)
  })

  test("ES modules and CommonJS in one process know each other's errors, and entries share them", async () => {
    const both = `
      import { createRequire } from "node:module"
      import * as esm from "kms-envelope"
      import { LocalKms } from "kms-envelope/local-kms"
      const require = createRequire(import.meta.url)
      const cjs = require("kms-envelope")
      const cjsKms = require("kms-envelope/local-kms")
      const closed = async (LocalKms) => {
        const kms = LocalKms.inMemory()
        await kms.close()
        return kms.events().catch((error) => error)
      }
      const errors = [await closed(LocalKms), await closed(cjsKms.LocalKms)]
      console.log(JSON.stringify(errors.map((error) => [
        error.code, error instanceof esm.EnvelopeError, error instanceof cjs.EnvelopeError,
      ])))`
    project.write({ "both.mjs": both })
    expect(JSON.parse(await project.node("both.mjs"))).toEqual([
      ["Closed", true, true],
      ["Closed", true, true],
    ])
  })
})

describe("for Jest", () => {
  const files = () => readdirSync(folder()).filter((name) => name.endsWith(".cjs"))

  test("no file uses import(), which Jest's vm does not have", () => {
    expect(files().length).toBeGreaterThanOrEqual(3)
    for (const name of files())
      expect([name, dynamicImports(readFileSync(join(folder(), name), "utf8"))]).toEqual([name, 0])
  })

  test("import() would be seen", () => {
    expect(dynamicImports('const later = () => import("lmdb")')).toBe(1)
  })

  test("a message goes through KMS keys and back in a vm with its own globals", async () => {
    const load = vmLoader()
    const entry = (name: string) => load(join(folder(), name))
    const run = load(join(project.dir, "in-vm.cjs"), `${roundTrip}\nmodule.exports = roundTrip`) as (
      ...args: unknown[]
    ) => unknown
    expect(await run(entry("index.cjs"), entry("local-kms.cjs"))).toEqual(expected)
  })
})

function dynamicImports(text: string): number {
  let count = 0
  const visit = (node: ts.Node): void => {
    if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) count++
    ts.forEachChild(node, visit)
  }
  visit(ts.createSourceFile("x.cjs", text, ts.ScriptTarget.ESNext))
  return count
}

/**
 * Loads CommonJS files as Jest does: each wrapped in a function, in a context whose Object, Error and Promise are its own
 * while the binary types are Node's.
 */
function vmLoader() {
  const { AbortController, AbortSignal, Buffer, console, DOMException, performance, process } = globalThis
  const { queueMicrotask, setTimeout, clearTimeout, TextDecoder, TextEncoder, TransformStream, URL } = globalThis
  const context = createContext({
    ...{ AbortController, AbortSignal, ArrayBuffer, Buffer, console, DOMException, performance, process, Uint8Array },
    ...{ queueMicrotask, setTimeout, clearTimeout, TextDecoder, TextEncoder, TransformStream, URL },
  })
  const loaded = new Map<string, { exports: unknown }>()
  return function load(path: string, text = readFileSync(path, "utf8")): unknown {
    const known = loaded.get(path)
    if (known !== undefined) return known.exports
    const module = { exports: {} as unknown }
    loaded.set(path, module)
    const real = createRequire(path)
    const require = (name: string) => (name.startsWith(".") ? load(real.resolve(name)) : real(name))
    const wrapper = `(function (exports, require, module, __filename, __dirname) {${text}\n})`
    new Script(wrapper, { filename: path }).runInContext(context)(module.exports, require, module, path, dirname(path))
    return module.exports
  }
}
