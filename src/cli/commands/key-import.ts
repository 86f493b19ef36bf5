import { wipe } from "../../crypto/index.ts"
import { CliError, usageError } from "../failures.ts"
import { print } from "../fd.ts"
import { keyArn } from "../keys.ts"
import type { Kms } from "../kms.ts"
import { note } from "../messages.ts"
import type { CommonOptions } from "../options.ts"
import { openSource } from "../source.ts"
import { toJson } from "../text.ts"
import { withKms } from "./requests.ts"

export interface ImportOptions extends CommonOptions {
  readonly validDays?: number
  readonly new?: boolean
}

/** No key spec has more. */
const MAX_MATERIAL = 64
const DAY_MS = 86_400_000
const WRAPPING_ALGORITHM = "RSAES_OAEP_SHA_256"

interface ImportParameters {
  readonly ImportToken: Uint8Array
  readonly PublicKey: Uint8Array
}

/** Wraps the material of a file here and sends it to KMS. */
export async function keyImportCommand(key: string, file: string | undefined, options: ImportOptions): Promise<void> {
  const material = await readMaterial(file)
  try {
    await withKms(options, {}, async (kms) => importMaterial(kms, await keyArn(kms, key), material, options))
  } finally {
    wipe(material)
  }
}

async function importMaterial(kms: Kms, arn: string, material: Uint8Array, options: ImportOptions): Promise<void> {
  const { wrapKeyMaterial } = await import("../../local-kms/index.ts")
  const { ImportToken, PublicKey } = await kms.send<ImportParameters>("GetParametersForImport", {
    KeyId: arn,
    WrappingAlgorithm: WRAPPING_ALGORITHM,
    WrappingKeySpec: "RSA_4096",
  })
  const { validDays } = options
  const { KeyMaterialId } = await kms.send<{ KeyMaterialId?: string }>("ImportKeyMaterial", {
    KeyId: arn,
    ImportToken,
    EncryptedKeyMaterial: wrapKeyMaterial(material, PublicKey, WRAPPING_ALGORITHM),
    ...(options.new && { ImportType: "NEW_KEY_MATERIAL" }),
    ...(validDays === undefined
      ? { ExpirationModel: "KEY_MATERIAL_DOES_NOT_EXPIRE" }
      : { ExpirationModel: "KEY_MATERIAL_EXPIRES", ValidTo: new Date(Date.now() + validDays * DAY_MS) }),
  })
  if (options.json) return print(toJson({ keyArn: arn, keyMaterialId: KeyMaterialId }))
  note(`${arn} has the key material ${KeyMaterialId ?? "of the file"}; keep the file, where nobody else can read it`)
}

/** @returns the material, in memory of its own */
async function readMaterial(file: string | undefined): Promise<Uint8Array> {
  const source = await openSource(file)
  const material = new Uint8Array(MAX_MATERIAL)
  let length = 0
  for await (const chunk of source.chunks) {
    const fits = length + chunk.length <= MAX_MATERIAL
    if (fits) material.set(chunk, length)
    length += chunk.length
    wipe(chunk)
    if (!fits) {
      wipe(material)
      throw new CliError("usage", `${source.name} is too long for key material`, {
        hint: `it is ${"32 bytes for a symmetric key"}, as they are: openssl rand 32 > material`,
      })
    }
  }
  if (length === 0) throw usageError(`${source.name} is empty`)
  const exact = material.slice(0, length)
  wipe(material)
  return exact
}
