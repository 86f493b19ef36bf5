/** Files to work on, in memory where the system has a file system there, and programs that work on them. */
import { spawn } from "node:child_process"
import { once } from "node:events"
import { existsSync, mkdtempSync, rmSync } from "node:fs"
import { open } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { MiB } from "./harness.mjs"

const ROOT = existsSync("/dev/shm") ? "/dev/shm" : tmpdir()

/** A folder that is gone when the process ends. @returns paths within it, by name */
export function temporaryFolder() {
  const folder = mkdtempSync(join(ROOT, "kms-envelope-bench-"))
  process.once("exit", () => rmSync(folder, { recursive: true, force: true }))
  return (name) => join(folder, name)
}

/** Writes a file of this many bytes, none of which is a hole. */
export async function writeFileOf(path, size) {
  const file = await open(path, "w")
  const chunk = Buffer.alloc(MiB, 1)
  for (let at = 0; at < size; at += MiB) await file.write(chunk, 0, Math.min(MiB, size - at))
  await file.close()
}

/** @returns seconds that a program takes, start included, and what it printed */
export async function timeProgram(program, args) {
  const start = performance.now()
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"] })
  const output = { stdout: "", stderr: "" }
  for (const name of ["stdout", "stderr"]) child[name].on("data", (text) => (output[name] += text))
  const [code] = await once(child, "close")
  if (code !== 0) throw new Error(`${program} ${args.join(" ")}: ${output.stderr}`)
  return { seconds: (performance.now() - start) / 1000, stdout: output.stdout }
}

const jobScript = fileURLToPath(new URL("./job.mjs", import.meta.url))

/** Runs `job.mjs`. @returns seconds, process start included, and the peak of the job's resident memory */
export async function runJob(request) {
  const { seconds, stdout } = await timeProgram(process.execPath, [jobScript, JSON.stringify(request)])
  return { ...JSON.parse(stdout), seconds }
}
