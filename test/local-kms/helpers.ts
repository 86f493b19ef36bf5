import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { onTestFinished } from "vitest"
import { LocalKms, type LocalKmsOptions } from "../../src/local-kms/index.ts"
import { command } from "./command.ts"

export const ACCOUNT = "111122223333"
export const REGION = "us-east-1"
export const OTHER_ACCOUNT_ROLE = "arn:aws:iam::444455556666:role/Stranger"
export const DAY_MS = 86_400_000

// biome-ignore lint/suspicious/noExplicitAny: tests look into outputs of every operation.
export type Send = (operation: string, input?: object) => Promise<any>

export const sendTo =
  // biome-ignore lint/suspicious/noExplicitAny: any client with send().
    (client: { send(command: any): Promise<any> }): Send =>
    (operation, input) =>
      client.send(command(operation, input))

/** An embedded KMS in memory that is closed with the test, and `send` as the account's root. */
export function memoryKms(options: LocalKmsOptions = {}): { readonly kms: LocalKms; readonly send: Send } {
  const kms = LocalKms.inMemory(options)
  onTestFinished(() => kms.close())
  return { kms, send: sendTo(kms.directClient()) }
}

export async function createKey(send: Send, input: object = {}): Promise<{ keyId: string; arn: string }> {
  const { KeyMetadata } = await send("CreateKey", input)
  return { keyId: KeyMetadata.KeyId, arn: KeyMetadata.Arn }
}

const EVERYTHING = { Version: "2012-10-17", Statement: { Effect: "Allow", Action: "kms:*", Resource: "*" } }

/** Registers a user or role, by its ARN, that identity policies let do everything its account may. */
export async function register(kms: LocalKms, arn: string): Promise<void> {
  const [, , , , accountId = "", resource = ""] = arn.split(":")
  const [type, ...path] = resource.split("/")
  const name = path.pop()!
  const options = { name, accountId, path: `/${path.map((part) => `${part}/`).join("")}`, policies: { EVERYTHING } }
  await (type === "user" ? kms.principals.createUser(options) : kms.principals.createRole(options))
}

/** A folder that is removed after the test. */
export async function temporaryFolder(): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), "local-kms-"))
  onTestFinished(() => rm(dir, { recursive: true, force: true }))
  return dir
}

export const bytes = (length: number, value = 7): Uint8Array => new Uint8Array(length).fill(value)

export const flipBit = (original: Uint8Array, bit: number): Uint8Array => {
  const copy = Uint8Array.from(original)
  copy[bit >> 3]! ^= 1 << (bit & 7)
  return copy
}
