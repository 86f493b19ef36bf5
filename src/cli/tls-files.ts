import { readFile } from "node:fs/promises"
import { ioError, usageError } from "./failures.ts"

export interface TlsFileOptions {
  readonly tlsCert?: string
  readonly tlsKey?: string
}

/** What `--tls-cert` and `--tls-key` name. @throws CliError `usage` for one without the other, `inputOutput` */
export async function readTlsFiles({ tlsCert, tlsKey }: TlsFileOptions): Promise<TlsFiles | undefined> {
  if (tlsCert === undefined && tlsKey === undefined) return undefined
  if (tlsCert === undefined || tlsKey === undefined) throw usageError("--tls-cert and --tls-key go together")
  return { cert: await readPem(tlsCert), key: await readPem(tlsKey) }
}

export interface TlsFiles {
  readonly cert: Buffer
  readonly key: Buffer
}

export const readPem = (file: string): Promise<Buffer> =>
  readFile(file).catch((cause: unknown) => {
    throw ioError(`cannot read ${file}`, cause)
  })
