/** Programs to compare with, which `scripts/install-bench-peers.sh` brings; required in CI, else skipped with a message. */
import { spawn, spawnSync } from "node:child_process"
import { once } from "node:events"
import { existsSync } from "node:fs"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"
import { note } from "./harness.mjs"

const HOW = "scripts/install-bench-peers.sh installs it"
const inProject = (path) => fileURLToPath(new URL(`../${path}`, import.meta.url))

/** @returns the program's path or name; undefined where it is missing and need not be there */
function find(name, local, versionArgs) {
  const program = local !== undefined && existsSync(inProject(local)) ? inProject(local) : name
  if (spawnSync(program, versionArgs, { stdio: "ignore" }).status === 0) return program
  if (process.env.CI) throw new Error(`${name} is missing, and CI is to compare with it: ${HOW}`)
  note(`${name} is missing, no comparison with it: ${HOW}`)
  return undefined
}

export const findOpenssl = () => find("openssl", undefined, ["version"])

/** @returns `age` and `age-keygen` */
export function findAge() {
  const age = find("age", ".cache/age/bin/age", ["--version"])
  return age && { age, keygen: age.replace(/age$/, "age-keygen") }
}

/** What `openssl speed` reaches with AES-256-GCM. @returns bytes a second */
export function opensslSpeed(openssl, { bytes, seconds, processes = 1, decrypt = false }) {
  const args = ["speed", "-mr", "-evp", "aes-256-gcm", "-bytes", String(bytes), "-seconds", String(seconds)]
  if (decrypt) args.push("-decrypt")
  if (processes > 1) args.push("-multi", String(processes))
  const { stdout, stderr, status } = spawnSync(openssl, args, { encoding: "utf8" })
  const line = stdout.split("\n").findLast((text) => text.startsWith("+F:"))
  if (status !== 0 || line === undefined) throw new Error(`openssl speed: ${stderr}`)
  return Number(line.trim().split(":").at(-1))
}

/**
 * The official SDK for Python in a process of its own.
 *
 * @returns undefined where it is not installed
 */
export function startPython() {
  const python = inProject(".cache/python/bin/python")
  const installed = existsSync(python)
  if (!installed && process.env.CI) throw new Error(`the Python SDK is missing, and CI is to compare with it: ${HOW}`)
  if (!installed) {
    note(`the Python SDK is missing, no comparison with it: ${HOW}`)
    return undefined
  }
  const child = spawn(python, [fileURLToPath(new URL("./sdk.py", import.meta.url))], {
    stdio: ["pipe", "pipe", "inherit"],
  })
  const answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  return {
    /** @returns calls a second */
    async measure(request) {
      child.stdin.write(`${JSON.stringify(request)}\n`)
      const { value, done } = await answers.next()
      if (done) throw new Error("the Python process ended")
      return JSON.parse(value)
    },
    async close() {
      child.stdin.end()
      if (child.exitCode === null) await once(child, "exit")
    },
  }
}
