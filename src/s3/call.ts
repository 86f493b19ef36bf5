import type { S3Client } from "@aws-sdk/client-s3"
import type { Keys } from "./keys.ts"
import type { EncryptionSendOptions, Settings } from "./options.ts"
import type { ReadCache } from "./read-cache.ts"
import type { Uploads } from "./upload-state.ts"

/** What `send` of the SDK's client takes as options. */
export type HttpOptions = Parameters<S3Client["send"]>[1]

/** What one client holds. */
export interface Session {
  readonly inner: S3Client
  readonly settings: Settings
  readonly keys: Keys
  readonly uploads: Uploads
  readonly cache: ReadCache | undefined
}

/** The parts of a command that are used here, whichever copy of the SDK made it. */
export interface AnyCommand<I = object> {
  readonly input: I
  readonly middlewareStack: { clone(): unknown }
}

/** One `send`. */
export interface Call<I = object> {
  readonly session: Session
  readonly command: AnyCommand<I>
  readonly input: I
  readonly own: EncryptionSendOptions
  readonly http: HttpOptions | undefined
  readonly signal: AbortSignal | undefined
}

// biome-ignore lint/suspicious/noExplicitAny: the SDK's overloads fit no narrower type.
type Loose = (command: any, options?: any) => Promise<any>

/** Sends a command of our own making with the caller's options. */
export function send<O>({ session, http }: Pick<Call, "session" | "http">, command: object, more?: object): Promise<O> {
  return (session.inner.send as Loose)(command, more === undefined ? http : { ...http, ...more })
}

/** Sends the caller's command with another input; middleware that the caller put onto the command goes with it. */
export function sendAs<I extends object, O>(call: Call<I>, input: I): Promise<O> {
  const { command } = call
  const next = new (command.constructor as new (input: I) => { middlewareStack: unknown })(input)
  next.middlewareStack = command.middlewareStack.clone()
  return send(call, next)
}

/** The fields of every request that belongs to one operation of the caller's. */
const SHARED = [
  "Bucket",
  "Key",
  "ExpectedBucketOwner",
  "RequestPayer",
  "SSECustomerAlgorithm",
  "SSECustomerKey",
  "SSECustomerKeyMD5",
] as const

export const sharedInput = (input: object): { Bucket: string; Key: string } =>
  pick(input as Record<string, unknown>, SHARED) as { Bucket: string; Key: string }

export function pick<T extends object, K extends keyof T>(from: T, keys: readonly K[]): Pick<T, K> {
  const picked = {} as Pick<T, K>
  for (const key of keys) if (from[key] !== undefined) picked[key] = from[key]
  return picked
}

export function omit<T extends object, K extends keyof T>(from: T, keys: readonly K[]): Omit<T, K> {
  const rest = { ...from }
  for (const key of keys) delete rest[key]
  return rest
}
