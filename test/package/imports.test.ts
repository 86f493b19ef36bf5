import { afterAll, beforeAll, expect, test } from "vitest"
import { installProject, type Project } from "./installed.ts"

// The peers are there to be loaded, so that what is not loaded is not loaded by choice.
let project: Project
beforeAll(async () => {
  project = await installProject({ packages: ["@aws-sdk/client-kms", "aws-sdk-client-mock", "lmdb"] })
  project.write({ "hooks.mjs": hooks, "record.mjs": record })
})
afterAll(() => project.remove())

/** Prints the address of each module that is resolved from now on. */
const hooks = `
import { writeSync } from "node:fs"
export async function resolve(specifier, context, nextResolve) {
  const resolved = await nextResolve(specifier, context)
  writeSync(1, resolved.url + "\\n")
  return resolved
}`
const record = 'import { register } from "node:module"\nregister("./hooks.mjs", import.meta.url)'

/** The modules that a program loads, ES modules and CommonJS. */
async function loadedBy(program: string): Promise<string[]> {
  project.write({
    "main.mjs": `${program}
      const { createRequire } = await import("node:module")
      console.log(Object.keys(createRequire(import.meta.url).cache).join("\\n"))`,
  })
  const output = await project.node("--import", "./record.mjs", "main.mjs")
  return output.split("\n").filter((line) => line !== "")
}

const peers = /node_modules\/(@aws-sdk|@smithy|aws-sdk-client-mock|lmdb)\//

test("importing decrypt and using a raw key loads no AWS module and no native one", async () => {
  const modules = await loadedBy(`
    import { decrypt, encrypt, rawAesKeyring } from "kms-envelope"
    const keyring = rawAesKeyring({ keyNamespace: "test", keyName: "one", wrappingKey: new Uint8Array(32) })
    await decrypt(await encrypt("plaintext", { keyring }), { keyring })`)
  expect(modules).toContainEqual(expect.stringContaining("kms-envelope/dist/index.js"))
  expect(modules.filter((name) => peers.test(name))).toEqual([])
  expect(modules.filter((name) => /^node:(http|https|net|tls|dns|child_process|worker_threads)/.test(name))).toEqual([])
})

test("the embedded KMS in memory loads neither the SDK nor lmdb before it is asked for them", async () => {
  const modules = await loadedBy(`
    import { LocalKms } from "kms-envelope/local-kms"
    await LocalKms.inMemory().close()`)
  expect(modules).toContainEqual(expect.stringContaining("kms-envelope/dist/local-kms.js"))
  expect(modules.filter((name) => peers.test(name))).toEqual([])
})

test("a KMS keyring loads the SDK at its first call, which would be seen here", async () => {
  const modules = await loadedBy(`
    import { decrypt, encrypt, kmsKeyring } from "kms-envelope"
    const client = { send: async () => { throw new Error("no KMS here") } }
    const keyring = kmsKeyring({ client, generatorKeyId: "alias/one" })
    console.log("before the call")
    await encrypt("plaintext", { keyring }).catch(() => {})`)
  const [before, after] = [modules.slice(0, modules.indexOf("before the call")), modules]
  expect(before.filter((name) => peers.test(name))).toEqual([])
  expect(after.filter((name) => peers.test(name)).length).toBeGreaterThan(0)
})
