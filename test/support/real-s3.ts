import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { existsSync } from "node:fs"
import { mkdir, mkdtemp, rm } from "node:fs/promises"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"
import { setTimeout as pause } from "node:timers/promises"
import { S3Client, type S3ClientConfig } from "@aws-sdk/client-s3"

const cache = resolve(import.meta.dirname, "../../.cache")
const CREDENTIALS = { accessKeyId: "TESTACCESSKEY", secretAccessKey: "a-secret-access-key-for-tests" }
const START_MS = 30_000

/** A server that others wrote, as a process with a folder of its own. */
export interface RealS3 {
  readonly endpoint: string
  client(config?: Partial<S3ClientConfig>): S3Client
  close(): Promise<void>
}

interface RealS3Kind {
  readonly name: string
  readonly isInstalled: boolean
  /** Said where it is not installed. */
  readonly how: string
  start(): Promise<RealS3>
}

/** The Versity S3 Gateway over a folder of the file system; keeps versions. */
export const versitygw: RealS3Kind = {
  name: "versitygw",
  isInstalled: existsSync(join(cache, "s3/bin/versitygw")),
  how: "scripts/install-s3-servers.sh .cache/s3",
  start: () =>
    startProcess(async (folder, port) => {
      for (const name of ["data", "versions"]) await mkdir(join(folder, name))
      const { accessKeyId, secretAccessKey } = CREDENTIALS
      return spawn(
        join(cache, "s3/bin/versitygw"),
        [
          ...["--access", accessKeyId, "--secret", secretAccessKey, "--port", `127.0.0.1:${port}`, "--quiet"],
          ...["posix", "--versioning-dir", join(folder, "versions"), join(folder, "data")],
        ],
        { stdio: ["ignore", "ignore", "pipe"] },
      )
    }),
}

/** Moto's server, in memory. */
export const moto: RealS3Kind = {
  name: "moto",
  isInstalled: existsSync(join(cache, "aws/bin/moto_server")),
  how: "scripts/install-python.sh .cache/aws scripts/aws-requirements.txt",
  start: () =>
    startProcess(async (_folder, port) =>
      spawn(join(cache, "aws/bin/moto_server"), ["-H", "127.0.0.1", "-p", String(port)], {
        stdio: ["ignore", "ignore", "pipe"],
      }),
    ),
}

// --- internal ---

async function startProcess(spawnIn: (folder: string, port: number) => Promise<ChildProcess>): Promise<RealS3> {
  const folder = await mkdtemp(join(tmpdir(), "kms-envelope-real-s3-"))
  const port = await freePort()
  const child = await spawnIn(folder, port)
  let stderr = ""
  child.stderr!.setEncoding("utf8").on("data", (chunk) => {
    stderr = (stderr + chunk).slice(-4000)
  })
  const exited = once(child, "exit")
  const endpoint = `http://127.0.0.1:${port}`
  const clients: S3Client[] = []
  const close = async (): Promise<void> => {
    for (const client of clients) client.destroy()
    if (child.exitCode === null) {
      child.kill()
      await exited
    }
    await rm(folder, { recursive: true })
  }
  try {
    await answering(endpoint, child)
  } catch (error) {
    await close()
    throw new Error(`the server did not start: ${stderr}`, { cause: error })
  }
  return {
    endpoint,
    client(config = {}) {
      const more = { region: "us-east-1", forcePathStyle: true, credentials: CREDENTIALS, maxAttempts: 1 }
      const client = new S3Client({ endpoint, ...more, ...config })
      clients.push(client)
      return client
    },
    close,
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1")
  await once(server, "listening")
  const { port } = server.address() as { port: number }
  server.close()
  await once(server, "close")
  return port
}

/** Any answer will do. */
async function answering(endpoint: string, child: ChildProcess): Promise<void> {
  const until = Date.now() + START_MS
  for (;;) {
    if (child.exitCode !== null) throw new Error(`ended with ${child.exitCode}`)
    try {
      await fetch(endpoint)
      return
    } catch (error) {
      if (Date.now() > until) throw error
      await pause(100)
    }
  }
}
