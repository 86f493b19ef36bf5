import type { KmsClient } from "../core/index.ts"
import type { KmsClientSource } from "../keyrings/index.ts"
import type { ServiceHandle } from "../local-kms/index.ts"
import { formatKmsAddress, type KmsAddress } from "./kms-address.ts"
import { openStore } from "./local-store.ts"
import { isMissingPackage, missingPackage } from "./packages.ts"

/** A KMS as the commands use it. */
export interface Kms {
  readonly address: KmsAddress
  /** The way `--kms` takes it. */
  readonly name: string
  /** For a keyring over these keys: each key's own Region where the ARNs say it. */
  clientFor(keyIds: readonly string[]): KmsClientSource
  /** The client of a key's Region, where its ARN says it. */
  client(keyId?: string): KmsClient
  /** One request, for instance `send("DescribeKey", { KeyId })`. The output is the AWS SDK's. */
  send<T>(operation: string, input: object): Promise<T>
  /** Of the embedded KMS: acting as an AWS service, for the account given. */
  readonly service?: { readonly s3: ServiceHandle; readonly accountRoot: string }
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

// --- internal ---

interface Clients {
  readonly service?: Kms["service"]
  /** `undefined`: the default Region. */
  inRegion(region: string | undefined): KmsClient
  makeCommand(operation: string, input: object): unknown
  close(): Promise<void>
}

function createKms(address: KmsAddress, { inRegion, makeCommand, service, close }: Clients): Kms {
  const clients = new Map<string | undefined, KmsClient>()
  const find = (region: string | undefined): KmsClient => {
    const client = clients.get(region) ?? inRegion(region)
    clients.set(region, client)
    return client
  }
  return {
    address,
    name: formatKmsAddress(address),
    client: (keyId) => find(regionOf(keyId)),
    clientFor: (keyIds) => (keyIds.every(regionOf) ? (region) => find(region) : find(undefined)),
    send(operation, input) {
      const { KeyId, TargetKeyId } = input as { KeyId?: string; TargetKeyId?: string }
      return find(regionOf(KeyId ?? TargetKeyId)).send(makeCommand(operation, input))
    },
    ...(service !== undefined && { service }),
    close,
  }
}

const regionOf = (keyId: string | undefined): string | undefined =>
  keyId === undefined ? undefined : /^arn:[^:]+:kms:([^:]+):/.exec(keyId)?.[1]

async function openLocal(address: KmsAddress & { kind: "local" }, options: OpenKmsOptions): Promise<Kms> {
  const kms = await openStore(address.dir, options)
  return createKms(address, {
    inRegion: (region) => kms.directClient(region === undefined ? {} : { region }),
    makeCommand: (operation, input) => ({ input, constructor: { name: `${operation}Command` } }),
    service: { s3: kms.service("s3"), accountRoot: `arn:aws:iam::${kms.accountId}:root` },
    close: () => kms.close(),
  })
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
