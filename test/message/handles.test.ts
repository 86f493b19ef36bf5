import { spawn } from "node:child_process"
import { mkdtemp, rm } from "node:fs/promises"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { build } from "esbuild"
import { afterAll, beforeAll, describe, expect, it } from "vitest"

/**
 * Each script runs in a process of its own and must end by itself at once, without a warning: an open handle would keep
 * it alive, an unhandled rejection would end it with another status.
 */
const root = fileURLToPath(new URL("../..", import.meta.url))
let folder: string
let library: string

beforeAll(async () => {
  folder = await mkdtemp(join(root, "node_modules/.handles-"))
  library = join(folder, "library.mjs")
  await build({
    entryPoints: [join(root, "src/index.ts")],
    outfile: library,
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node20",
    external: ["@aws-sdk/*"],
    logLevel: "error",
  })
})
afterAll(() => rm(folder, { recursive: true, force: true }))

const PRELUDE = `
  const wrappingKey = new Uint8Array(32).fill(7)
  const keyring = rawAesKeyring({ keyNamespace: "n", keyName: "k", wrappingKey })
  const slow = { name: "slow", wrap: () => new Promise(() => {}), unwrap: () => new Promise(() => {}) }
  const message = await encrypt(new Uint8Array(500_000), { keyring, frameLength: 1000 })
  const bad = message.slice(); bad[250_000] ^= 1
  const ignore = (stream) => stream.on("error", () => {})
`

function runScript(script: string): Promise<{ status: number | null; stderr: string; milliseconds: number }> {
  const imports = `import { createReadStream } from "node:fs"
    import { Readable, Writable } from "node:stream"
    import { pipeline } from "node:stream/promises"
    import { rawAesKeyring, encrypt, decrypt, encryptStream, decryptStream, encryptTransform, decryptTransform, openMessage, fromFile, reencrypt } from ${JSON.stringify(library)}`
  const start = Date.now()
  const child = spawn(process.execPath, ["--input-type=module", "-e", `${imports}\n${PRELUDE}\n${script}`], {
    stdio: ["ignore", "ignore", "pipe"],
    timeout: 15_000,
  })
  let stderr = ""
  child.stderr.on("data", (text) => {
    stderr += text
  })
  return new Promise((resolve) => {
    child.on("close", (status) => resolve({ status, stderr, milliseconds: Date.now() - start }))
  })
}

const SCRIPTS: Record<string, string> = {
  "streams that are never used": `encryptStream({ keyring }); decryptStream({ keyring }); encryptTransform({ keyring }); decryptTransform({ keyring })`,
  "streams that are destroyed at once": `ignore(encryptStream({ keyring })).destroy(); ignore(decryptStream({ keyring })).destroy(new Error("x"))`,
  "streams that wait for a keyring for ever": `
    for (const make of [encryptStream, decryptStream]) { const stream = ignore(make({ keyring: slow })); stream.write(message); setTimeout(() => stream.destroy(), 20) }`,
  "streams that wait for a reader": `
    const a = ignore(encryptStream({ keyring })); a.write(message); const b = ignore(decryptStream({ keyring })); b.write(message)
    setTimeout(() => { a.destroy(); b.destroy(new Error("x")) }, 20)`,
  "streams that are aborted": `
    const controller = new AbortController(); const { signal } = controller
    const a = ignore(encryptStream({ keyring, signal })); a.write(message); a.resume()
    const b = ignore(decryptStream({ keyring, signal })); b.write(message); b.resume()
    const c = ignore(reencrypt({ from: { keyring, signal }, to: { keyring } })); c.write(message); c.resume()
    setTimeout(() => controller.abort(), 20)`,
  "pipelines that fail": `
    const sink = () => new Writable({ write(chunk, encoding, callback) { callback() } })
    await pipeline(Readable.from([bad]), decryptStream({ keyring }), sink()).catch(() => {})
    await pipeline(Readable.from([message.subarray(0, 99_999)]), decryptStream({ keyring }), sink()).catch(() => {})
    await pipeline(Readable.from([message]), decryptStream({ keyring }), new Writable({ write(c, e, callback) { callback(new Error("full")) } })).catch(() => {})
    await pipeline(createReadStream("/does/not/exist"), encryptStream({ keyring }), sink()).catch(() => {})`,
  "Web streams that are cancelled, aborted or fail": `
    for (const make of [encryptTransform, decryptTransform]) {
      for (const input of [message, bad]) {
        const controller = new AbortController()
        const one = new Blob([input]).stream().pipeThrough(make({ keyring, signal: controller.signal }))
        const reader = one.getReader(); await reader.read(); await reader.cancel("enough")
        const two = make({ keyring }); const writer = two.writable.getWriter(); writer.write(input).catch(() => {}); writer.closed.catch(() => {})
        await writer.abort("enough")
        const three = new Blob([input]).stream().pipeThrough(make({ keyring, signal: controller.signal }))
        const last = three.getReader(); await last.read(); controller.abort(); last.closed.catch(() => {})
      }
    }`,
  "message handles that are left open": `await openMessage(message, { keyring }); await openMessage(bad, { keyring })`,
  "message handles that fail to open": `
    await openMessage(message.subarray(0, 1000), { keyring }).catch(() => {})
    await openMessage(await fromFile(${JSON.stringify(fileURLToPath(import.meta.url))}), { keyring }).catch(() => {})`,
  "calls that fail": `
    await decrypt(bad, { keyring }).catch(() => {})
    await encrypt("x", { keyring, maxWrappedKeys: 0 }).catch(() => {})
    const controller = new AbortController()
    const calls = [encrypt("x", { keyring: slow, signal: controller.signal }), decrypt(message, { keyring: slow, signal: controller.signal })]
    setTimeout(() => controller.abort(), 10)`,
}

describe("No open handle and no unhandled rejection is left by", () => {
  it.concurrent.each(Object.entries(SCRIPTS))("%s", async (_, script) => {
    const { status, stderr, milliseconds } = await runScript(script)
    expect(stderr).toBe("")
    expect(status).toBe(0)
    expect(milliseconds).toBeLessThan(12_000)
  })
})
