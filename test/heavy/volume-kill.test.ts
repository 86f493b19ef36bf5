import { setTimeout as delay } from "node:timers/promises"
import { describe, expect, it } from "vitest"
import { type Attached, attach } from "../cli/attached.ts"
import { type Sandbox, sandboxWithKey } from "../cli/sandbox.ts"
import { CMD } from "../support/nbd-client.ts"
import { hasNbdPrograms, runProgram, whyNot } from "../support/nbd-programs.ts"
import { seeded } from "../support/random.ts"

const kills = Number(process.env.VOLUME_KILLS ?? 5)
const seed = Number(process.env.VOLUME_KILLS_SEED ?? Date.now() % 2 ** 31)
const MiB = 1024 * 1024
const BLOCK = 4096
/** The first part of the volume is fio's, the blocks behind it are the ledger's. */
const FIO_BYTES = 48 * MiB
const LEDGER_BLOCKS = 256

/** A job of fio in its part: each block says where it belongs and carries a checksum of itself. */
const fio = ({ served }: Attached, name: string, ...args: string[]): Promise<string> =>
  runProgram("fio", [
    ...[`--name=${name}`, "--ioengine=nbd", `--uri=${served.uri}`, "--bs=4k", "--iodepth=16", `--size=${FIO_BYTES}`],
    ...["--verify=crc32c", "--verify_fatal=1", "--verify_state_save=0", ...args],
  ])

const fill = (disk: Attached) => fio(disk, "fill", "--rw=write", "--do_verify=0", "--end_fsync=1")
const overwrite = (disk: Attached, round: number) =>
  fio(
    disk,
    "load",
    "--rw=randwrite",
    "--do_verify=0",
    "--fsync=32",
    "--time_based",
    "--runtime=60",
    `--randseed=${round}`,
  )
/** Fails for a block that is torn, of another place, or lost. */
const verify = (disk: Attached) => fio(disk, "verify", "--rw=read")

/** What was sent for a block and what of it was answered: a number that rises, which fills the block. */
interface Entry {
  sent: number
  answered: number
}

/** Writes block after block, flushing now and then, until the server is gone. @returns the errors that were answered */
async function keepLedger(disk: Attached, ledger: readonly Entry[]): Promise<number[]> {
  const client = await disk.client()
  const errors: number[] = []
  for (let i = 0, alive = true; alive; i++) {
    const block = i % LEDGER_BLOCKS
    const entry = ledger[block]!
    entry.sent++
    const data = new Uint8Array(new Uint32Array(BLOCK / 4).fill(entry.sent).buffer)
    try {
      const { error } = await client.request({ type: CMD.write, offset: FIO_BYTES + block * BLOCK, data })
      if (error === 0) entry.answered = entry.sent
      else errors.push(error)
      if (i % 8 === 0) await client.request({ type: CMD.flush })
    } catch {
      alive = false
    }
  }
  return errors
}

/** What was answered is there, and no block is of two writes. */
async function checkLedger(disk: Attached, ledger: readonly Entry[]): Promise<void> {
  const client = await disk.client()
  const { data } = await client.request({ type: CMD.read, offset: FIO_BYTES, length: LEDGER_BLOCKS * BLOCK })
  for (const [block, entry] of ledger.entries()) {
    const words = new Set(new Uint32Array(Uint8Array.from(data.subarray(block * BLOCK, (block + 1) * BLOCK)).buffer))
    const [found = -1] = words
    expect(words.size, `block ${block} is of several writes`).toBe(1)
    expect(found, `block ${block}`).toBeGreaterThanOrEqual(entry.answered)
    expect(found, `block ${block}`).toBeLessThanOrEqual(entry.sent)
    entry.sent = found
    entry.answered = found
  }
  client.close()
}

async function newDisk(): Promise<Sandbox> {
  const box = await sandboxWithKey()
  await box.ok(["volume", "create", "disk.vol", "--size", `${FIO_BYTES + LEDGER_BLOCKS * BLOCK}`])
  const disk = await attach(box)
  await fill(disk)
  expect(await disk.end()).toEqual([0, null])
  return box
}

describe.skipIf(!hasNbdPrograms)(`the command under fio${whyNot}`, () => {
  it(`is killed ${kills} times: each time all that was answered is there, and no block is torn (seed ${seed})`, async () => {
    const box = await newDisk()
    const random = seeded(seed)
    const ledger = Array.from({ length: LEDGER_BLOCKS }, (): Entry => ({ sent: 0, answered: 0 }))
    for (let round = 1; round <= kills; round++) {
      const disk = await attach(box)
      const load = overwrite(disk, round).then(
        () => "ended by itself",
        () => "lost its server",
      )
      const writer = keepLedger(disk, ledger)
      await delay(200 + random.int(1500))
      expect(await disk.end("SIGKILL")).toEqual([null, "SIGKILL"])
      expect(await load).toBe("lost its server")
      expect(await writer).toEqual([])
      const again = await attach(box)
      expect(again.stderr()).toContain("the volume was not detached: recovered")
      await checkLedger(again, ledger)
      await verify(again)
      // Every other time the next kill finds a volume that was not detached in between either.
      expect(await again.end(round % 2 === 0 ? "SIGTERM" : "SIGKILL")).toEqual(
        round % 2 === 0 ? [0, null] : [null, "SIGKILL"],
      )
    }
    expect(ledger.some(({ answered }) => answered > 0)).toBe(true)
    const scrubbed = await box.ok(["volume", "scrub", "disk.vol"])
    expect(scrubbed.stdout.toString()).toMatch(/^verified 49(\.0)? MiB .*: all of it is authentic\n$/)
  })
})
