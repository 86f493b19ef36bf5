import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs"
import { createConnection, createServer } from "node:net"
import { expect, it, onTestFinished, vi } from "vitest"
import { clientCommands } from "../../src/cli/nbd-clients.ts"
import { type ServedState, statusText } from "../../src/cli/nbd-status.ts"
import { AUTHORITY_CERT, CLIENT_CERT, CLIENT_KEY, SERVER_CERT, SERVER_KEY } from "../support/nbd-certificates.ts"
import { CMD, connectNbd, E, type NbdClient } from "../support/nbd-client.ts"
import { seeded } from "../support/random.ts"
import { attach } from "./attached.ts"
import { type Sandbox, sandbox, sandboxWithKey } from "./sandbox.ts"
import { transcript } from "./transcript.ts"

// Each starts the command many times, which a busy machine takes its time for.
vi.setConfig({ testTimeout: 120_000 })

const guide = readFileSync(new URL("../../docs/guide/volume-command.md", import.meta.url), "utf8")
const KiB = 1024
const MiB = 1024 * KiB
const create = (box: Sandbox, ...args: string[]) =>
  box.ok(["volume", "create", "disk.vol", "--size", "16MiB", "--quiet", ...args])

const write = async (client: NbdClient, offset: number, data: Uint8Array): Promise<void> =>
  expect((await client.request({ type: CMD.write, offset, data })).error).toBe(0)
const read = async (client: NbdClient, offset: number, length: number): Promise<Buffer> =>
  (await client.request({ type: CMD.read, offset, length })).data

it("has a guide whose session happens as it is printed", async () => {
  const box = sandbox()
  onTestFinished(() => {
    try {
      process.kill(Number(box.read("pid")), "SIGKILL")
    } catch {
      // It ended as it was told.
    }
  })
  const sessions = [...guide.matchAll(/^```console\n(.*?)^```$/gms)].map(([, session]) => session!)
  expect(sessions.length).toBe(1)
  await transcript(box, sessions[0]!)
})

it("is explained option by option in the guide", async () => {
  const box = sandbox()
  for (const name of ["create", "info", "attach", "scrub", "resize", "settle"]) {
    const text = (await box.ok(["volume", name, "--help"])).stdout.toString()
    expect(text).toContain(`Usage: envelope volume ${name} `)
    for (const [option] of text.matchAll(/--[a-z0-9-]+/g)) expect(guide).toContain(`\`${option}`)
  }
  expect((await box.ok(["help", "volume"])).stdout.toString()).toContain("Examples:")
})

it("keeps all that was flushed when SIGTERM detaches it, and leaves nothing behind", async () => {
  const box = await sandboxWithKey()
  await create(box, "--block-size", "16k", "--context", "tenant=42")
  const first = await attach(box)
  expect(first.served).toMatchObject({ pid: first.child.pid, unix: box.path("disk.vol/nbd.sock"), readOnly: false })
  expect(statSync(first.served.unix).mode & 0o777).toBe(0o600)
  const client = await first.client()
  expect(client.size).toBe(16 * MiB)
  const data = seeded(1).bytes(5 * MiB + 123)
  await write(client, 4097, data)
  expect((await client.request({ type: CMD.flush })).error).toBe(0)
  expect(await first.end()).toEqual([0, null])
  await client.ended
  expect(first.stderr()).toContain("SIGTERM: answering what is running, then detaching")
  expect(first.stderr()).toMatch(/detached: 0 bytes read, 5(\.0)? MiB written\n$/)
  expect(existsSync(first.served.unix)).toBe(false)
  const info = JSON.parse((await box.ok(["volume", "info", "disk.vol", "--json"])).stdout.toString())
  expect(info).toMatchObject({ clean: true, blockSize: 16_384, encryptionContext: { tenant: "42" } })
  const second = await attach(box, "--read-only", "--unix", "other.sock")
  expect(second.stderr()).not.toContain("recovered")
  const reader = await second.client()
  expect(reader.flags & 2).toBe(2)
  expect((await read(reader, 4097, data.length)).equals(data)).toBe(true)
  expect((await reader.request({ type: CMD.write, data: new Uint8Array(512) })).error).toBe(E.perm)
  expect(await second.end("SIGINT")).toEqual([0, null])
})

it("has what was written after a kill -9, and says that it recovered", async () => {
  const box = await sandboxWithKey()
  await create(box)
  const first = await attach(box)
  const client = await first.client()
  const data = seeded(2).bytes(MiB)
  await write(client, 0, data)
  expect(await first.end("SIGKILL")).toEqual([null, "SIGKILL"])
  const second = await attach(box)
  await expect.poll(second.stderr).toMatch(/the volume was not detached: recovered by records \d+ to \d+ of its log/)
  expect((await read(await second.client(), 0, data.length)).equals(data)).toBe(true)
  expect(await second.end()).toEqual([0, null])
})

it("quits at once on a second signal", async () => {
  const box = await sandboxWithKey()
  await create(box)
  const attached = await attach(box)
  // A client that takes none of its replies keeps the first signal waiting.
  const client = await attached.client()
  await write(client, 0, seeded(3).bytes(8 * MiB))
  client.socket.pause()
  for (let i = 0; i < 16; i++) void client.request({ type: CMD.read, length: 8 * MiB }).catch(() => {})
  await new Promise((resolve) => setTimeout(resolve, 500))
  attached.child.kill("SIGINT")
  await expect.poll(attached.stderr).toContain("SIGINT: answering what is running")
  expect(await attached.end("SIGTERM")).toEqual([null, "SIGTERM"])
})

it("is attached once at a time, and made once", async () => {
  const box = await sandboxWithKey()
  await create(box)
  const attached = await attach(box)
  for (const args of [["attach", "--unix", "b.sock"], ["attach", "--read-only"], ["scrub"], ["settle"]]) {
    const { code, stderr } = await box.run(["volume", args[0]!, "disk.vol", ...args.slice(1)])
    expect([code, stderr]).toEqual([43, "envelope: the volume disk.vol is attached, here or by another process\n"])
  }
  expect((await box.run(["volume", "create", "disk.vol", "--size", "1MiB"])).code).toBe(43)
  await write(await attached.client(), 0, seeded(4).bytes(512))
  expect(await attached.end()).toEqual([0, null])
})

it("goes on when its KMS key is disabled, and then is not attached again before the key is enabled", async () => {
  const box = await sandboxWithKey()
  await create(box)
  const attached = await attach(box)
  await box.ok(["key", "disable", "alias/default"])
  const client = await attached.client()
  const data = seeded(5).bytes(64 * KiB)
  await write(client, 8192, data)
  expect((await client.request({ type: CMD.flush })).error).toBe(0)
  expect((await read(client, 8192, data.length)).equals(data)).toBe(true)
  expect(await attached.end()).toEqual([0, null])
  const refused = await box.run(["volume", "attach", "disk.vol"])
  expect([refused.code, refused.stdout.toString()]).toEqual([21, ""])
  expect(refused.stderr).toMatch(
    /DisabledException: .* is disabled\.\n {2}hint: enable the key: envelope key enable KEY\n$/,
  )
  expect((await box.ok(["volume", "info", "disk.vol"])).stdout.toString()).toContain(`${box.keyArn}  (embedded KMS)`)
  await box.ok(["key", "enable", "alias/default"])
  const again = await attach(box)
  expect((await read(await again.client(), 8192, data.length)).equals(data)).toBe(true)
  expect(await again.end()).toEqual([0, null])
})

it("tells which key it needs where another KMS is asked", async () => {
  const box = await sandboxWithKey()
  await create(box)
  const aws = await box.run(["volume", "attach", "disk.vol", "--kms", "aws"])
  expect(aws.code).toBe(20)
  expect(aws.stderr).toBe(
    `envelope: an embedded KMS wrapped this volume, under ${box.keyArn}: AWS (aws) cannot help\n` +
      "  hint: add --kms local, or --kms local:DIR for one in another folder\n",
  )
  await box.ok(["key", "create", "--alias", "other", "--quiet"])
  const other = await box.run(["volume", "scrub", "disk.vol", "--key", "alias/other"])
  expect([other.code, other.stderr]).toEqual([
    20,
    expect.stringMatching(/ {2}hint: envelope volume info disk\.vol shows which keys the volume needs\n$/),
  ])
})

it("finds damage, tells where, and serves the rest", async () => {
  const box = await sandboxWithKey()
  await create(box)
  const first = await attach(box)
  await write(await first.client(), 0, seeded(6).bytes(MiB))
  expect(await first.end()).toEqual([0, null])
  const file = existsSync(box.path("disk.vol/data.a")) && statSync(box.path("disk.vol/data.a")).size > 0 ? "a" : "b"
  const sealed = box.read(`disk.vol/data.${file}`)
  sealed[20_000]! ^= 1
  writeFileSync(box.path(`disk.vol/data.${file}`), sealed)
  const { code, stdout, stderr } = await box.run(["volume", "scrub", "disk.vol", "--max-rate", "1GiB"])
  expect([code, stdout.toString()]).toEqual([40, "damaged: bytes 16384 to 20479\n"])
  expect(stderr).toContain("envelope: 4 KiB of the volume in a range are not authentic\n")
  const json = await box.run(["volume", "scrub", "disk.vol", "--json"])
  expect(JSON.parse(json.stdout.toString()).damaged).toEqual([{ offset: 16_384, length: 4096 }])
  const second = await attach(box)
  const client = await second.client()
  expect((await client.request({ type: CMD.read, offset: 16_384, length: 512 })).error).toBe(E.io)
  await expect.poll(second.stderr).toContain("envelope: a request failed: ")
  expect((await read(client, 20_480, 512)).equals(seeded(6).bytes(MiB).subarray(20_480, 20_992))).toBe(true)
  expect(await second.end()).toEqual([0, null])
})

it("grows, and gives space back", async () => {
  const box = await sandboxWithKey()
  await create(box)
  const first = await attach(box)
  const client = await first.client()
  for (const seed of [7, 8]) {
    await write(client, 0, seeded(seed).bytes(8 * MiB))
    expect((await client.request({ type: CMD.flush })).error).toBe(0)
  }
  expect((await client.request({ type: CMD.trim, offset: 4 * MiB, length: 4 * MiB })).error).toBe(0)
  expect(await first.end()).toEqual([0, null])
  const settled = JSON.parse((await box.ok(["volume", "settle", "disk.vol", "--json", "-q"])).stdout.toString())
  expect(settled.before).toBeGreaterThan(15 * MiB)
  expect(settled.after).toBeLessThan(5 * MiB)
  expect((await box.ok(["volume", "resize", "disk.vol", "--size", "1T"])).stderr).toBe(
    "envelope: the volume has 1 TiB, 16 MiB before\n",
  )
  const smaller = await box.run(["volume", "resize", "disk.vol", "--size", "16MiB"])
  expect([smaller.code, smaller.stderr]).toEqual([2, expect.stringContaining("a volume can only grow")])
  const second = await attach(box)
  const grown = await second.client()
  expect(grown.size).toBe(1024 ** 4)
  expect(
    (await read(grown, 0, 4 * MiB)).equals(
      Buffer.from(
        seeded(8)
          .bytes(8 * MiB)
          .subarray(0, 4 * MiB),
      ),
    ),
  ).toBe(true)
  expect(await second.end()).toEqual([0, null])
})

it("is refused when it was set back behind its anchor", async () => {
  const box = await sandboxWithKey()
  await create(box)
  const work = async (seed: number) => {
    const attached = await attach(box, "--anchor", "anchor", "--advance-anchor", "flush")
    await write(await attached.client(), 0, seeded(seed).bytes(4096))
    expect(await attached.end()).toEqual([0, null])
  }
  await work(9)
  await box.shell("cp -r disk.vol older && rm -f older/lock*")
  await work(10)
  await box.ok(["volume", "scrub", "disk.vol", "--anchor", "anchor"])
  await box.shell("rm -r disk.vol && mv older disk.vol")
  const { code, stderr } = await box.run(["volume", "attach", "disk.vol", "--anchor", "anchor"])
  expect([code, stderr]).toEqual([
    42,
    expect.stringMatching(/ {2}hint: it was set back, or attached without the anchor/),
  ])
  await box.ok(["volume", "scrub", "disk.vol"])
})

it("serves TCP over TLS to clients of one authority", async () => {
  const box = await sandboxWithKey()
  await create(box)
  const files = { "ca.pem": AUTHORITY_CERT, "cert.pem": SERVER_CERT, "key.pem": SERVER_KEY }
  for (const [name, text] of Object.entries(files)) box.write(name, text)
  const tls = ["--tls-cert", "cert.pem", "--tls-key", "key.pem", "--tls-client-ca", "ca.pem"]
  const attached = await attach(box, "--tcp", "127.0.0.1:0", ...tls)
  const { host, port, uri } = attached.served
  expect(uri).toBe(`nbds://127.0.0.1:${port}/`)
  await expect.poll(attached.stderr).toContain(`nbdcopy --flush image.raw 'nbds://127.0.0.1:${port}/?tls-certificates=`)
  const connect = async (keys: object) => {
    const plain = await connectNbd({ host, port })
    onTestFinished(() => plain.close())
    await plain.option(5)
    const client = await plain.secure({ ca: AUTHORITY_CERT, servername: "localhost", ...keys })
    await client.structured()
    return Object.assign(client, await client.go())
  }
  const client = await connect({ cert: CLIENT_CERT, key: CLIENT_KEY })
  expect(client.size).toBe(16 * MiB)
  await expect(connect({})).rejects.toThrow()
  expect(await attached.end()).toEqual([0, null])
})

it("begins a new epoch on SIGUSR2, and tells on lines what happens", async () => {
  const box = await sandboxWithKey()
  await create(box)
  const attached = await attach(box, "--stats-every", "1")
  const client = await attached.client()
  const epochs = async () =>
    JSON.parse((await box.ok(["volume", "info", "disk.vol", "--json"])).stdout.toString()).epochs
  await write(client, 0, seeded(11).bytes(4096))
  const before = await epochs()
  attached.child.kill("SIGUSR2")
  await expect.poll(attached.stderr).toContain("SIGUSR2: a new epoch has begun")
  expect(await epochs()).toBe(before + 1)
  await expect
    .poll(attached.stderr, { timeout: 10_000 })
    .toMatch(/^envelope: read .+\/s {2}written .+\/s {2}.+ requests\/s {2}1 client {2}.+ dirty {2}1 KMS call$/m)
  expect(await attached.end()).toEqual([0, null])
})

it("shows what happens between two looks at it", () => {
  const state = (over: Partial<ServedState["stats"]>, volume: ServedState["volume"]): ServedState => ({
    stats: { connections: 2, reads: 0, writes: 0, errors: 0, bytesRead: 0, bytesWritten: 0, ...over },
    volume,
    kmsCalls: 1,
  })
  const before = state({}, { unflushedBytes: 0 })
  const now = state(
    { reads: 2000, writes: 480, bytesRead: 8 * MiB, bytesWritten: 3 * MiB, errors: 1 },
    { unflushedBytes: 12 * MiB },
  )
  expect(statusText(now, before, 2)).toBe(
    "read 4 MiB/s  written 1.5 MiB/s  1,240 requests/s  2 clients  12 MiB dirty  1 KMS call  1 error",
  )
  expect(statusText(before, before, 0)).toBe(
    "read 0 bytes/s  written 0 bytes/s  0 requests/s  2 clients  0 bytes dirty  1 KMS call",
  )
})

it("prints command lines that a shell and qemu take as they are meant", () => {
  const address = { unix: "/a b/o'clock,1.sock" }
  const uri = "nbd+unix:///?socket=/a%20b/o'clock%2C1.sock"
  const lines = Object.fromEntries(clientCommands({ uri, address, tls: false, size: MiB + 512, readOnly: true }))
  expect(lines).toEqual({
    qemu: String.raw`qemu-system-x86_64 -drive 'file=nbd+unix:///?socket=/a%20b/o'\''clock%2C1.sock,format=raw,if=virtio,readonly=on'`,
    "copy out": String.raw`nbdcopy 'nbd+unix:///?socket=/a%20b/o'\''clock%2C1.sock' image.raw`,
    "as a file": String.raw`nbdfuse DIR 'nbd+unix:///?socket=/a%20b/o'\''clock%2C1.sock'   # then DIR/nbd`,
    Linux: String.raw`sudo nbd-client -unix '/a b/o'\''clock,1.sock' /dev/nbd0 -block-size 512`,
  })
  const tcp = clientCommands({
    uri: "nbds://[::1]:1/",
    address: { host: "::1", port: 1 },
    tls: true,
    size: MiB,
    readOnly: false,
  })
  expect(tcp[0]![1]).toBe(
    "qemu-system-x86_64 -object tls-creds-x509,id=tls,dir=CERTS,endpoint=client -drive driver=raw,file.driver=nbd,file.host=::1,file.port=1,file.tls-creds=tls,if=virtio",
  )
  expect(tcp[1]![1]).toBe("nbdcopy --flush image.raw 'nbds://[::1]:1/?tls-certificates=CERTS'")
})

it("refuses what cannot be meant, with a hint", async () => {
  const box = await sandboxWithKey()
  await create(box)
  const refused = async (...args: string[]) => {
    const { code, stderr } = await box.run(["volume", ...args])
    return `${code} ${stderr}`
  }
  expect(await refused("create", "x", "--size", "1000")).toMatch(
    /^2 envelope: '1000' is no size of a volume\n {2}hint: /,
  )
  expect(await refused("create", "x", "--size", "2PiB")).toMatch(/^2 /)
  expect(await refused("create", "x")).toMatch(/^2 envelope: required option .*--size/)
  expect(await refused("create", "x", "--size", "1MiB", "--block-size", "8KiB")).toMatch(
    /^2 envelope: '8KiB' is no block/,
  )
  expect(await refused("create", "x", "--size", "1MiB", "--context", "kms-envelope:volume-id=1")).toMatch(/^2 /)
  expect(await refused("info", "nothing")).toMatch(
    /^41 .*\n {2}hint: envelope volume create PATH --size SIZE makes one\n/,
  )
  expect(await refused("attach", "nothing")).toMatch(/^41 /)
  const attachRefused = (...args: string[]) => refused("attach", "disk.vol", ...args)
  expect(await attachRefused("--tcp", "10809")).toMatch(/^2 envelope: '10809' is no place to listen on\n/)
  expect(await attachRefused("--tcp", "0.0.0.0:0")).toMatch(
    /^2 envelope: 0\.0\.0\.0 can be reached by other machines: /,
  )
  expect(await attachRefused("--tcp", "127.0.0.1:0", "--unix", "s")).toMatch(
    /^2 envelope: give --unix or --tcp, not both/,
  )
  expect(await attachRefused("--unix", `${"x".repeat(120)}`)).toMatch(/^2 envelope: the socket's path .* too long/)
  expect(await attachRefused("--tls-client-ca", "x")).toMatch(/^2 envelope: --tls-client-ca goes with --tls-cert\n/)
  expect(await attachRefused("--advance-anchor", "never")).toMatch(
    /^2 envelope: the anchor cannot advance with 'never'\n/,
  )
  box.write("no.pem", "no certificate")
  expect(await attachRefused("--tls-cert", "no.pem", "--tls-key", "no.pem")).toMatch(/^2 envelope: TLS takes PEM files/)
  box.write("file", "no socket")
  expect(await attachRefused("--unix", "file")).toBe("3 envelope: cannot listen on file: it is in use\n")
  const taken = createServer().listen(box.path("taken.sock"))
  onTestFinished(() => void taken.close())
  await new Promise<void>((resolve) => createConnection(box.path("taken.sock"), resolve).unref())
  expect(await attachRefused("--unix", "taken.sock")).toBe("3 envelope: cannot listen on taken.sock: it is in use\n")
  expect(JSON.parse((await box.ok(["volume", "info", "disk.vol", "--json"])).stdout.toString()).clean).toBe(true)
})
