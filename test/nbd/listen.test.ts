import { existsSync, lstatSync, readdirSync, renameSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs"
import { createServer } from "node:net"
import { dirname, join } from "node:path"
import { describe, expect, it, vi } from "vitest"
import { type BlockDevice, type NbdOptions, serveNbd } from "../../src/nbd/index.ts"
import { errorOf } from "../support/errors.ts"
import { memoryDevice } from "../support/memory-device.ts"
import { SERVER_CERT, SERVER_KEY } from "../support/nbd-certificates.ts"
import { connectNbd } from "../support/nbd-client.ts"
import { connected, served, temporaryFolder } from "./served.ts"

const MiB = 1024 * 1024
const device = memoryDevice(MiB)
const code = async (work: () => unknown) => ((await errorOf(work)) as NodeJS.ErrnoException).code
const modeOf = (path: string): number => lstatSync(path).mode & 0o777

describe("A Unix socket", () => {
  it.each([
    ["0600 by default", {}, 0o600],
    ["as it is told", { mode: 0o660 }, 0o660],
  ])("NBD-6.1: has the mode %s, whatever the umask", async (_what, options, mode) => {
    const path = join(temporaryFolder(), "disk.sock")
    const server = await served(device, { unix: path, ...options })
    expect(modeOf(path)).toBe(mode)
    expect(readdirSync(dirname(path))).toEqual(["disk.sock"])
    expect((await (await connected(server)).go()).size).toBe(MiB)
  })

  it("NBD-6.2: replaces a socket that nobody listens on", async () => {
    const path = join(temporaryFolder(), "s")
    const left = createServer()
    await new Promise<void>((resolve) => left.listen(`${path}.old`, resolve))
    renameSync(`${path}.old`, path)
    await new Promise((resolve) => left.close(resolve))
    expect(lstatSync(path).isSocket()).toBe(true)
    const server = await served(device, { unix: path })
    expect((await (await connected(server)).go()).size).toBe(MiB)
  })

  it("NBD-6.2: leaves a socket that is in use and a file alone", async () => {
    const path = join(temporaryFolder(), "s")
    const first = await served(device, { unix: path })
    expect(await code(() => serveNbd(device, { unix: path }))).toBe("EADDRINUSE")
    expect((await (await connected(first)).go()).size).toBe(MiB)
    const file = join(temporaryFolder(), "file")
    writeFileSync(file, "important")
    expect(await code(() => serveNbd(device, { unix: file }))).toBe("EADDRINUSE")
    const dangling = join(temporaryFolder(), "link")
    symlinkSync("nowhere", dangling)
    expect(await code(() => serveNbd(device, { unix: dangling }))).toBe("EADDRINUSE")
    expect(await code(() => serveNbd(device, { unix: temporaryFolder() }))).toBe("EADDRINUSE")
    expect(await code(() => serveNbd(device, { unix: join(temporaryFolder(), "no", "s") }))).toBe("ENOENT")
    expect(readdirSync(dirname(path))).toEqual(["s"])
  })

  it("NBD-6.2: of two that start at once, one gets the path", async () => {
    const path = join(temporaryFolder(), "s")
    const results = await Promise.allSettled([1, 2, 3, 4].map(() => serveNbd(device, { unix: path })))
    const started = results.flatMap((result) => (result.status === "fulfilled" ? [result.value] : []))
    expect(started).toHaveLength(1)
    expect((await (await connectNbd({ unix: path })).go()).size).toBe(MiB)
    await started[0]!.close({ graceSeconds: 0 })
    expect(readdirSync(dirname(path))).toEqual([])
  })

  it("NBD-6.2: is removed at the end, but never another one in its place", async () => {
    const path = join(temporaryFolder(), "s")
    const first = await served(device, { unix: path })
    await first.close()
    expect(existsSync(path)).toBe(false)
    const second = await served(device, { unix: path })
    rmSync(path)
    const third = await served(device, { unix: path })
    await second.close()
    expect(statSync(path).isSocket()).toBe(true)
    expect((await (await connected(third)).go()).size).toBe(MiB)
  })

  it("is refused where the path is too long for the system", async () => {
    const unix = join(temporaryFolder(), "long".repeat(30))
    expect((await errorOf(() => serveNbd(device, { unix }))).message).toMatch(/bytes too long/)
  })
})

describe("A port", () => {
  it("NBD-6.3: is on the loopback address by default", async () => {
    const server = await served(device, { port: 0 })
    expect(server.address).toMatchObject({ host: "127.0.0.1" })
    expect((await (await connected(server)).go()).size).toBe(MiB)
    const { port } = server.address as { port: number }
    expect(await code(() => serveNbd(device, { port }))).toBe("EADDRINUSE")
  })

  it.each(["0.0.0.0", "::", "192.0.2.1", "example.org", "127.0.0.1.example.org"])(
    "NBD-6.3: %s takes TLS or the word insecure",
    async (host) => {
      const error = await errorOf(() => serveNbd(device, { port: 0, host }))
      expect(error).toBeInstanceOf(TypeError)
      expect(error.message).toContain("insecure")
    },
  )

  it("NBD-6.3: can be open to others with TLS or the word insecure", async () => {
    await served(device, { port: 0, host: "0.0.0.0", insecure: true })
    await served(device, { port: 0, host: "0.0.0.0", tls: { cert: SERVER_CERT, key: SERVER_KEY } })
  })
})

describe("What is served", () => {
  it("NBD-6.4: has a URI", async () => {
    const folder = temporaryFolder()
    const unix = await served(device, { unix: join(folder, "a&b c.sock") })
    expect(unix.uri).toBe(`nbd+unix:///?socket=${folder}/a%26b%20c.sock`)
    const port = await served({ exports: { "ein Träger/1": device, b: device } }, { port: 0 })
    const { port: number } = port.address as { port: number }
    expect(port.uri).toBe(`nbd://127.0.0.1:${number}/ein%20Tr%C3%A4ger%2F1`)
    expect(port.uriOf("b")).toBe(`nbd://127.0.0.1:${number}/b`)
    expect(() => port.uriOf("c")).toThrow(RangeError)
  })

  it.each<[string, unknown, NbdOptions]>([
    ["no place", device, {}],
    ["two places", device, { unix: "s", port: 0 }],
    ["a host for a Unix socket", device, { unix: "s", host: "127.0.0.1" }],
    ["a mode for a port", device, { port: 0, mode: 0o600 }],
    ["no connections", device, { unix: "s", maxConnections: 0 }],
    ["no requests", device, { unix: "s", maxRequestsInFlight: 0 }],
    ["half a byte", device, { unix: "s", maxBytesInFlight: 0.5 }],
    ["no time", device, { unix: "s", handshakeSeconds: 0 }],
    ["no export", { exports: {} }, { unix: "s" }],
    ["no device", { exports: { a: {} } }, { unix: "s" }],
    ["a size that is none", { ...device, size: -1 }, { unix: "s" }],
    ["an odd block size", { ...device, blockSize: 1000 }, { unix: "s" }],
    ["a block size that is too small", { ...device, blockSize: 256 }, { unix: "s" }],
    ["a name that is too long", { exports: { ["n".repeat(4097)]: device } }, { unix: "s" }],
  ])("is refused with %s", async (_what, given, options) => {
    const error = await errorOf(() => serveNbd(given as BlockDevice, options))
    expect(error instanceof TypeError || error instanceof RangeError).toBe(true)
    expect(existsSync("s")).toBe(false)
  })

  it("grows while it is served", async () => {
    const growing = { ...memoryDevice(MiB), size: 512 }
    const server = await served(growing)
    const before = await connected(server)
    expect((await before.go()).size).toBe(512)
    growing.size = MiB
    expect((await (await connected(server)).go()).size).toBe(MiB)
    expect((await before.request({ type: 0, offset: 4096, length: 512 })).error).toBe(0)
    await vi.waitFor(() => expect(server.stats.reads).toBe(1))
  })
})
