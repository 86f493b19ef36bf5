import { readFileSync } from "node:fs"
import { join } from "node:path"
import { gzipSync } from "node:zlib"
import { type BuildOptions, build, type Metafile } from "esbuild"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { installProject, type Project } from "./installed.ts"

let project: Project
beforeAll(async () => {
  project = await installProject()
})
afterAll(() => project.remove())

/** Bundles one source text in the project. */
async function bundle(source: string, options: BuildOptions = {}) {
  const { metafile, outputFiles, warnings } = await build({
    stdin: { contents: source, resolveDir: project.dir },
    bundle: true,
    platform: "node",
    write: false,
    metafile: true,
    logLevel: "silent",
    absWorkingDir: project.dir,
    ...options,
  })
  return { metafile: metafile!, code: outputFiles![0]!.contents, warnings }
}

const keyring = 'rawAesKeyring({ keyNamespace: "test", keyName: "one", wrappingKey: new Uint8Array(32).fill(1) })'

const decryptOnly = `
  import { decrypt, rawAesKeyring } from "kms-envelope"
  import { readFileSync } from "node:fs"
  decrypt(readFileSync(0), { keyring: ${keyring} }).then(({ plaintext }) => process.stdout.write(plaintext))`

const kmsApplication = `
  import { decrypt, encrypt, kmsKeyring, multiKeyring, rawAesKeyring } from "kms-envelope"
  import { LocalKms } from "kms-envelope/local-kms"
  const kms = LocalKms.inMemory()
  const client = kms.directClient()
  class CreateKeyCommand { input = {} }
  Object.defineProperty(CreateKeyCommand, "name", { value: "CreateKeyCommand" })
  const main = async () => {
    const { KeyMetadata } = await client.send(new CreateKeyCommand())
    const generator = kmsKeyring({ client, generatorKeyId: KeyMetadata.Arn })
    const message = await encrypt("plaintext", { keyring: multiKeyring({ generator, children: [${keyring}] }) })
    console.log((await decrypt(message, { keyring: generator })).text(), (await decrypt(message, { keyring: ${keyring} })).text())
    await kms.close()
  }
  main()`

describe("bundled into one file by esbuild", () => {
  test.each([
    ["ES modules", "esm", "app.mjs", "module"],
    ["CommonJS", "cjs", "app.cjs", "module"],
    ["CommonJS out of the CommonJS build", "cjs", "app.cjs", "require"],
  ] as const)("an application with KMS keys and no SDK runs as %s", async (_name, format, file, condition) => {
    const source =
      condition === "require"
        ? kmsApplication.replace(/import (.*) from (.*)/g, "const $1 = require($2)")
        : kmsApplication
    const options: BuildOptions = { format, minify: true }
    const { code } = await bundle(source, options)
    project.write({ [`out/${file}`]: Buffer.from(code).toString() })
    expect(await project.node(`out/${file}`)).toBe("plaintext plaintext\n")
  })

  test("decrypt with a raw AES key is under 15 kB, minified and compressed", async () => {
    const { code, warnings } = await bundle(decryptOnly, { minify: true })
    expect(warnings).toEqual([])
    const size = gzipSync(code, { level: 9 }).length
    expect(size).toBeGreaterThan(3000)
    expect(size).toBeLessThan(15_000)
  })
})

describe("the main entry", () => {
  /** Built-in modules that the main entry uses. Nothing that opens a socket or starts a process is among them. */
  const builtIns = [
    ...["async_hooks", "crypto", "diagnostics_channel", "fs", "fs/promises", "os", "path", "stream", "stream/promises"],
    ...["timers/promises", "url", "util", "worker_threads"],
  ]

  test("brings in nothing but itself: no AWS client, no network, no embedded KMS, no command", async () => {
    const all = 'import * as all from "kms-envelope"\nconsole.log(all)'
    const { metafile } = await bundle(all, { external: ["@aws-sdk/client-kms"] })
    const { files, imports } = contentsOf(metafile)
    expect(files.filter((file) => !file.startsWith("node_modules/kms-envelope/dist/"))).toEqual(["<stdin>"])
    const builtIn = imports.filter(({ path }) => path.startsWith("node:")).map(({ path }) => path.slice(5))
    expect(builtIn).toContain("crypto")
    expect(builtIn.filter((name) => !builtIns.includes(name))).toEqual([])
    const packages = imports.filter(({ path }) => !path.startsWith("node:"))
    expect(packages).toEqual([{ path: "@aws-sdk/client-kms", kind: "dynamic-import" }])
  })

  test("shares no file with the source of the embedded KMS, the mock or the command", async () => {
    const { metafile } = await bundle('import * as all from "kms-envelope"\nconsole.log(all)', {
      external: ["@aws-sdk/client-kms"],
    })
    const folders = new Set(
      contentsOf(metafile)
        .files.filter((file) => file !== "<stdin>")
        .flatMap((file) => sourceFolders(readFileSync(join(project.dir, file), "utf8"))),
    )
    expect([...folders].sort()).toEqual(["core", "crypto", "format", "framing", "keyrings", "message"])
  })

  test("the embedded KMS would be seen there", async () => {
    const { metafile } = await bundle('import * as all from "kms-envelope/local-kms"\nconsole.log(all)', {
      external: ["@aws-sdk/client-kms", "lmdb"],
    })
    const files = contentsOf(metafile).files.filter((file) => file !== "<stdin>")
    expect(files.flatMap((file) => sourceFolders(readFileSync(join(project.dir, file), "utf8")))).toContain("local-kms")
  })
})

function contentsOf({ inputs }: Metafile) {
  const imports = Object.values(inputs).flatMap((input) => input.imports.filter(({ external }) => external))
  const unique = new Map(imports.map((one) => [one.path, { path: one.path, kind: one.kind }]))
  return { files: Object.keys(inputs).sort(), imports: [...unique.values()].sort((a, b) => (a.path < b.path ? -1 : 1)) }
}

/** The folders of src/ that a built file holds, by the comments that esbuild leaves. */
const sourceFolders = (text: string): string[] =>
  [...text.matchAll(/^\/\/ src\/([^/\n]+)\//gm)].map((match) => match[1]!)
