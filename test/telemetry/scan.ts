/** Something that must not be found, in all the forms it could have. */
export interface Secret {
  readonly name: string
  readonly bytes: Uint8Array
}

/**
 * Looks for secrets in everything that can be reached from a value: own properties (hidden and symbol ones too), array
 * elements, map entries, error causes, bytes of every kind of view.
 *
 * @returns where each was found, as `payload.error.cause: data key as base64`
 */
export function findSecrets(value: unknown, secrets: readonly Secret[]): string[] {
  const found: string[] = []
  const seen = new Set<unknown>()
  const forms = secrets.map(formsOf)

  const visitText = (text: string, path: string): void => {
    for (const { name, texts } of forms) {
      for (const [form, needle] of texts) {
        if ((form === "hex" ? text.toLowerCase() : text).includes(needle)) found.push(`${path}: ${name} as ${form}`)
      }
    }
  }
  const visitBytes = (bytes: Uint8Array, path: string): void => {
    const haystack = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    for (const { name, bytes: needle } of secrets) {
      if (haystack.includes(Buffer.from(needle))) found.push(`${path}: ${name} as bytes`)
    }
  }
  const visit = (one: unknown, path: string): void => {
    if (typeof one === "string") visitText(one, path)
    else if (ArrayBuffer.isView(one)) visitBytes(new Uint8Array(one.buffer, one.byteOffset, one.byteLength), path)
    else if (one instanceof ArrayBuffer) visitBytes(new Uint8Array(one), path)
    else if ((typeof one === "object" || typeof one === "function") && one !== null) visitMembers(one, path)
  }
  const visitMembers = (one: object, path: string): void => {
    if (seen.has(one)) return
    seen.add(one)
    if (isByteArray(one)) visitBytes(Uint8Array.from(one), path)
    if (one instanceof Map || one instanceof Set) {
      for (const [i, entry] of [...one].entries()) visit(entry, `${path}[${i}]`)
    }
    for (const key of Reflect.ownKeys(one)) {
      visit(
        attempt(() => (one as Record<PropertyKey, unknown>)[key]),
        `${path}.${String(key)}`,
      )
    }
  }
  visit(value, "payload")
  return found
}

function formsOf({ name, bytes }: Secret) {
  const buffer = Buffer.from(bytes)
  const base64 = buffer.toString("base64").replace(/=+$/, "")
  const base64url = buffer.toString("base64url")
  const texts: [form: string, text: string][] = [
    ["hex", buffer.toString("hex")],
    ["base64", base64],
    ["latin1", buffer.toString("latin1")],
    ["utf8", buffer.toString("utf8")],
    ["a list of numbers", buffer.join(",")],
    ["a list of numbers", buffer.join(", ")],
  ]
  if (base64url !== base64) texts.push(["base64url", base64url])
  return { name, texts }
}

const isByteArray = (value: unknown): value is number[] =>
  Array.isArray(value) && value.length > 0 && value.every((one) => Number.isInteger(one) && one >= 0 && one < 256)

function attempt(read: () => unknown): unknown {
  try {
    return read()
  } catch {
    return undefined
  }
}
