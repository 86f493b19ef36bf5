import { allocate } from "../core/index.ts"
import { type KmsFault, serialization, validation } from "./faults.ts"
import type { BlobMember, InputOf, IntegerMember, ListMember, Member, Shape, StringMember } from "./shapes.ts"

/**
 * Decodes and validates a request. Members the shape does not name are ignored and `null` counts as absent, as in AWS's
 * JSON protocols; every broken constraint is listed in one reply, in AWS's words.
 *
 * @param raw parsed JSON (blobs in base64), or the input of an SDK command (blobs as bytes)
 * @throws KmsFault `SerializationException` for a wrong type, `ValidationException` for a broken constraint
 */
export function readInput<S extends Shape>(shape: S, raw: unknown): InputOf<S> {
  const problems: string[] = []
  const input = readStructure(shape, raw, "", problems)
  if (problems.length > 0) throw invalid(problems)
  return input as InputOf<S>
}

const invalid = (problems: readonly string[]): KmsFault =>
  validation(
    `${problems.length} validation error${problems.length === 1 ? "" : "s"} detected: ${problems.slice(0, 10).join("; ")}`,
  )

/** AWS names members in lower camel case: `numberOfBytes`, `tags.1.member.tagKey`. */
export const lowerCamel = (name: string): string => name.charAt(0).toLowerCase() + name.slice(1)

function readStructure(shape: Shape, raw: unknown, path: string, problems: string[]): Record<string, unknown> {
  if (typeof raw !== "object" || raw === null || Array.isArray(raw)) throw wrongType(raw, "a structure")
  const input: Record<string, unknown> = {}
  for (const [name, member] of Object.entries(shape)) {
    const value = (raw as Record<string, unknown>)[name]
    const memberPath = path + lowerCamel(name)
    if (value !== undefined && value !== null) input[name] = readMember(member, value, memberPath, problems)
    else if (member.required) problems.push(problem("Value null", memberPath, "Member must not be null"))
  }
  return input
}

function readMember(member: Member, raw: unknown, path: string, problems: string[]): unknown {
  switch (member.type) {
    case "string":
      return checkString(member, expectType(raw, "string", "a String"), path, problems)
    case "blob":
      return checkBlob(member, readBlob(raw), path, problems)
    case "integer":
      return checkInteger(member, expectType(raw, "number", "an Integer"), path, problems)
    case "boolean":
      return expectType(raw, "boolean", "a Boolean")
    case "timestamp":
      return readTimestamp(raw)
    case "map":
      return readMap(raw)
    case "list":
      return readList(member, raw, path, problems)
    case "structure":
      return readStructure(member.members, raw, `${path}.`, problems)
  }
}

interface Types {
  string: string
  number: number
  boolean: boolean
}

function expectType<T extends keyof Types>(raw: unknown, type: T, wanted: string): Types[T] {
  if (typeof raw !== type) throw wrongType(raw, wanted)
  return raw as Types[T]
}

function wrongType(raw: unknown, wanted: string): KmsFault {
  const kind = Array.isArray(raw)
    ? "START_ARRAY"
    : typeof raw === "object"
      ? "START_OBJECT"
      : `${(typeof raw).toUpperCase()}_VALUE`
  return serialization(`${kind} can not be converted to ${wanted}`)
}

const problem = (what: string, path: string, constraint: string): string =>
  `${what} at '${path}' failed to satisfy constraint: ${constraint}`

const shown = (member: Member, value: string): string => (member.sensitive ? "Value" : `Value '${value}'`)

function checkString(member: StringMember, value: string, path: string, problems: string[]): string {
  const fail = (constraint: string): number => problems.push(problem(shown(member, value), path, constraint))
  checkLength(member, value.length, fail)
  if (member.pattern !== undefined && !member.pattern.test(value))
    fail(`Member must satisfy regular expression pattern: ${member.pattern.source}`)
  if (member.values !== undefined && !member.values.includes(value))
    fail(`Member must satisfy enum value set: [${(member.shownValues ?? member.values).join(", ")}]`)
  return value
}

function checkLength(
  limits: { readonly min?: number | undefined; readonly max?: number | undefined },
  length: number,
  fail: (constraint: string) => unknown,
): void {
  if (limits.min !== undefined && length < limits.min)
    fail(`Member must have length greater than or equal to ${limits.min}`)
  if (limits.max !== undefined && length > limits.max)
    fail(`Member must have length less than or equal to ${limits.max}`)
}

function checkInteger(member: IntegerMember, value: number, path: string, problems: string[]): number {
  if (!Number.isInteger(value)) throw serialization("DECIMAL_VALUE can not be converted to an Integer")
  const fail = (constraint: string): number => problems.push(problem(shown(member, String(value)), path, constraint))
  if (value < member.min) fail(`Member must have value greater than or equal to ${member.min}`)
  if (value > member.max) fail(`Member must have value less than or equal to ${member.max}`)
  return value
}

function checkBlob(member: BlobMember, value: Uint8Array, path: string, problems: string[]): Uint8Array {
  // AWS prints how its own runtime shows a byte buffer.
  const text = `java.nio.HeapByteBuffer[pos=0 lim=${value.length} cap=${value.length}]`
  checkLength(member, value.length, (constraint) => problems.push(problem(shown(member, text), path, constraint)))
  return value
}

const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/

/** Bytes as they are, or base64 decoded into memory of its own. */
function readBlob(raw: unknown): Uint8Array {
  if (raw instanceof Uint8Array) return raw
  if (typeof raw !== "string") throw wrongType(raw, "a Blob")
  if (!BASE64.test(raw)) throw serialization("A blob is not valid base64")
  const padding = raw.endsWith("==") ? 2 : raw.endsWith("=") ? 1 : 0
  const bytes = allocate((raw.length / 4) * 3 - padding)
  Buffer.from(bytes.buffer).write(raw, "base64")
  return bytes
}

function readTimestamp(raw: unknown): Date {
  const date = raw instanceof Date ? raw : new Date(expectType(raw, "number", "a Timestamp") * 1000)
  if (Number.isNaN(date.getTime())) throw serialization("A timestamp is out of range")
  return date
}

function readMap(raw: unknown): Record<string, string> {
  if (typeof raw !== "object" || raw === null || Array.isArray(raw)) throw wrongType(raw, "a Map")
  // Without a prototype: a pair named __proto__ is a pair like any other.
  const map: Record<string, string> = Object.create(null)
  for (const [key, value] of Object.entries(raw)) map[key] = expectType(value, "string", "a String")
  return map
}

function readList(member: ListMember, raw: unknown, path: string, problems: string[]): unknown[] {
  if (!Array.isArray(raw)) throw wrongType(raw, "a List")
  checkLength({ max: member.max }, raw.length, (constraint) =>
    problems.push(problem(shown(member, `[${raw.join(", ")}]`), path, constraint)),
  )
  return raw.map((item, index) => readMember(member.of, item, `${path}.${index + 1}.member`, problems))
}
