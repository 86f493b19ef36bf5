import { mkdirSync, openSync, readFileSync, truncateSync, writeFileSync, writeSync } from "node:fs"
import { join } from "node:path"
import { beforeEach, describe, expect, it } from "vitest"
import { connected, served, temporaryFolder } from "../nbd/served.ts"
import { memoryDevice } from "../support/memory-device.ts"
import {
  AUTHORITY_CERT,
  CLIENT_CERT,
  CLIENT_KEY,
  SERVER_CERT,
  SERVER_KEY,
  STRANGER_CERT,
  STRANGER_KEY,
} from "../support/nbd-certificates.ts"
import { CMD } from "../support/nbd-client.ts"
import { hasNbdPrograms, mountNbd, runProgram, whyNot } from "../support/nbd-programs.ts"
import { seeded } from "../support/random.ts"

const MiB = 1024 * 1024
const SIZE = 256 * MiB

/** An image with data at both ends and in the middle, and holes between. */
function sparseImage(folder: string): string {
  const path = join(folder, "image.raw")
  const file = openSync(path, "w")
  const data = seeded(7).bytes(3 * MiB)
  for (const at of [0, 100 * MiB + 4096, SIZE - data.length]) writeSync(file, data, 0, data.length, at)
  truncateSync(path, SIZE)
  return path
}

const equalsFile = (bytes: Uint8Array, path: string): boolean => Buffer.compare(bytes, readFileSync(path)) === 0
const run = runProgram
const raw = ["-f", "raw"]

describe.skipIf(!hasNbdPrograms)(`NBD clients${whyNot}`, () => {
  it("nbdinfo sees size, abilities and extents", async () => {
    const device = memoryDevice(SIZE)
    await device.write(MiB, Buffer.alloc(MiB, 1), {})
    const server = await served({ exports: { disk: { device, description: "a disk" }, second: memoryDevice(MiB) } })
    const { exports, protocol, structured } = JSON.parse(await run("nbdinfo", ["--json", server.uri]))
    expect([protocol, structured]).toEqual(["newstyle-fixed", true])
    expect(exports).toMatchObject([
      {
        "export-name": "disk",
        description: "a disk",
        contexts: ["base:allocation"],
        "export-size": SIZE,
        is_read_only: false,
        can_cache: true,
        can_df: true,
        can_fast_zero: true,
        can_flush: true,
        can_fua: true,
        can_multi_conn: true,
        can_trim: true,
        can_zero: true,
        block_size_minimum: 1,
        block_size_preferred: 4096,
        block_size_maximum: 32 * MiB,
      },
    ])
    const map = JSON.parse(await run("nbdinfo", ["--map", "--json", server.uri]))
    expect(map.map(({ offset, length, type }: Record<string, number>) => [offset, length, type])).toEqual([
      [0, MiB, 3],
      [MiB, MiB, 0],
      [2 * MiB, SIZE - 2 * MiB, 3],
    ])
    const list = JSON.parse(await run("nbdinfo", ["--list", "--json", server.uri]))
    expect(list.exports.map((each: Record<string, string>) => each["export-name"])).toEqual(["disk", "second"])
  })

  it.each([
    ["with --flush over several connections", ["--flush", "--connections=2"]],
    ["without --flush, over one", ["--connections=1", "--requests=64"]],
    ["by simple means", ["--synchronous", "--no-extents"]],
  ])("nbdcopy copies a sparse image in and out %s", async (_what, options) => {
    const folder = temporaryFolder()
    const image = sparseImage(folder)
    const device = memoryDevice(SIZE)
    const server = await served(device)
    await run("nbdcopy", [...options, image, server.uri])
    expect(equalsFile(device.bytes, image)).toBe(true)
    if (options.includes("--flush")) expect(server.stats.flushes).toBeGreaterThan(0)
    if (options.includes("--connections=2")) expect(server.stats.connectionsTotal).toBeGreaterThanOrEqual(2)
    const out = join(folder, "out.raw")
    await run("nbdcopy", [...options.filter((option) => option !== "--flush"), server.uri, out])
    expect(equalsFile(device.bytes, out)).toBe(true)
    expect(server.stats.errors).toBe(0)
  })

  it("nbdcopy reads what is sent with its holes left out", async () => {
    const folder = temporaryFolder()
    const device = memoryDevice(SIZE)
    await device.write(5 * MiB + 100, seeded(3).bytes(MiB), {})
    const server = await served({ exports: { d: { device, sparseReads: true } } })
    await run("nbdcopy", ["--no-extents", server.uri, join(folder, "out.raw")])
    expect(equalsFile(device.bytes, join(folder, "out.raw"))).toBe(true)
  })

  it("qemu-img converts in and out, compares and maps", async () => {
    const folder = temporaryFolder()
    const image = sparseImage(folder)
    const device = memoryDevice(SIZE)
    const server = await served(device)
    await run("qemu-img", ["convert", "-n", ...raw, "-O", "raw", image, server.uri])
    expect(equalsFile(device.bytes, image)).toBe(true)
    expect(await run("qemu-img", ["compare", ...raw, "-F", "raw", image, server.uri])).toContain("identical")
    const out = join(folder, "out.qcow2")
    await run("qemu-img", ["convert", ...raw, "-O", "qcow2", server.uri, out])
    expect(await run("qemu-img", ["compare", "-f", "qcow2", "-F", "raw", out, image])).toContain("identical")
    const map = JSON.parse(await run("qemu-img", ["map", "--output=json", ...raw, server.uri]))
    expect(map.filter(({ data }: { data: boolean }) => data)).toHaveLength(3)
    await device.write(9, Buffer.from("x"), {})
    await expect(run("qemu-img", ["compare", ...raw, "-F", "raw", image, server.uri])).rejects.toMatchObject({
      code: 1,
    })
  })

  it("qemu-io reads, writes, zeroes and discards at odd places", async () => {
    const device = memoryDevice(SIZE)
    const server = await served(device)
    const commands = [
      "write -P 0xa5 512 1024",
      "write -P 7 1000001 3",
      "read -P 0xa5 512 1024",
      "write -f -P 8 5M 4k",
      "write -z 8M 64k",
      "write -z -u 9M 64k",
      "discard 5M 4k",
      "read -P 0 8M 2M",
      "aio_write -P 9 20M 2M",
      "aio_read -P 0 30M 2M",
      "aio_flush",
      "read -P 9 20M 2M",
      "flush",
    ]
    const said = await run("qemu-io", [...raw, ...commands.flatMap((command) => ["-c", command]), server.uri])
    expect(said).not.toMatch(/fail|error|verification/i)
    expect([...device.bytes.subarray(1_000_000, 1_000_005)]).toEqual([0, 7, 7, 7, 0])
    expect(server.stats).toMatchObject({ errors: 0, trims: 1, zeroings: 2 })
    expect(server.stats.flushes).toBeGreaterThan(0)
  })

  it("qemu-io opens a read-only export for reading alone", async () => {
    const server = await served(memoryDevice(SIZE, { readOnly: true }))
    expect(await run("qemu-io", ["-r", ...raw, "-c", "read -P 0 0 1M", server.uri])).toContain("read 1048576")
    await expect(run("qemu-io", [...raw, "-c", "write 0 1M", server.uri])).rejects.toThrow(/permission denied/i)
  })

  it.each([
    ["4k", "randwrite", 16],
    ["64k", "write", 4],
    ["512", "randrw", 8],
  ])("fio writes blocks of %s (%s) at depth %i and verifies them", async (bs, rw, depth) => {
    const server = await served(memoryDevice(64 * MiB))
    const job = [`--uri=${server.uri}`, `--bs=${bs}`, `--rw=${rw}`, `--iodepth=${depth}`, "--size=16m", "--fsync=64"]
    const verify = ["--verify=crc32c", "--verify_fatal=1", "--do_verify=1", "--verify_state_save=0", "--randrepeat=0"]
    await run("fio", ["--name=verify", "--ioengine=nbd", "--output-format=terse", ...job, ...verify])
    expect(server.stats).toMatchObject({ errors: 0, connections: 0 })
    expect(server.stats.flushes).toBeGreaterThan(0)
  })

  it("ext4 is made on it through nbdfuse, filled and checked", async ({ skip }) => {
    const device = memoryDevice(SIZE)
    // Old contents, which the discard of the whole device takes away.
    await device.write(0, Buffer.alloc(SIZE, 0x55), {})
    const server = await served(device)
    const folder = temporaryFolder()
    const mounted = await mountNbd(server.uri, folder)
    if (mounted === undefined) return skip("no nbdfuse, no FUSE or no mkfs.ext4 here")
    const source = join(temporaryFolder(), "source")
    writeFileSync(source, seeded(11).bytes(5 * MiB))
    try {
      await run("mkfs.ext4", ["-q", "-F", "-E", "discard", mounted.file])
      await run("debugfs", ["-w", "-R", `write ${source} copy`, mounted.file])
      await run("fsck.ext4", ["-f", "-n", mounted.file])
    } finally {
      await mounted.unmount()
    }
    const image = join(temporaryFolder(), "image")
    writeFileSync(image, device.bytes)
    await run("fsck.ext4", ["-f", "-n", image])
    await run("debugfs", ["-R", `dump copy ${source}.back`, image])
    expect(Buffer.compare(readFileSync(source), readFileSync(`${source}.back`))).toBe(0)
    expect(server.stats.errors).toBe(0)
  })

  it("nbd-client lists the exports", async () => {
    const exports = { first: memoryDevice(MiB), second: memoryDevice(MiB) }
    const server = await served({ exports })
    const { unix } = server.address as { unix: string }
    const said = await run("nbd-client", ["-l", "-unix", unix])
    expect(said).toContain("first\nsecond\n")
    expect(server.stats).toMatchObject({ connections: 0, connectionsFailed: 0 })
  })
})

describe.skipIf(!hasNbdPrograms)(`NBD clients over TLS${whyNot}`, () => {
  let authorities: string
  let certified: string
  let strange: string

  beforeEach(() => {
    const folder = temporaryFolder()
    const make = (name: string, files: Record<string, string>): string => {
      mkdirSync(join(folder, name))
      for (const [file, text] of Object.entries(files)) writeFileSync(join(folder, name, file), text, { mode: 0o600 })
      return join(folder, name)
    }
    const ca = { "ca-cert.pem": AUTHORITY_CERT }
    authorities = make("ca", ca)
    certified = make("client", { ...ca, "client-cert.pem": CLIENT_CERT, "client-key.pem": CLIENT_KEY })
    strange = make("stranger", { ...ca, "client-cert.pem": STRANGER_CERT, "client-key.pem": STRANGER_KEY })
  })

  const tls = { cert: SERVER_CERT, key: SERVER_KEY }
  const uriOf = (port: number, certificates: string): string =>
    `nbds://localhost:${port}/?tls-certificates=${encodeURIComponent(certificates)}`
  const start = async (options: object) => {
    const device = memoryDevice(SIZE)
    const server = await served(device, { port: 0, ...options })
    return { device, server, port: (server.address as { port: number }).port }
  }
  const qemuTarget = (port: number, certificates: string): string[] => [
    "--object",
    `tls-creds-x509,id=t,dir=${certificates},endpoint=client`,
    "--image-opts",
    `driver=nbd,host=localhost,port=${port},tls-creds=t`,
  ]

  it("nbdinfo and nbdcopy trust the server's certificate", async () => {
    const { server, port, device } = await start({ tls })
    const info = JSON.parse(await run("nbdinfo", ["--json", uriOf(port, authorities)]))
    expect(info.TLS).toBe(true)
    const image = sparseImage(temporaryFolder())
    await run("nbdcopy", ["--flush", image, uriOf(port, authorities)])
    expect(equalsFile(device.bytes, image)).toBe(true)
    expect(server.stats.errors).toBe(0)
    await expect(run("nbdinfo", [`nbd://localhost:${port}`])).rejects.toThrow(/not supported/)
  })

  it("qemu-img reads and writes", async () => {
    const { port, device } = await start({ tls })
    const folder = temporaryFolder()
    const image = sparseImage(folder)
    await run("nbdcopy", [image, uriOf(port, authorities)])
    const out = join(folder, "out.raw")
    await run("qemu-img", ["convert", ...qemuTarget(port, authorities), "-O", "raw", out])
    expect(equalsFile(device.bytes, out)).toBe(true)
  })

  it("clients show their certificates", async () => {
    const { server, port } = await start({ tls: { ...tls, clientCa: AUTHORITY_CERT } })
    const info = JSON.parse(await run("nbdinfo", ["--json", uriOf(port, certified)]))
    expect(info.TLS).toBe(true)
    expect(await run("qemu-img", ["info", ...qemuTarget(port, certified)])).toContain("256 MiB")
    for (const certificates of [authorities, strange]) {
      await expect(run("nbdinfo", [uriOf(port, certificates)])).rejects.toThrow()
      await expect(run("qemu-img", ["info", ...qemuTarget(port, certificates)])).rejects.toThrow()
    }
    expect(server.stats.connections).toBe(0)
  })
})

describe("The NBD server over time", () => {
  it("keeps no memory of connections that are gone", { timeout: 600_000 }, async () => {
    const server = await served(memoryDevice(MiB))
    const round = async (): Promise<void> => {
      for (let i = 0; i < 500; i++) {
        const client = await connected(server)
        if (i % 2 === 0) {
          await client.structured()
          await client.go()
          await client.request({ type: CMD.write, data: Buffer.alloc(70_000) })
          client.request({ type: CMD.read, length: MiB }).catch(() => {})
        } else client.send(Buffer.alloc(70_000, i))
        client.close()
      }
    }
    const used = (): number => {
      const { heapUsed, external } = process.memoryUsage()
      return heapUsed + external
    }
    await round()
    const collect = (globalThis as { gc?: () => void }).gc
    collect?.()
    const before = used()
    for (let i = 0; i < 5; i++) await round()
    collect?.()
    expect(used() - before).toBeLessThan(64 * MiB)
    expect(server.stats).toMatchObject({ inFlight: 0 })
  })
})
