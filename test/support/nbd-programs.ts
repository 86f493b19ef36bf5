import { execFile } from "node:child_process"
import { existsSync } from "node:fs"
import { join } from "node:path"
import { promisify } from "node:util"

const execute = promisify(execFile)
const folders = [...(process.env.PATH ?? "").split(":"), "/usr/sbin", "/sbin"]

/** Programs that `scripts/install-nbd-clients.sh` brings. */
const programs = ["fio", "nbdcopy", "nbdinfo", "nbd-client", "nbdkit", "qemu-img", "qemu-io", "qemu-nbd"] as const
export type Program = (typeof programs)[number]

const findProgram = (name: Program): string | undefined =>
  folders.map((folder) => join(folder, name)).find((path) => existsSync(path))

const missing = programs.filter((name) => findProgram(name) === undefined)

/** Whether all of them are there. */
export const hasNbdPrograms = missing.length === 0
/** For the names of tests that skip without them. */
export const whyNot = hasNbdPrograms ? "" : ` (skipped, no ${missing.join(", ")}: scripts/install-nbd-clients.sh)`

/** Runs one to its end. @throws with what it said where it fails, or takes more than two minutes */
export async function runProgram(name: Program, args: readonly string[]): Promise<string> {
  const limits = { timeout: 120_000, maxBuffer: 64 * 1024 * 1024 }
  const { stdout, stderr } = await execute(findProgram(name)!, args, limits)
  return stdout + stderr
}
