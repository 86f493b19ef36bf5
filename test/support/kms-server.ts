import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"

export interface ServerProcess {
  readonly child: ChildProcess
  readonly endpoint: string
  readonly exited: Promise<readonly [code: number | null, signal: NodeJS.Signals | null]>
  stderr(): string
}

/** Waits until a started `envelope kms serve` says where it listens. @throws Error with its messages when it ends before */
export async function whenServing(child: ChildProcess): Promise<ServerProcess> {
  const exited = once(child, "close").then(([code, signal]) => [code, signal] as const)
  let stderr = ""
  child.stderr!.setEncoding("utf8").on("data", (chunk) => {
    stderr += chunk
  })
  const first = once(child.stdout!, "data").then(([data]) => String(data).trim())
  const endpoint = await Promise.race([first, exited.then(() => undefined)])
  if (endpoint === undefined) throw new Error(`envelope kms serve ended: ${stderr}`)
  return { child, endpoint, exited, stderr: () => stderr }
}

/** Starts the command at `path` on a free port. */
export const startServer = (path: string, args: readonly string[]): Promise<ServerProcess> =>
  whenServing(
    spawn(process.execPath, [path, "kms", "serve", "--port", "0", ...args], { stdio: ["ignore", "pipe", "pipe"] }),
  )
