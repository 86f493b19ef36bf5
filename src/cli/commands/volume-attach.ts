import { join } from "node:path"
import { type NbdOptions, type NbdServer, serveNbd } from "../../nbd/index.ts"
import type { Volume } from "../../volume/index.ts"
import { CliError, ioError, isErrno, usageError } from "../failures.ts"
import { print } from "../fd.ts"
import { complain, note, noteMore } from "../messages.ts"
import { clientCommands } from "../nbd-clients.ts"
import { showStatus } from "../nbd-status.ts"
import { endOfService } from "../service.ts"
import { formatBytes, toJson } from "../text.ts"
import { readPem, readTlsFiles, type TlsFileOptions } from "../tls-files.ts"
import { countKmsCalls, type OpenVolumeOptions, openVolume } from "../volume-session.ts"

export interface TcpPlace {
  readonly host: string
  readonly port: number
}

interface VolumeAttachOptions extends OpenVolumeOptions, TlsFileOptions {
  readonly unix?: string
  readonly tcp?: TcpPlace
  readonly tlsClientCa?: string
  readonly insecure?: boolean
  readonly statsEvery?: number
}

const DEFAULT_SOCKET = "nbd.sock"
const DEFAULT_STATS_SECONDS = 60
/** The same complaint is not repeated for so long: a client that tries again and again must not flood the terminal. */
const REPEAT_MS = 10_000

/** Serves a volume until a signal; then what was answered is durable, the volume clean and its key gone. */
export async function volumeAttachCommand(path: string, options: VolumeAttachOptions): Promise<void> {
  // Before anything is attached, so that a signal at any time ends the command in order.
  const ended = endOfService()
  const place = await nbdOptions(path, options)
  const kmsCalls = countKmsCalls()
  const volume = await openVolume(path, options)
  try {
    const stopEpochs = listenForEpochs(volume)
    const server = await listen(volume, place)
    try {
      await announce(volume, server, place.tls !== undefined, options)
      const stopStatus = showStatus(
        async () => ({ stats: server.stats, volume: await volume.info(), kmsCalls: kmsCalls.count }),
        options.statsEvery ?? DEFAULT_STATS_SECONDS,
      )
      const signal = await ended
      stopStatus()
      stopEpochs()
      note(`${signal}: answering what is running, then detaching; a second signal quits at once`)
    } finally {
      await server.close()
    }
    const { bytesRead, bytesWritten } = server.stats
    await volume.detach()
    note(`detached: ${formatBytes(bytesRead)} read, ${formatBytes(bytesWritten)} written`)
  } finally {
    await volume.detach()
  }
}

// --- internal ---

async function nbdOptions(path: string, options: VolumeAttachOptions): Promise<NbdOptions> {
  const { unix, tcp, tlsClientCa, insecure } = options
  if (unix !== undefined && tcp !== undefined) throw usageError("give --unix or --tcp, not both")
  const files = await readTlsFiles(options)
  if (files === undefined && tlsClientCa !== undefined) throw usageError("--tls-client-ca goes with --tls-cert")
  const tls = files && { ...files, ...(tlsClientCa !== undefined && { clientCa: await readPem(tlsClientCa) }) }
  return {
    ...(tcp ?? { unix: unix ?? join(path, DEFAULT_SOCKET) }),
    ...(tls && { tls }),
    ...(insecure !== undefined && { insecure }),
    onError: complainOnce(),
  }
}

function complainOnce(): (error: unknown) => void {
  let last = { text: "", time: 0 }
  return (error) => {
    const text = `a request failed: ${error instanceof Error ? error.message : String(error)}`
    const time = performance.now()
    if (text === last.text && time - last.time < REPEAT_MS) return
    last = { text, time }
    complain(text, undefined)
  }
}

async function listen(volume: Volume, options: NbdOptions): Promise<NbdServer> {
  const { unix, host, port } = options
  try {
    return await serveNbd(volume, options)
  } catch (error) {
    const where = unix ?? `${host}:${port}`
    const { code = "", message } = error as NodeJS.ErrnoException
    if (code === "EADDRINUSE")
      throw new CliError("inputOutput", `cannot listen on ${where}: it is in use`, { cause: error })
    if (isErrno(error)) throw ioError(`cannot listen on ${where}`, error)
    if (error instanceof TypeError)
      throw usageError(
        `${host} can be reached by other machines: it takes --tls-cert and --tls-key`,
        "or --insecure, where nobody else is on the network: data then travels in the clear",
      )
    if (error instanceof RangeError) throw usageError(message, "choose another one: --unix SOCKET")
    if (/^ERR_(?:OSSL|SSL|TLS)/.test(code)) throw usageError(`TLS takes PEM files that fit together: ${message}`)
    throw error
  }
}

/** After a resume from an image of the machine's memory (VOL-9.2). */
function listenForEpochs(volume: Volume): () => void {
  if (volume.readOnly || process.platform === "win32") return () => {}
  const listener = (): void => {
    volume.newEpoch().then(
      () => note("SIGUSR2: a new epoch has begun"),
      (error: Error) => complain(`no new epoch: ${error.message}`, undefined),
    )
  }
  process.on("SIGUSR2", listener)
  return () => process.off("SIGUSR2", listener)
}

/** The URI on standard output, for scripts; the rest is for people. */
async function announce(
  { volumeId, size, blockSize, readOnly }: Volume,
  { uri, address }: NbdServer,
  tls: boolean,
  { json }: VolumeAttachOptions,
): Promise<void> {
  const { pid } = process
  await print(json ? toJson({ uri, ...address, tls, volumeId, size, blockSize, readOnly, pid }) : `${uri}\n`)
  note(`serving ${formatBytes(size)}${readOnly ? ", read-only" : ""} on ${uri} (Ctrl-C detaches)`)
  const commands = clientCommands({ uri, address, tls, size, readOnly })
  const width = Math.max(...commands.map(([what]) => what.length))
  noteMore(...commands.map(([what, command]) => `${what.padEnd(width)}  ${command}`))
  if (tls)
    noteMore("CERTS is the client's folder with ca-cert.pem, and client-cert.pem and client-key.pem if asked for")
}
