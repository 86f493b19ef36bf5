import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { chmod, copyFile, cp, mkdir, readdir, readFile, rm, stat, truncate, writeFile } from "node:fs/promises"
import { createRequire } from "node:module"
import { join } from "node:path"
import { setTimeout as delay } from "node:timers/promises"
import { pathToFileURL } from "node:url"
import { build } from "esbuild"
import { describe, expect, onTestFinished, test } from "vitest"
import { EnvelopeError } from "../../src/core/index.ts"
import { LocalKms, type OpenOptions } from "../../src/local-kms/index.ts"
import { lmdbStore } from "../../src/local-kms/store/lmdb.ts"
import { createVault } from "../../src/local-kms/vault.ts"
import { bytes, createKey, type Send, sendTo, temporaryFolder } from "./helpers.ts"

async function opened(dir: string, options: OpenOptions = {}): Promise<{ kms: LocalKms; send: Send }> {
  const kms = await LocalKms.open(dir, options)
  onTestFinished(() => kms.close())
  return { kms, send: sendTo(kms.directClient()) }
}

/** Opens and closes again. */
async function attempt(dir: string, options: OpenOptions = {}): Promise<void> {
  const kms = await LocalKms.open(dir, options)
  await kms.close()
}

const refused = (message: RegExp) => ({ code: "KmsStore", message: expect.stringMatching(message) })

/** A folder with a store in it and a ciphertext of its key. */
async function storeWithKey(options: OpenOptions = {}) {
  const dir = await temporaryFolder()
  const kms = await LocalKms.open(dir, options)
  const send = sendTo(kms.directClient())
  const { keyId } = await createKey(send)
  await send("CreateAlias", { AliasName: "alias/a", TargetKeyId: keyId })
  const { CiphertextBlob } = await send("Encrypt", { KeyId: "alias/a", Plaintext: bytes(9) })
  await kms.close()
  return { dir, keyId, CiphertextBlob }
}

describe("a durable store", () => {
  test("keeps keys, aliases, events and counts", async () => {
    const { dir, keyId, CiphertextBlob } = await storeWithKey()
    const { kms, send } = await opened(dir)
    expect((await send("Decrypt", { CiphertextBlob })).Plaintext).toEqual(bytes(9))
    expect((await send("DescribeKey", { KeyId: "alias/a" })).KeyMetadata.KeyId).toBe(keyId)
    const names = (await kms.events()).map(({ eventName }) => eventName)
    expect(names).toEqual(["CreateKey", "CreateAlias", "Encrypt", "Decrypt", "DescribeKey"])
    expect((await kms.usage()).requests).toBe(5)
  })

  test("is private to its owner", async () => {
    const { dir } = await storeWithKey()
    for (const name of await readdir(dir)) expect((await stat(join(dir, name))).mode & 0o077, name).toBe(0)
  })

  test("KMS-3.3: holds no key material in the clear", async () => {
    const { dir } = await storeWithKey()
    const rootKey = new Uint8Array(await readFile(join(dir, "root.key")))
    const data = await readFile(join(dir, "data.mdb"))
    const contains = (secret: Uint8Array): boolean =>
      data.includes(Buffer.from(secret)) ||
      (["hex", "base64", "base64url"] as const).some((encoding) =>
        data.includes(Buffer.from(secret).toString(encoding)),
      )
    expect(contains(rootKey)).toBe(false)

    const store = await lmdbStore(dir)
    onTestFinished(() => store.close())
    const { storeId } = store.read((reader) => reader.get<{ storeId: string }>("meta/store")!)
    const [path, shared] = store.read(
      (reader) => [...reader.range<{ materials: { id: string; sealed: string }[] }>("shared/")][0]!,
    )
    const { id, sealed } = shared.materials[0]!
    expect(contains(new TextEncoder().encode(sealed))).toBe(true)
    const vault = createVault(rootKey, storeId)
    const material = vault.open(`material/${path.slice("shared/".length)}/${id}`, sealed)!
    expect(material).toHaveLength(32)
    expect(contains(material)).toBe(false)
  })

  test("KMS-3.1: opens with its passphrase only", async () => {
    const { dir, CiphertextBlob } = await storeWithKey({ passphrase: "correct horse" })
    expect(await readdir(dir)).not.toContain("root.key")
    const { send } = await opened(dir, { passphrase: new TextEncoder().encode("correct horse") })
    expect((await send("Decrypt", { CiphertextBlob })).Plaintext).toEqual(bytes(9))
    await expect(attempt(dir, { passphrase: "battery staple" })).rejects.toMatchObject(refused(/wrong passphrase/))
    await expect(attempt(dir)).rejects.toMatchObject(refused(/needs its passphrase/))
  })

  test("its root key file may live elsewhere", async () => {
    const elsewhere = join(await temporaryFolder(), "kms-root.key")
    const { dir, CiphertextBlob } = await storeWithKey({ rootKeyFile: elsewhere })
    expect(await readdir(dir)).not.toContain("root.key")
    const { send } = await opened(dir, { rootKeyFile: elsewhere })
    expect((await send("Decrypt", { CiphertextBlob })).Plaintext).toEqual(bytes(9))
    await expect(attempt(dir)).rejects.toMatchObject(refused(/root key file .* is missing/))
    await expect(attempt(dir, { passphrase: "x" })).rejects.toMatchObject(refused(/has a root key file/))
  })

  test("KMS-3.2: is refused with another store's root key", async () => {
    const [first, second] = [await storeWithKey(), await storeWithKey()]
    await copyFile(join(second.dir, "root.key"), join(first.dir, "root.key"))
    await expect(attempt(first.dir)).rejects.toMatchObject(refused(/does not belong to this KMS store/))
  })

  test("KMS-3.1: is refused with a root key file that others may read, or of the wrong size", async () => {
    const { dir } = await storeWithKey()
    const file = join(dir, "root.key")
    for (const mode of [0o640, 0o604]) {
      await chmod(file, mode)
      await expect(attempt(dir)).rejects.toMatchObject(refused(/may be read by others/))
    }
    await chmod(file, 0o600)
    await attempt(dir)
    await writeFile(file, bytes(31))
    await expect(attempt(dir)).rejects.toMatchObject(refused(/is not 32 bytes long/))
  })

  test("KMS-3.1: never makes a new root key for keys that are there", async () => {
    const { dir } = await storeWithKey()
    await rm(join(dir, "root.key"))
    await expect(attempt(dir)).rejects.toMatchObject(refused(/is missing/))
    expect(await readdir(dir)).not.toContain("root.key")
  })

  test("KMS-3.2: of a newer version is refused by name", async () => {
    const { dir } = await storeWithKey()
    const store = await lmdbStore(dir)
    await store.transaction((tx) => tx.put("meta/store", { ...tx.get("meta/store"), version: 2 }))
    await store.close()
    await expect(attempt(dir)).rejects.toMatchObject(refused(/version 2, this library reads up to 1/))
  })

  test.each<[string, (file: string) => Promise<void>]>([
    ["is cut short by one page", async (file) => truncate(file, (await stat(file)).size - 4096)],
    ["is cut to its first page", (file) => truncate(file, 4096)],
    ["is cut to half a page", (file) => truncate(file, 2000)],
    ["is overwritten with text", (file) => writeFile(file, "this is no database\n".repeat(1000))],
    ["has zeroes for headers", async (file) => writeFile(file, new Uint8Array((await stat(file)).size))],
  ])("whose data file %s is refused, and the process lives", async (_how, damage) => {
    const { dir } = await storeWithKey()
    await damage(join(dir, "data.mdb"))
    await expect(attempt(dir)).rejects.toMatchObject(refused(/damaged/))
  })

  test("KMS-3.3: key material moved to another key does not open", async () => {
    const { dir, keyId } = await storeWithKey()
    const { send } = await opened(dir)
    const other = await createKey(send)
    const store = await lmdbStore(dir)
    onTestFinished(() => store.close())
    await store.transaction((tx) => {
      const path = (id: string): string => `shared/111122223333/${id}`
      const mine = tx.get<{ materials: { sealed: string }[] }>(path(keyId))!
      const others = tx.get<{ materials: { sealed: string }[] }>(path(other.keyId))!
      tx.put(path(other.keyId), {
        ...others,
        materials: [{ ...others.materials[0]!, sealed: mine.materials[0]!.sealed }],
      })
    })
    await expect(send("Encrypt", { KeyId: other.keyId, Plaintext: bytes(1) })).rejects.toMatchObject({
      name: "KMSInternalException",
      message: `The stored key material of ${other.arn} is damaged.`,
      $fault: "server",
    })
  })

  test("a copied folder is a backup", async () => {
    const { dir, CiphertextBlob } = await storeWithKey()
    const copy = join(await temporaryFolder(), "copy")
    await cp(dir, copy, { recursive: true })
    const { send } = await opened(copy)
    expect((await send("Decrypt", { CiphertextBlob })).Plaintext).toEqual(bytes(9))
  })

  test("KMS-3.11: is copied while it works, to one consistent state, and opens with the root key from elsewhere", async () => {
    const { dir, CiphertextBlob } = await storeWithKey()
    const { kms, send } = await opened(dir)
    const target = join(await temporaryFolder(), "kms.backup")
    const working = Array.from({ length: 40 }, () => send("CreateKey"))
    const copying = kms.backup(target)
    await Promise.all([copying, ...working])
    expect(await readdir(target)).toEqual(["data.mdb"])
    expect((await stat(join(target, "data.mdb"))).mode & 0o077).toBe(0)
    await expect(attempt(target)).rejects.toMatchObject(refused(/root key file .* is missing/))
    const copy = await opened(target, { rootKeyFile: join(dir, "root.key") })
    expect((await copy.send("Decrypt", { CiphertextBlob })).Plaintext).toEqual(bytes(9))
    expect(await copy.kms.verifyAudit()).toMatchObject({ valid: true, problems: [] })
    const created = await copy.kms.events({ eventName: "CreateKey" })
    expect((await copy.send("ListKeys")).Keys).toHaveLength(created.length)
  })

  test("KMS-3.11: is not copied over anything, and not out of memory", async () => {
    const { dir } = await storeWithKey()
    const { kms } = await opened(dir)
    await expect(kms.backup(dir)).rejects.toMatchObject(refused(/is not empty/))
    const inMemory = LocalKms.inMemory()
    onTestFinished(() => inMemory.close())
    await expect(inMemory.backup(join(dir, "x"))).rejects.toMatchObject(refused(/in memory/))
  })

  test("may be in a folder whose name has a dot", async () => {
    const dir = join(await temporaryFolder(), "kms.data")
    await attempt(dir)
    expect(await readdir(dir)).toContain("data.mdb")
  })

  test("a folder that cannot be made is a clear error", async () => {
    const dir = await temporaryFolder()
    await writeFile(join(dir, "file"), "")
    await expect(attempt(join(dir, "file"))).rejects.toMatchObject({ code: "KmsStore" })
    await mkdir(join(dir, "root"))
    await expect(attempt(join(dir, "store"), { rootKeyFile: join(dir, "root") })).rejects.toMatchObject({
      code: "KmsStore",
    })
  })
})

describe("closing", () => {
  test("waits for running requests and refuses later ones", async () => {
    const { dir } = await storeWithKey()
    const kms = await LocalKms.open(dir)
    const direct = sendTo(kms.directClient())
    const sdk = kms.client()
    const running = Array.from({ length: 20 }, () => direct("CreateKey"))
    const closing = kms.close()
    await expect(direct("ListKeys")).rejects.toMatchObject({ code: "Closed" })
    expect(await Promise.all(running)).toHaveLength(20)
    await closing
    await kms.close()
    for (const call of [kms.events(), kms.usage(), direct("ListKeys")])
      await expect(call).rejects.toThrow(EnvelopeError)
    const { ListKeysCommand } = await import("@aws-sdk/client-kms")
    await expect(sdk.send(new ListKeysCommand({}))).rejects.toMatchObject({ code: "Closed" })
    const again = await opened(dir)
    expect((await again.send("ListKeys")).Keys).toHaveLength(21)
  })

  test("happens by itself at the end of a scope", async () => {
    let outside: LocalKms
    {
      await using kms = LocalKms.inMemory()
      outside = kms
      await kms.events()
    }
    await expect(outside.events()).rejects.toMatchObject({ code: "Closed" })
  })
})

describe("several processes on one store", () => {
  test("opens at the same time make one store with one root key", async () => {
    const dir = join(await temporaryFolder(), "new")
    const all = await Promise.all(Array.from({ length: 5 }, () => opened(dir)))
    const { keyId } = await createKey(all[0]!.send)
    const { CiphertextBlob } = await all[1]!.send("Encrypt", { KeyId: keyId, Plaintext: bytes(9) })
    for (const { send } of all) expect((await send("Decrypt", { CiphertextBlob })).Plaintext).toEqual(bytes(9))
  })

  test("see each other's changes at once and lose none", async () => {
    const { dir, keyId } = await storeWithKey()
    const script = await buildWorker()
    const { kms, send } = await opened(dir)
    const before = (await kms.usage()).requests
    const workers = Array.from({ length: 3 }, () => startWorker(script, dir, 20))
    await send("DisableKey", { KeyId: keyId })
    for (const { exited } of workers) expect(await exited).toBe(0)
    const lines = workers.flatMap(({ lines }) => lines)
    expect(lines).toHaveLength(60)
    expect((await kms.usage()).requests).toBe(before + 1 + 120)
    for (const { keyId, blob } of lines)
      expect((await send("Decrypt", { KeyId: keyId, CiphertextBlob: Buffer.from(blob, "base64") })).KeyId).toContain(
        keyId,
      )
    const other = await opened(dir)
    await expect(other.send("Encrypt", { KeyId: keyId, Plaintext: bytes(1) })).rejects.toMatchObject({
      name: "DisabledException",
    })
  })

  test.skipIf(process.platform === "win32")(
    "a full disk is an error of the call, and what was acknowledged stays",
    async () => {
      const dir = await temporaryFolder()
      const script = await buildWorker()
      // A limit on the size of files stands in for the disk.
      const limited = `trap '' XFSZ; ulimit -f 600; exec "$0" "$1" "$2"`
      const worker = watch(
        spawn("sh", ["-c", limited, process.execPath, script, dir], { stdio: [...STDIO_IGNORING_ERRORS] }),
      )
      expect(await worker.exited).toBe(3)
      expect(worker.lines.length).toBeGreaterThan(5)
      const { send } = await opened(dir)
      for (const { keyId, blob } of worker.lines)
        await send("Decrypt", { KeyId: keyId, CiphertextBlob: Buffer.from(blob, "base64") })
    },
  )

  test("KMS-3.9: killed at any moment, they lose nothing they acknowledged and leave nothing half done", async () => {
    const dir = await temporaryFolder()
    const script = await buildWorker()
    await attempt(dir)
    const acknowledged: Line[] = []
    for (let round = 0; round < 4; round++) {
      const workers = [startWorker(script, dir), startWorker(script, dir)]
      await Promise.all(workers.map(({ first }) => first))
      await delay(20 + 60 * Math.random())
      for (const { child } of workers) child.kill("SIGKILL")
      await Promise.all(workers.map(({ exited }) => exited))
      acknowledged.push(...workers.flatMap(({ lines }) => lines))
    }
    expect(acknowledged.length).toBeGreaterThan(8)
    const { kms, send } = await opened(dir)
    expect((await kms.verifyAudit()).problems).toEqual([])
    for (const { keyId, blob } of acknowledged) {
      const opened = await send("Decrypt", { KeyId: keyId, CiphertextBlob: Buffer.from(blob, "base64") })
      expect(opened.Plaintext).toHaveLength(32)
    }
    const created = await kms.events({ eventName: "CreateKey", errorCode: null })
    const keys: string[] = []
    let Marker: string | undefined
    do {
      const page = await send("ListKeys", { Limit: 1000, Marker })
      keys.push(...page.Keys.map(({ KeyArn }: { KeyArn: string }) => KeyArn))
      Marker = page.NextMarker
    } while (Marker !== undefined)
    expect(created.flatMap(({ resources }) => resources!.map(({ ARN }) => ARN)).sort()).toEqual(keys.sort())
  })
})

interface Line {
  readonly keyId: string
  readonly blob: string
}

/** The worker as one JavaScript file, since Node 20 reads no TypeScript. */
async function buildWorker(): Promise<string> {
  const script = join(await temporaryFolder(), "worker.mjs")
  const lmdb = pathToFileURL(createRequire(import.meta.url).resolve("lmdb")).href
  await build({
    entryPoints: [new URL("store-worker.ts", import.meta.url).pathname],
    outfile: script,
    bundle: true,
    platform: "node",
    format: "esm",
    plugins: [
      {
        name: "lmdb where the project has it",
        setup: ({ onResolve }) => onResolve({ filter: /^lmdb$/ }, () => ({ path: lmdb, external: true })),
      },
    ],
  })
  return script
}

interface Worker {
  readonly child: ChildProcess
  readonly lines: Line[]
  /** Settles with the first acknowledged key. */
  readonly first: Promise<unknown>
  readonly exited: Promise<number | null>
}

function startWorker(script: string, dir: string, count?: number): Worker {
  const args = count === undefined ? [] : [String(count)]
  return watch(spawn(process.execPath, [script, dir, ...args], { stdio: ["ignore", "pipe", "inherit"] }))
}

/** lmdb prints the reason of a failed write by itself. */
const STDIO_IGNORING_ERRORS = ["ignore", "pipe", "ignore"] as const

function watch(child: ChildProcess): Worker {
  const lines: Line[] = []
  let rest = ""
  child.stdout!.setEncoding("utf8").on("data", (chunk: string) => {
    const parts = (rest + chunk).split("\n")
    rest = parts.pop()!
    lines.push(...parts.map((part) => JSON.parse(part) as Line))
  })
  return {
    child,
    lines,
    first: once(child.stdout!, "data"),
    exited: once(child, "close").then(([code]) => code as number | null),
  }
}
