import { createHash, randomBytes } from "node:crypto"
import { readFileSync, readlinkSync } from "node:fs"
import { opendir, unlink } from "node:fs/promises"
import { hostname } from "node:os"
import { join } from "node:path"

/*
 * Temporary files are named .envelope-<machine>-<pid>-<start>-<random>.tmp. Machine (host name and process id namespace),
 * process id and start time tell whose a file is, so that the next run can sweep the files of processes that were killed
 * and never touches one that a living process writes, here or, over a shared folder, elsewhere.
 */
const NAME = /^\.envelope-([0-9a-f]{8})-(\d{1,10})-(\d{1,20})-[0-9a-f]{16}\.tmp$/

/** A new name within a folder. */
export function temporaryPath(folder: string): string {
  const { machine, pid, start } = ownIdentity()
  return join(folder, `.envelope-${machine}-${pid}-${start}-${randomBytes(8).toString("hex")}.tmp`)
}

/** Removes the temporary files that dead processes left in a folder. Failures are of no consequence. */
export async function sweepTemporary(folder: string): Promise<void> {
  try {
    for await (const entry of await opendir(folder)) {
      if (entry.isFile() && isLeftOver(entry.name)) await unlink(join(folder, entry.name)).catch(() => {})
    }
  } catch {
    // A folder that may be written but not listed.
  }
}

/** Whether a file name is that of a temporary file whose process, one of this machine, is gone. */
export function isLeftOver(name: string): boolean {
  const [, machine, pid, start] = NAME.exec(name) ?? []
  if (machine !== machineId()) return false
  if (!isRunning(Number(pid))) return true
  // Another process may have got the same id since. Where either time is unknown, the file stays.
  const running = startTime(pid!)
  return start !== "0" && running !== "0" && running !== start
}

// --- internal ---

const ownIdentity = () => ({ machine: machineId(), pid: process.pid, start: startTime("self") })

function machineId(): string {
  let namespace = ""
  try {
    namespace = readlinkSync("/proc/self/ns/pid")
  } catch {
    // Not Linux.
  }
  return createHash("sha256").update(`${hostname()}\0${namespace}`).digest("hex").slice(0, 8)
}

/** In clock ticks since boot, so that a process id used again is told apart; `0` where the system does not say. */
function startTime(pid: string): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8")
    // The second field is the program's name in parentheses, which may hold anything; start time is field 22.
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19] ?? "0"
  } catch {
    return "0"
  }
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    // EPERM: somebody else's, but alive.
    return (error as NodeJS.ErrnoException).code !== "ESRCH"
  }
}
