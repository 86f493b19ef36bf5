import { type ChildProcess, spawn } from "node:child_process"
import { chmodSync, cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, onTestFinished } from "vitest"
import { commandPath } from "./command.ts"

const command = await commandPath()

export interface Outcome {
  /** `null` when a signal ended it. */
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: Buffer
  readonly stderr: string
}

export interface RunOptions {
  readonly input?: string | Uint8Array
  readonly env?: Record<string, string>
}

/** A folder and a user of its own, gone when the test ends. */
export interface Sandbox {
  readonly folder: string
  readonly env: Record<string, string>
  path(name: string): string
  write(name: string, content: string | Uint8Array): string
  read(name: string): Buffer
  /** The names in the sandbox's folder, but for those it began with. */
  files(): string[]
  start(args: readonly string[], options?: RunOptions): ChildProcess
  run(args: readonly string[], options?: RunOptions): Promise<Outcome>
  /** `run`, and fails unless it exits with 0. */
  ok(args: readonly string[], options?: RunOptions): Promise<Outcome>
  /** Runs a shell command line in which `envelope` is the command. */
  shell(line: string, env?: Record<string, string>): Promise<Outcome>
}

export function sandbox(): Sandbox {
  const folder = mkdtempSync(join(tmpdir(), "envelope-cli-"))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  const home = join(folder, ".home")
  const bin = join(folder, ".bin")
  mkdirSync(home)
  mkdirSync(bin)
  writeFileSync(join(bin, "envelope"), `#!/bin/sh\nexec '${process.execPath}' '${command}' "$@"\n`)
  chmodSync(join(bin, "envelope"), 0o755)
  const env = {
    PATH: `${bin}:${process.env.PATH}`,
    HOME: home,
    XDG_DATA_HOME: join(home, "data"),
    AWS_EC2_METADATA_DISABLED: "true",
  }
  const path = (name: string): string => join(folder, name)

  const start = (file: string, args: readonly string[], options: RunOptions = {}): ChildProcess => {
    const child = spawn(file, args, { cwd: folder, env: { ...env, ...options.env }, stdio: "pipe" })
    child.stdin.on("error", () => {})
    if (options.input !== undefined) child.stdin.end(options.input)
    return child
  }
  const startCommand = (args: readonly string[], options?: RunOptions) =>
    start(process.execPath, [command, ...args], options)
  const run = (args: readonly string[], options: RunOptions = {}): Promise<Outcome> =>
    outcome(startCommand(args, { input: "", ...options }))

  return {
    folder,
    env,
    path,
    write(name, content) {
      writeFileSync(path(name), content)
      return path(name)
    },
    read: (name) => readFileSync(path(name)),
    files: () => readdirSync(folder).filter((name) => name !== ".home" && name !== ".bin"),
    start: startCommand,
    run,
    async ok(args, options) {
      const result = await run(args, options)
      if (result.code !== 0) throw new Error(`envelope ${args.join(" ")} exited with ${result.code}:\n${result.stderr}`)
      return result
    },
    shell: (line, extra = {}) => outcome(start("/bin/sh", ["-c", line], { input: "", env: extra })),
  }
}

/** A sandbox with an embedded KMS in which `alias/default` stands for a key. */
export async function sandboxWithKey(): Promise<Sandbox & { readonly keyArn: string }> {
  template ??= makeTemplate()
  const { store, keyArn } = await template
  const box = sandbox()
  cpSync(store, join(box.env.XDG_DATA_HOME!, "kms-envelope", "kms"), { recursive: true })
  return { ...box, keyArn }
}

interface Template {
  readonly folder: string
  readonly store: string
  readonly keyArn: string
}

let template: Promise<Template> | undefined
afterAll(async () => {
  const made = await template
  if (made !== undefined) rmSync(made.folder, { recursive: true })
})

/** Made once for each test file, and copied. */
async function makeTemplate(): Promise<Template> {
  const folder = mkdtempSync(join(tmpdir(), "envelope-cli-template-"))
  const store = join(folder, "kms")
  const args = [command, "key", "create", "--alias", "default", "--kms", `local:${store}`]
  const { code, stdout, stderr } = await outcome(spawn(process.execPath, args, { stdio: "pipe" }))
  if (code !== 0) throw new Error(stderr)
  rmSync(join(store, "lock.mdb"))
  return { folder, store, keyArn: stdout.toString().trim() }
}

export function outcome(child: ChildProcess): Promise<Outcome> {
  const stdout: Buffer[] = []
  const stderr: Buffer[] = []
  child.stdout!.on("data", (chunk: Buffer) => stdout.push(chunk))
  child.stderr!.on("data", (chunk: Buffer) => stderr.push(chunk))
  return new Promise((resolve, reject) => {
    child.on("error", reject)
    child.on("close", (code, signal) => {
      resolve({ code, signal, stdout: Buffer.concat(stdout), stderr: Buffer.concat(stderr).toString() })
    })
  })
}
