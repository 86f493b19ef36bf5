import { execFile, spawn } from "node:child_process"
import { once } from "node:events"
import { existsSync } from "node:fs"
import { join } from "node:path"
import { setTimeout as delay } from "node:timers/promises"
import { promisify } from "node:util"

const execute = promisify(execFile)
const folders = [...(process.env.PATH ?? "").split(":"), "/usr/sbin", "/sbin"]

/** Programs that `scripts/install-nbd-clients.sh` brings. */
const programs = ["fio", "nbdcopy", "nbdinfo", "nbd-client", "nbdkit", "qemu-img", "qemu-io", "qemu-nbd"] as const
type Program = (typeof programs)[number] | "nbdfuse" | "mkfs.ext4" | "fsck.ext4" | "debugfs"

const findProgram = (name: Program): string | undefined =>
  folders.map((folder) => join(folder, name)).find((path) => existsSync(path))

const missing = programs.filter((name) => findProgram(name) === undefined)

/** Whether all of them are there. */
export const hasNbdPrograms = missing.length === 0
/** For the names of tests that skip without them. */
export const whyNot = hasNbdPrograms ? "" : ` (skipped, no ${missing.join(", ")}: scripts/install-nbd-clients.sh)`

/** A file that is an NBD export, or `undefined` where there is no FUSE. */
export async function mountNbd(
  uri: string,
  folder: string,
): Promise<{ file: string; unmount(): Promise<void> } | undefined> {
  const program = findProgram("nbdfuse")
  const file = join(folder, "nbd")
  if (program === undefined || !existsSync("/dev/fuse") || findProgram("mkfs.ext4") === undefined) return undefined
  const child = spawn(program, [folder, uri], { stdio: "ignore" })
  const ended = once(child, "exit")
  for (let tries = 0; tries < 100 && child.exitCode === null && !existsSync(file); tries++) await delay(50)
  const unmount = async (): Promise<void> => {
    child.kill("SIGTERM")
    await ended
  }
  if (existsSync(file)) return { file, unmount }
  await unmount()
  return undefined
}

/** Runs one to its end. @throws with what it said where it fails, or takes more than two minutes */
export async function runProgram(name: Program, args: readonly string[]): Promise<string> {
  const limits = { timeout: 120_000, maxBuffer: 64 * 1024 * 1024 }
  const { stdout, stderr } = await execute(findProgram(name)!, args, limits)
  return stdout + stderr
}
