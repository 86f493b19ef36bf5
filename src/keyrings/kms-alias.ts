import type { Keyring, KmsClient } from "../core/index.ts"
import { kmsKeyring } from "./kms.ts"
import { describeKey } from "./kms-calls.ts"

/**
 * A KMS key by its alias, to write and to read: what it reads is held to the key that the alias stands for, which one
 * DescribeKey tells.
 */
export function kmsAliasKeyring(client: KmsClient, alias: string): Keyring {
  const writer = kmsKeyring({ client, generatorKeyId: alias })
  let reader: Promise<Keyring> | undefined
  const openReader = async (signal: AbortSignal | undefined): Promise<Keyring> => {
    const keyArn = await describeKey({ client, keyId: alias, grantTokens: [] }, signal)
    return kmsKeyring({ client, keyIds: [keyArn] })
  }
  return {
    name: writer.name,
    wrap: (request) => writer.wrap(request),
    async unwrap(request) {
      if (!request.wrappedKeys.some(({ providerId }) => providerId === "aws-kms")) return undefined
      reader ??= openReader(request.signal)
      try {
        return await (await reader).unwrap(request)
      } catch (error) {
        reader = undefined
        throw error
      }
    },
  }
}
