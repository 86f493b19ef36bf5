import type { CommitmentPolicy } from "../core/index.ts"
import { usageError } from "./failures.ts"
import { parseSize } from "./text.ts"

/** What every command takes. */
export interface CommonOptions {
  readonly kms?: string
  readonly json?: boolean
  readonly quiet?: boolean
}

/** Input, output and form of a message. */
export interface FileOptions extends CommonOptions {
  readonly output?: string
  readonly force?: boolean
  readonly base64?: boolean
}

export interface WriteOptions extends FileOptions {
  readonly key?: string[]
  readonly context?: string[]
  readonly requiredContext?: string[]
  readonly signed?: boolean
  readonly frameLength?: number
  readonly commitmentPolicy?: CommitmentPolicy
}

export interface ReadOptions extends FileOptions {
  readonly key?: string[]
  readonly account?: string[]
  readonly context?: string[]
  readonly requiredContext?: string[]
  readonly verifyAtEnd?: boolean
  readonly commitmentPolicy?: CommitmentPolicy
  readonly limit?: Limits
}

export interface InspectCommandOptions {
  readonly base64?: boolean
  readonly json?: boolean
  readonly limit?: Limits
}

export interface KeyCreateOptions extends CommonOptions {
  readonly alias?: string
  readonly description?: string
  readonly multiRegion?: boolean
  readonly hmac?: string
  readonly external?: boolean
}

export function parseHmac(text: string): string {
  if (["224", "256", "384", "512"].includes(text)) return text
  throw usageError(`there is no HMAC key of '${text}' bits`, "224, 256, 384 or 512")
}

export interface AliasListOptions extends CommonOptions {
  readonly key?: string
}

export interface AccessKeyCreateOptions extends CommonOptions {
  readonly service?: string
}

export interface ServeOptions extends CommonOptions {
  readonly memory?: boolean
  readonly port?: number
  readonly host?: string
  readonly tlsCert?: string
  readonly tlsKey?: string
  readonly insecure?: boolean
  readonly open?: boolean
  readonly seed?: string
  readonly account?: string
  readonly region?: string
  readonly registeredOnly?: boolean
  readonly quota?: string[]
  readonly metricsPort?: number
  readonly metrics?: boolean
  readonly grace?: number
}

/** The `from` options are about the message that comes in. */
export interface ReencryptOptions extends WriteOptions {
  readonly fromKms?: string
  readonly fromKey?: string[]
  readonly account?: string[]
  readonly fromContext?: string[]
  readonly fromRequiredContext?: string[]
  readonly limit?: Limits
}

/** The options of the library that the command's options stand for, where given. */
export const writingOptions = ({ signed, frameLength, commitmentPolicy }: WriteOptions) => ({
  ...(signed !== undefined && { signed }),
  ...(frameLength !== undefined && { frameLength }),
  ...(commitmentPolicy !== undefined && { commitmentPolicy }),
})

export const readingOptions = ({ commitmentPolicy, limit }: Pick<ReadOptions, "commitmentPolicy" | "limit">) => ({
  ...limit,
  ...(commitmentPolicy !== undefined && { commitmentPolicy }),
})

export type Limits = Readonly<Record<string, number>>

const policies: Readonly<Record<string, CommitmentPolicy>> = {
  "require-encrypt-require-decrypt": "RequireEncryptRequireDecrypt",
  "require-encrypt-allow-decrypt": "RequireEncryptAllowDecrypt",
  "forbid-encrypt-allow-decrypt": "ForbidEncryptAllowDecrypt",
}

export const policyNames = Object.keys(policies)

export function parsePolicy(text: string): CommitmentPolicy {
  const policy = policies[text]
  if (policy !== undefined) return policy
  throw usageError(`'${text}' is no commitment policy`, `one of ${policyNames.join(", ")}`)
}

export function parseFrameLength(text: string): number {
  const bytes = parseSize(text)
  if (bytes !== undefined && bytes >= 1 && bytes <= 2 ** 32 - 1) return bytes
  throw usageError(`'${text}' is no frame length`, "bytes from 1 to 4294967295, or for instance 64KiB")
}

export const limitNames = [
  "maxWrappedKeys",
  "maxHeaderLength",
  "maxContextLength",
  "maxFrameLength",
  "maxUnauthenticatedBytes",
]

/** Collects `--limit NAME=VALUE`. */
export function parseLimit(text: string, before: Limits = {}): Limits {
  const [, name, size] = /^(\w+)=(.+)$/.exec(text) ?? []
  const value = size === undefined ? undefined : parseSize(size)
  if (name !== undefined && limitNames.includes(name) && value !== undefined) return { ...before, [name]: value }
  throw usageError(`'${text}' is no limit`, `write --limit NAME=VALUE, NAME one of ${limitNames.join(", ")}`)
}

/** Collects an option that may be given several times. */
export const collect = (value: string, before: readonly string[] = []): string[] => [...before, value]

export function parsePort(text: string): number {
  const port = Number(text)
  if (/^\d{1,5}$/.test(text) && port <= 65_535) return port
  throw usageError(`'${text}' is no port`, "a number from 0 to 65535")
}

export function parseGrace(text: string): number {
  if (/^\d{1,4}$/.test(text)) return Number(text)
  throw usageError(`'${text}' is no number of seconds`, "a whole number from 0 to 9999")
}
