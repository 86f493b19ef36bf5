import { type ChildProcess, execFileSync, spawn } from "node:child_process"
import { existsSync } from "node:fs"
import { createServer } from "node:net"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"

const path = (name: string) => fileURLToPath(new URL(`../../${name}`, import.meta.url))
/** Debian has it, npm has not. */
const RUBY = "ruby"
const python = path(".cache/s3ec/bin/python")

/** Whether `scripts/install-python.sh .cache/s3ec scripts/s3ec-requirements.txt` has run. */
export const hasS3ecPython = existsSync(python)

/** Whether Debian's `ruby-aws-sdk-s3` and `ruby-aws-sdk-kms` are there, or gems of that name. */
export const hasS3ecRuby = ((): boolean => {
  try {
    execFileSync(RUBY, ["-e", 'require "aws-sdk-s3"; require "aws-sdk-kms"'], { stdio: "ignore" })
    return true
  } catch {
    return false
  }
})()

export const PEER_CREDENTIALS = { accessKeyId: "AKIAPEER", secretAccessKey: "a-secret-access-key-for-tests" }

/** A client of another language in a process of its own; requests are answered in turn. */
export interface S3ecPeer {
  /** The body that it read, or nothing. @throws Error with what it threw */
  run(request: object): Promise<Buffer>
  close(): void
}

export const startS3ecPython = (): S3ecPeer => startPeer(python, "test/heavy/s3ec_peer.py")
export const startS3ecRuby = (): S3ecPeer => startPeer(RUBY, "test/heavy/s3ec_peer.rb")

function startPeer(command: string, script: string): S3ecPeer {
  const child: ChildProcess = spawn(command, [path(script)], {
    stdio: ["pipe", "pipe", "inherit"],
    env: { ...process.env, AWS_EC2_METADATA_DISABLED: "true" },
  })
  const answers = createInterface({ input: child.stdout! })[Symbol.asyncIterator]()
  return {
    async run(request) {
      child.stdin!.write(`${JSON.stringify({ ...PEER_CREDENTIALS, ...request })}\n`)
      const { value, done } = await answers.next()
      if (done) throw new Error("the peer's process ended")
      const answer = JSON.parse(value as string) as { body?: string; error?: string }
      if (answer.body === undefined) throw new Error(`peer: ${answer.error}`)
      return Buffer.from(answer.body, "base64")
    },
    close: () => child.stdin!.end(),
  }
}

/** moto's server: S3 and KMS at one endpoint. */
export async function startMoto(): Promise<{ readonly endpoint: string; close(): void }> {
  const port = await freePort()
  const args = ["-m", "moto.server", "-H", "127.0.0.1", "-p", String(port)]
  const child = spawn(python, args, { stdio: "ignore" })
  const endpoint = `http://127.0.0.1:${port}`
  for (let tries = 0; tries < 300; tries++) {
    const answered = await fetch(`${endpoint}/moto-api/data.json`).then(
      (response) => response.ok,
      () => false,
    )
    if (answered) return { endpoint, close: () => child.kill() }
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  child.kill()
  throw new Error("moto's server did not answer within 30 seconds")
}

const freePort = (): Promise<number> =>
  new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address() as { port: number }
      server.close(() => resolve(port))
    })
  })
