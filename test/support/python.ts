import { type ChildProcess, spawn } from "node:child_process"
import { existsSync } from "node:fs"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"
import type { EncryptionContext } from "../../src/core/index.ts"

const interpreter = fileURLToPath(new URL("../../.cache/python/bin/python", import.meta.url))
const script = fileURLToPath(new URL("../heavy/peer.py", import.meta.url))

/** Whether `scripts/install-python.sh .cache/python` has run. */
export const hasPython = existsSync(interpreter)

export type PythonKey = { readonly namespace: string; readonly name: string } & (
  | { readonly type: "aes"; readonly key: string }
  | { readonly type: "rsa"; readonly padding: string; readonly publicKey: string; readonly privateKey: string }
)

export interface PythonRequest {
  /** Encrypt or decrypt. */
  readonly mode: "e" | "d"
  readonly input: Uint8Array
  readonly suiteId: number
  /** 0 writes a non-framed message. */
  readonly frameLength: number
  readonly encryptionContext: EncryptionContext
  readonly requiredContextKeys: readonly string[]
  readonly keys: readonly PythonKey[]
  readonly stream: boolean
}

/** The Python SDK in a process of its own; requests are answered in turn. */
export interface PythonPeer {
  run(request: PythonRequest): Promise<Uint8Array>
  close(): void
}

export function startPython(): PythonPeer {
  const child: ChildProcess = spawn(interpreter, [script], { stdio: ["pipe", "pipe", "inherit"] })
  const answers = createInterface({ input: child.stdout! })[Symbol.asyncIterator]()
  return {
    async run(request) {
      const input = Buffer.from(request.input).toString("base64")
      child.stdin!.write(`${JSON.stringify({ ...request, input })}\n`)
      const { value, done } = await answers.next()
      if (done) throw new Error("the Python process ended")
      const answer = JSON.parse(value as string) as { output?: string; error?: string }
      if (answer.output === undefined) throw new Error(`Python: ${answer.error}`)
      return new Uint8Array(Buffer.from(answer.output, "base64"))
    },
    close: () => child.stdin!.end(),
  }
}
