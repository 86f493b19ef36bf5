import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterEach } from "vitest"
import { type BlockDevice, type ExportOptions, type NbdOptions, type NbdServer, serveNbd } from "../../src/nbd/index.ts"
import { connectNbd, metaData, type NbdClient } from "../support/nbd-client.ts"

const open: { close(): unknown }[] = []
const folders: string[] = []

afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each.close()
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true })
})

/** A folder that goes away after the test. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "nbd-test-"))
  folders.push(folder)
  return folder
}

/** A server on a Unix socket, or where `options` say, that is closed after the test. */
export async function served(
  given: BlockDevice | { exports: Record<string, BlockDevice | ExportOptions> },
  options: NbdOptions = {},
): Promise<NbdServer> {
  const place = options.unix === undefined && options.port === undefined ? { unix: join(temporaryFolder(), "s") } : {}
  const server = await serveNbd(given, { ...place, ...options })
  open.push({ close: () => server.close({ graceSeconds: 1 }) })
  return server
}

/** A client in the option phase, closed after the test. */
export async function connected(server: NbdServer, flags?: number): Promise<NbdClient> {
  const client = await connectNbd(server.address, flags)
  open.push(client)
  return client
}

/** A client in the request phase. */
export async function attached(server: NbdServer, { structured = true, name = "", status = false } = {}) {
  const client = await connected(server)
  if (structured) await client.structured()
  if (status) await client.option(10, metaData(name, ["base:allocation"]))
  const { size, flags } = await client.go(name)
  return Object.assign(client, { size, flags })
}
