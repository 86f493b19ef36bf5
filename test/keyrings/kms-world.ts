import { CreateAliasCommand, CreateKeyCommand, type KMSClient, ReplicateKeyCommand } from "@aws-sdk/client-kms"
import type { KmsClient } from "../../src/core/index.ts"
import { LocalKms } from "../../src/local-kms/index.ts"

export const HOME = "us-east-1"
export const AWAY = "eu-west-1"

/** An embedded KMS with keys in two Regions: two of their own, and a multi-Region key in both. */
export interface KmsWorld {
  readonly kms: LocalKms
  readonly home: KMSClient
  readonly away: KMSClient
  readonly keyArn: string
  readonly otherArn: string
  readonly awayArn: string
  readonly replicas: { readonly home: string; readonly away: string }
  readonly alias: string
}

export async function createWorld(): Promise<KmsWorld> {
  const kms = LocalKms.inMemory({ region: HOME })
  const home = kms.client({ region: HOME })
  const away = kms.client({ region: AWAY })
  const create = async (client: KMSClient, input = {}) =>
    (await client.send(new CreateKeyCommand(input))).KeyMetadata!.Arn!
  const keyArn = await create(home)
  const otherArn = await create(home)
  const awayArn = await create(away)
  const primary = await create(home, { MultiRegion: true })
  await home.send(new ReplicateKeyCommand({ KeyId: primary, ReplicaRegion: AWAY }))
  const alias = "alias/orders"
  await home.send(new CreateAliasCommand({ AliasName: alias, TargetKeyId: keyArn }))
  const replicas = { home: primary, away: primary.replace(HOME, AWAY) }
  return { kms, home, away, keyArn, otherArn, awayArn, replicas, alias }
}

export interface Sent {
  readonly operation: string
  // biome-ignore lint/suspicious/noExplicitAny: commands of any kind.
  readonly input: any
  readonly options: { abortSignal?: AbortSignal } | undefined
  // biome-ignore lint/suspicious/noExplicitAny: responses of any kind.
  response?: any
}

export interface Recorder extends KmsClient {
  readonly sent: Sent[]
}

/** Passes commands on and keeps what was sent; `before` may throw or wait, `after` may change the response. */
export function recorder(
  client: KmsClient,
  hooks: {
    // biome-ignore lint/suspicious/noExplicitAny: commands of any kind.
    before?: (sent: Sent, command: any) => unknown
    // biome-ignore lint/suspicious/noExplicitAny: responses of any kind.
    after?: (response: any, sent: Sent) => unknown
  } = {},
): Recorder {
  const sent: Sent[] = []
  return {
    sent,
    async send(command, options) {
      const entry: Sent = {
        operation: command.constructor.name.replace(/Command$/, ""),
        input: { ...command.input },
        options,
      }
      sent.push(entry)
      await hooks.before?.(entry, command)
      const response = await client.send(command, options)
      entry.response = response
      await hooks.after?.(response, entry)
      return response
    },
  }
}

/** An error as the AWS SDK throws it. */
export function awsError(name: string, message = "said KMS", httpStatusCode = 400): Error {
  return Object.assign(new Error(message), { name, $fault: "client", $metadata: { httpStatusCode, requestId: "r-1" } })
}
