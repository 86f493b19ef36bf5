/**
 * Declarative input shapes: what AWS's service model says of each member (lengths, ranges, patterns, enums). One table
 * gives the static type of a request, its decoding from JSON, its validation, and what the audit trail may show.
 */
interface MemberBase {
  /** Shown in no validation text and in no audit event. */
  readonly sensitive?: true
  readonly required?: true
}
export interface StringMember extends MemberBase {
  readonly type: "string"
  readonly min?: number
  readonly max?: number
  readonly pattern?: RegExp
  readonly values?: readonly string[]
  /** The set as AWS's text lists it, where that differs in order or extent from `values`. */
  readonly shownValues?: readonly string[]
}
export interface BlobMember extends MemberBase {
  readonly type: "blob"
  readonly min: number
  readonly max: number
}
export interface IntegerMember extends MemberBase {
  readonly type: "integer"
  readonly min: number
  readonly max: number
}
export interface BooleanMember extends MemberBase {
  readonly type: "boolean"
}
/** Seconds since 1970 in JSON, a `Date` in an SDK command. */
export interface TimestampMember extends MemberBase {
  readonly type: "timestamp"
}
export interface ListMember extends MemberBase {
  readonly type: "list"
  readonly of: Member
  readonly max?: number
}
export interface MapMember extends MemberBase {
  readonly type: "map"
}
export interface StructureMember extends MemberBase {
  readonly type: "structure"
  readonly members: Shape
}
export type Member =
  | StringMember
  | BlobMember
  | IntegerMember
  | BooleanMember
  | TimestampMember
  | ListMember
  | MapMember
  | StructureMember

export type Shape = { readonly [name: string]: Member }

type ValueOf<M> = M extends { type: "string"; values: readonly (infer V)[] }
  ? V
  : M extends { type: "string" }
    ? string
    : M extends { type: "blob" }
      ? Uint8Array
      : M extends { type: "integer" }
        ? number
        : M extends { type: "boolean" }
          ? boolean
          : M extends { type: "timestamp" }
            ? Date
            : M extends { type: "map" }
              ? Readonly<Record<string, string>>
              : M extends { type: "list"; of: infer Item }
                ? readonly ValueOf<Item>[]
                : M extends { type: "structure"; members: infer S }
                  ? InputOf<S>
                  : never

type RequiredNames<S> = { [K in keyof S]: S[K] extends { required: true } ? K : never }[keyof S]

/** The static type of a validated request of this shape. */
export type InputOf<S> = { readonly [K in RequiredNames<S>]: ValueOf<S[K]> } & {
  readonly [K in Exclude<keyof S, RequiredNames<S>>]?: ValueOf<S[K]> | undefined
}

// Members that several operations share.

export const keyId = { type: "string", min: 1, max: 2048 } as const
export const requiredKeyId = { ...keyId, required: true } as const
export const keyMaterialId = { type: "string", min: 64, max: 64, pattern: /^[a-f0-9]+$/ } as const
// GRT-6.2: sensitive, so that no error text repeats a token.
const grantToken = { type: "string", min: 1, max: 8192, sensitive: true } as const
export const grantTokens = { type: "list", of: grantToken, max: 10, sensitive: true } as const
export const encryptionContext = { type: "map" } as const
export const dryRun = { type: "boolean" } as const
export const ciphertextBlob = { type: "blob", min: 1, max: 6144 } as const
export const plaintext = { type: "blob", min: 1, max: 4096, sensitive: true } as const
export const limit = { type: "integer", min: 1, max: 1000 } as const
export const marker = { type: "string", min: 1, max: 1024, pattern: /^[\u0020-\u00FF]*$/ } as const
export const recipient = { type: "structure", members: {}, sensitive: true } as const
export const description = { type: "string", min: 0, max: 8192 } as const
export const region = { type: "string", min: 1, max: 32, pattern: /^([a-z]+-){2,3}\d+$/, required: true } as const
export const message = { type: "blob", min: 1, max: 4096, sensitive: true, required: true } as const
export const macAlgorithm = {
  type: "string",
  values: ["HMAC_SHA_384", "HMAC_SHA_256", "HMAC_SHA_224", "HMAC_SHA_512"],
  required: true,
} as const
export const encryptionAlgorithm = {
  type: "string",
  values: ["SYMMETRIC_DEFAULT", "RSAES_OAEP_SHA_1", "RSAES_OAEP_SHA_256", "SM2PKE"],
} as const
export const policy = {
  type: "string",
  min: 1,
  max: 131072,
  // biome-ignore lint/suspicious/noControlCharactersInRegex: AWS's own pattern: tab, line feed and carriage return.
  pattern: /^[\u0009\u000A\u000D\u0020-\u00FF]+$/,
} as const
export const dryRunModifiers = {
  type: "list",
  of: { type: "string", values: ["IGNORE_CIPHERTEXT"] },
} as const
export const tags = {
  type: "list",
  of: {
    type: "structure",
    members: {
      TagKey: { type: "string", min: 1, max: 128, required: true },
      TagValue: { type: "string", min: 0, max: 256, required: true },
    },
  },
} as const
