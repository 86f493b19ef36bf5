import type { KMSClient } from "@aws-sdk/client-kms"
import * as sdk from "@aws-sdk/client-kms"
import { onTestFinished } from "vitest"
import { LocalKms, type LocalKmsOptions } from "../../src/local-kms/index.ts"
import { type Send, temporaryFolder } from "./helpers.ts"

/** The same behaviour is expected behind every door and on every store. */
export interface Door {
  /** Errors are the SDK's own classes. */
  readonly isSdk: boolean
  /** The KMS ends with the test. */
  open(options?: LocalKmsOptions): Promise<{
    readonly client: KMSClient
    readonly kms: LocalKms
    /** A client of somebody else. */
    as(principal: string): Promise<KMSClient>
  }>
}

export const doors: Record<string, Door> = {
  "the SDK's client, in memory": {
    isSdk: true,
    async open(options) {
      const kms = disposed(LocalKms.inMemory(options))
      return { kms, client: kms.client(), as: async (principal) => kms.client({ principal }) }
    },
  },
  "the direct client, in memory": {
    isSdk: false,
    async open(options) {
      const kms = disposed(LocalKms.inMemory(options))
      const as = (principal?: string): KMSClient =>
        kms.directClient(principal === undefined ? {} : { principal }) as unknown as KMSClient
      return { kms, client: as(), as: async (principal) => as(principal) }
    },
  },
  "the SDK's client, on disk": {
    isSdk: true,
    async open(options) {
      const kms = disposed(await LocalKms.open(await temporaryFolder(), options))
      return { kms, client: kms.client(), as: async (principal) => kms.client({ principal }) }
    },
  },
  "the SDK's client, over HTTP, on disk": {
    isSdk: true,
    async open(options) {
      const kms = disposed(await LocalKms.open(await temporaryFolder(), options))
      const { endpoint } = await kms.listen({ port: 0 })
      const as = async (principal: string): Promise<KMSClient> => {
        const credentials = await kms.accessKeys.create({ principal })
        const client = new sdk.KMSClient({ endpoint, region: kms.region, credentials })
        // Client and server agree on the time, however the test moves it.
        client.middlewareStack.add(
          (next) => (args) => {
            client.config.systemClockOffset = (options?.clock?.() ?? Date.now()) - Date.now()
            return next(args)
          },
          { step: "initialize" },
        )
        onTestFinished(() => client.destroy())
        return client
      }
      return { kms, client: await as(`arn:aws:iam::${kms.accountId}:root`), as }
    },
  },
}

function disposed(kms: LocalKms): LocalKms {
  onTestFinished(() => kms.close())
  return kms
}

/** Sends through any of the clients, by the operation's name. */
export const senderOf =
  (client: KMSClient): Send =>
  (operation, input = {}) => {
    // biome-ignore lint/performance/noDynamicNamespaceImportAccess: nothing is bundled here.
    const Command = sdk[`${operation}Command` as keyof typeof sdk] as unknown as new (
      input: object,
    ) => sdk.ListKeysCommand
    return client.send(new Command(input))
  }
