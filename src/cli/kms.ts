import { readdir } from "node:fs/promises"
import type { KmsClient } from "../core/index.ts"
import type { KmsClientSource } from "../keyrings/index.ts"
import { CliError } from "./failures.ts"
import { formatKmsAddress, type KmsAddress } from "./kms-address.ts"
import { note, noteMore } from "./messages.ts"

/** A KMS as the commands use it. */
export interface Kms {
  readonly address: KmsAddress
  /** The way `--kms` takes it. */
  readonly name: string
  /** For a keyring over these keys: each key's own Region where the ARNs say it. */
  clientFor(keyIds: readonly string[]): KmsClientSource
  /** One request, for instance `send("DescribeKey", { KeyId })`. The output is the AWS SDK's. */
  send<T>(operation: string, input: object): Promise<T>
  close(): Promise<void>
}

export interface OpenKmsOptions {
  /** Make the embedded KMS where there is none yet. */
  readonly create?: boolean
}

/**
 * @throws CliError `noMatchingKey` where there is no embedded KMS yet, `kmsUnreachable` without the packages it takes
 * @throws EnvelopeError `KmsStore`
 */
export const openKms = (address: KmsAddress, options: OpenKmsOptions = {}): Promise<Kms> =>
  address.kind === "local" ? openLocal(address, options) : openRemote(address)

/** Whether an embedded KMS has been made in a folder. */
async function isMade(dir: string): Promise<boolean> {
  const names = await readdir(dir).catch(() => [])
  return names.length > 0
}

// --- internal ---

interface Clients {
  /** `undefined`: the default Region. */
  inRegion(region: string | undefined): KmsClient
  makeCommand(operation: string, input: object): unknown
  close(): Promise<void>
}

function createKms(address: KmsAddress, { inRegion, makeCommand, close }: Clients): Kms {
  const clients = new Map<string | undefined, KmsClient>()
  const find = (region: string | undefined): KmsClient => {
    const client = clients.get(region) ?? inRegion(region)
    clients.set(region, client)
    return client
  }
  return {
    address,
    name: formatKmsAddress(address),
    clientFor: (keyIds) => (keyIds.every(regionOf) ? (region) => find(region) : find(undefined)),
    send(operation, input) {
      const { KeyId, TargetKeyId } = input as { KeyId?: string; TargetKeyId?: string }
      return find(regionOf(KeyId ?? TargetKeyId)).send(makeCommand(operation, input))
    },
    close,
  }
}

const regionOf = (keyId: string | undefined): string | undefined =>
  keyId === undefined ? undefined : /^arn:[^:]+:kms:([^:]+):/.exec(keyId)?.[1]

async function openLocal(address: KmsAddress & { kind: "local" }, { create = false }: OpenKmsOptions): Promise<Kms> {
  const { dir } = address
  const isNew = !(await isMade(dir))
  if (isNew && !create) {
    throw new CliError("noMatchingKey", `there is no embedded KMS in ${dir} yet`, {
      hint: "make it and a key: envelope key create --alias default",
    })
  }
  const { LocalKms } = await import("../local-kms/index.ts")
  const { ENVELOPE_KMS_PASSPHRASE: passphrase, ENVELOPE_KMS_ROOT_KEY: rootKeyFile } = process.env
  const rootKey = { ...(passphrase && { passphrase }), ...(rootKeyFile && { rootKeyFile }) }
  const kms = await LocalKms.open(dir, rootKey).catch((error: unknown) => {
    throw isMissingPackage(error) ? missingPackage("an embedded KMS", "lmdb", error) : error
  })
  if (isNew) introduce(dir, passphrase, rootKeyFile)
  return createKms(address, {
    inRegion: (region) => kms.directClient(region === undefined ? {} : { region }),
    makeCommand: (operation, input) => ({ input, constructor: { name: `${operation}Command` } }),
    close: () => kms.close(),
  })
}

function introduce(dir: string, passphrase: string | undefined, rootKeyFile: string | undefined): void {
  note(`made your embedded KMS in ${dir}`)
  noteMore(
    passphrase
      ? "its keys are encrypted under your passphrase: it is needed every time, and nobody can recover it"
      : `its keys are encrypted under the root key in ${rootKeyFile || `${dir}/root.key`}: whoever has both can decrypt`,
    "without them nothing can be decrypted again, so back them up, while no command runs:",
    `tar -czf kms-backup.tgz -C ${dir} .`,
    ...(rootKeyFile && !passphrase ? [`and keep a copy of ${rootKeyFile} elsewhere`] : []),
  )
}

type Sdk = typeof import("@aws-sdk/client-kms")

async function openRemote(address: Exclude<KmsAddress, { kind: "local" }>): Promise<Kms> {
  const sdk = await loadSdk()
  const opened: { destroy(): void }[] = []
  return createKms(address, {
    inRegion(keyRegion) {
      const region = (address.kind === "aws" ? address.region : undefined) ?? keyRegion
      const client = new sdk.KMSClient({
        ...(region !== undefined && { region }),
        ...(address.kind === "http" && {
          endpoint: address.url,
          region: region ?? process.env.AWS_REGION ?? "us-east-1",
        }),
      })
      opened.push(client)
      return client
    },
    makeCommand(operation, input) {
      const Command = sdk[`${operation}Command` as keyof Sdk] as unknown as new (input: object) => unknown
      return new Command(input)
    },
    close: async () => {
      for (const client of opened) client.destroy()
    },
  })
}

async function loadSdk(): Promise<Sdk> {
  // What the SDK has to say about old versions of Node is for developers.
  process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED ??= "true"
  try {
    return await import("@aws-sdk/client-kms")
  } catch (error) {
    throw isMissingPackage(error) ? missingPackage("talking to AWS KMS", "@aws-sdk/client-kms", error) : error
  }
}

function isMissingPackage(error: unknown): boolean {
  const { code, cause } = error as { code?: unknown; cause?: unknown }
  return (
    code === "ERR_MODULE_NOT_FOUND" || code === "MODULE_NOT_FOUND" || (cause !== undefined && isMissingPackage(cause))
  )
}

/** Both are optional, because only the command and tests need both. */
const missingPackage = (what: string, name: string, cause: unknown): CliError =>
  new CliError("kmsUnreachable", `${what} takes the package ${name}, which is not installed`, {
    hint: `npm install ${name}, beside kms-envelope (with -g where that was installed with -g)`,
    cause,
  })
