import type { KmsClient } from "../core/index.ts"

/** The KMS operations that this library calls. */
export type KmsOperation =
  | "GenerateDataKey"
  | "GenerateDataKeyWithoutPlaintext"
  | "Encrypt"
  | "Decrypt"
  | "ReEncrypt"
  | "DescribeKey"

type CommandClass = new (input: object) => object
type Commands = Readonly<Record<`${KmsOperation}Command`, CommandClass>>

let commands: Commands | undefined

/**
 * A command as a KMS client takes it: the AWS SDK's own where the SDK is installed, loaded at the first call; else, and
 * for clients that say that it is enough, an object that looks like it (`input`, `constructor.name`).
 */
export async function kmsCommand(operation: KmsOperation, input: object, client?: KmsClient): Promise<object> {
  if (client?.takesPlainCommands) return new plainCommands[`${operation}Command`](input)
  commands ??= await loadCommands()
  return new commands[`${operation}Command`](input)
}

async function loadCommands(): Promise<Commands> {
  try {
    return (await import("@aws-sdk/client-kms")) as unknown as Commands
  } catch (error) {
    const { code } = error as { code?: unknown }
    if (code !== "ERR_MODULE_NOT_FOUND" && code !== "MODULE_NOT_FOUND") throw error
    return plainCommands
  }
}

const plainCommands: Commands = {
  GenerateDataKeyCommand: /* @__PURE__ */ plainCommand("GenerateDataKeyCommand"),
  GenerateDataKeyWithoutPlaintextCommand: /* @__PURE__ */ plainCommand("GenerateDataKeyWithoutPlaintextCommand"),
  EncryptCommand: /* @__PURE__ */ plainCommand("EncryptCommand"),
  DecryptCommand: /* @__PURE__ */ plainCommand("DecryptCommand"),
  DescribeKeyCommand: /* @__PURE__ */ plainCommand("DescribeKeyCommand"),
  ReEncryptCommand: /* @__PURE__ */ plainCommand("ReEncryptCommand"),
}

function plainCommand(name: string): CommandClass {
  const Command = class {
    readonly input: object
    constructor(input: object) {
      this.input = input
    }
  }
  // Set as a string: minifiers rename classes, and clients go by the name.
  Object.defineProperty(Command, "name", { value: name })
  return Command
}
