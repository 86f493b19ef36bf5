import type { ChildProcess } from "node:child_process"
import { onTestFinished } from "vitest"
import { connectNbd, type NbdClient } from "../support/nbd-client.ts"
import type { Sandbox } from "./sandbox.ts"

/** `envelope volume attach disk.vol`, running. */
export interface Attached {
  readonly child: ChildProcess
  /** What `--json` says of it. */
  readonly served: { unix: string; host: string; port: number; uri: string; pid: number; readOnly: boolean }
  stderr(): string
  /** Exit code and signal. */
  end(signal?: NodeJS.Signals): Promise<readonly [number | null, NodeJS.Signals | null]>
  client(): Promise<NbdClient & { readonly size: number; readonly flags: number }>
}

/** Starts `volume attach`, and waits until it serves. @throws with what it said when it ends before */
export async function attach(box: Sandbox, ...args: string[]): Promise<Attached> {
  const child = box.start(["volume", "attach", "disk.vol", "--json", ...args])
  onTestFinished(() => void child.kill("SIGKILL"))
  let [stdout, stderr] = ["", ""]
  child.stdout!.setEncoding("utf8").on("data", (chunk) => {
    stdout += chunk
  })
  child.stderr!.setEncoding("utf8").on("data", (chunk) => {
    stderr += chunk
  })
  const exited = new Promise<readonly [number | null, NodeJS.Signals | null]>((resolve) => {
    child.once("close", (code, signal) => resolve([code, signal]))
  })
  const served = new Promise<boolean>((resolve) => {
    child.stdout!.on("data", () => stdout.endsWith("}\n") && resolve(true))
    void exited.then(() => resolve(false))
  })
  if (!(await served)) throw new Error(`envelope volume attach ended: ${stderr}`)
  const details = JSON.parse(stdout)
  return {
    child,
    served: details,
    stderr: () => stderr,
    async end(signal = "SIGTERM") {
      child.kill(signal)
      return await exited
    },
    async client() {
      const client = await connectNbd(details)
      onTestFinished(() => client.close())
      await client.structured()
      return Object.assign(client, await client.go())
    },
  }
}
