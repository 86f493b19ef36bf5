import { readFile } from "node:fs/promises"
import type { KmsServer, ListenOptions, LocalKms, LocalKmsOptions } from "../../local-kms/index.ts"
import { CliError, ioError, isErrno, usageError } from "../failures.ts"
import { print } from "../fd.ts"
import { openStore, storeFolder } from "../local-store.ts"
import { complain, note, noteMore } from "../messages.ts"
import type { ServeOptions } from "../options.ts"
import { endOfService } from "../service.ts"
import { toJson } from "../text.ts"
import { readTlsFiles } from "../tls-files.ts"

const DEFAULT_PORT = 4599

/** Runs until a signal; what was accepted by then is answered. */
export async function kmsServeCommand(options: ServeOptions): Promise<void> {
  // Before the port is open, so that a signal at any time ends the command in order.
  const ended = endOfService()
  const kms = await openKms(options)
  try {
    if (options.seed !== undefined) await seed(kms, options.seed)
    await using server = await listen(kms, options)
    await announce(kms, server, options)
    note(`${await ended}: answering what is running, then closing`)
  } finally {
    await kms.close()
  }
}

// --- internal ---

async function openKms({ kms, memory, account, region, registeredOnly, quota }: ServeOptions): Promise<LocalKms> {
  if (memory && kms !== undefined) throw usageError("--memory has no folder: leave out --kms")
  const settings: LocalKmsOptions = {
    ...(account !== undefined && { accountId: account }),
    ...(region !== undefined && { region }),
    ...(registeredOnly !== undefined && { registeredPrincipalsOnly: registeredOnly }),
    ...(quota !== undefined && { quotas: readQuotas(quota) }),
  }
  try {
    if (!memory) return await openStore(storeFolder(kms), { ...settings, create: true })
    const { LocalKms } = await import("../../local-kms/index.ts")
    return LocalKms.inMemory(settings)
  } catch (error) {
    throw asMistake(error)
  }
}

/** What is no quota the KMS says itself. */
const readQuotas = (given: readonly string[]): NonNullable<LocalKmsOptions["quotas"]> =>
  Object.fromEntries(
    given.map((pair) => {
      const [, name, value] = /^(\w+)=(\d+)$/.exec(pair) ?? []
      if (name === undefined) throw usageError(`--quota ${pair}: it is like keys=1000`)
      return [name, Number(value)]
    }),
  )

async function seed(kms: LocalKms, file: string): Promise<void> {
  const text = await readFile(file, "utf8").catch((cause: unknown) => {
    throw ioError(`cannot read ${file}`, cause)
  })
  try {
    const made = await kms.seed(JSON.parse(text))
    note(`${file}: ${made.created.length} made, ${made.unchanged} there already`)
  } catch (error) {
    if (error instanceof SyntaxError) throw usageError(`${file} is no JSON: ${error.message}`)
    if (error instanceof TypeError) throw usageError(`${file}: ${error.message}`)
    throw error
  }
}

async function listen(kms: LocalKms, options: ServeOptions): Promise<KmsServer> {
  const { port = DEFAULT_PORT, host, metricsPort, metrics = true, grace } = options
  const tls = await readTlsFiles(options)
  const settings: ListenOptions = {
    port,
    metrics: metricsPort === undefined ? metrics : { port: metricsPort },
    open: options.open ?? false,
    insecure: options.insecure ?? false,
    ...(host !== undefined && { host }),
    ...(tls !== undefined && { tls }),
    ...(grace !== undefined && { graceSeconds: grace }),
    onError: (error) =>
      complain(`a request failed: ${error instanceof Error ? error.message : String(error)}`, undefined),
  }
  try {
    return await kms.listen(settings)
  } catch (error) {
    if (isErrno(error)) throw ioError(`cannot listen on port ${port}`, error)
    if (error instanceof TypeError)
      throw usageError(
        `${host} can be reached by other machines: it takes --tls-cert and --tls-key`,
        "or --insecure, where nobody else is on the network",
      )
    throw error
  }
}

/** The address on standard output, for scripts; the rest is for people. */
async function announce(kms: LocalKms, server: KmsServer, options: ServeOptions): Promise<void> {
  const { endpoint, metricsUrl } = server
  await print(options.json ? toJson({ endpoint, metricsUrl, pid: process.pid }) : `${endpoint}\n`)
  note(`the embedded KMS listens on ${endpoint} (Ctrl-C ends it)`)
  noteMore(`export AWS_ENDPOINT_URL_KMS=${endpoint} AWS_ENDPOINT_URL_STS=${endpoint}`)
  if (options.open) return note("no signature is checked: whoever reaches the port is the account's root")
  if ((await kms.accessKeys.list()).length === 0)
    note("nobody can sign requests yet: envelope principal access-key create ARN makes an access key")
}

function asMistake(error: unknown): unknown {
  return error instanceof TypeError ? new CliError("usage", error.message) : error
}
