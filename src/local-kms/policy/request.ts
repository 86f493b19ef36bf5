import type { EncryptionContext } from "../../core/index.ts"

/** Who asks, as policies see it. */
export interface Caller {
  readonly type: "Root" | "IAMUser" | "AssumedRole" | "FederatedUser" | "AWSService"
  readonly accountId: string
  /** Of a role: the session's ARN. Of a service: its name, for instance `logs.us-east-1.amazonaws.com`. */
  readonly arn: string
  /** Of the user, or of the role behind the session. */
  readonly identityArn: string
  /** Of the user or role. */
  readonly name: string
  /** `aws:userid`: `AIDA…` of a user, `AROA…:session` of a role. */
  readonly userId?: string
  /** Tags of the user or role, and of the session, which win. */
  readonly tags?: Readonly<Record<string, string>>
  /** The identity provider of a federated session. */
  readonly federatedProvider?: string
}

/** What policies may ask about a key. */
export interface KeyFacts {
  readonly origin: string
  readonly keySpec: string
  readonly keyUsage: string
  readonly multiRegion: boolean
  readonly multiRegionKeyType?: "PRIMARY" | "REPLICA"
  readonly tags?: Readonly<Record<string, string>>
  /** Names of its aliases, with `alias/`. */
  readonly aliases?: readonly string[]
}

/** One question: may this caller do this? ReEncrypt asks two, alias operations ask for the alias and for the key. */
export interface PolicyRequest {
  readonly caller: Caller
  /** For instance `kms:Decrypt`. */
  readonly action: string
  /** The ARN of a key or an alias; `*` where an action has no resource. */
  readonly resource: string
  /** Twelve digits. */
  readonly resourceAccountId: string
  /** Of the key, or of the key that CreateKey is asked for. */
  readonly key?: KeyFacts
  readonly encryptionContext?: EncryptionContext
  /**
   * Every further condition key the request has, with its value or values, for instance `kms:ViaService` or
   * `aws:SourceIp`. Whoever builds the request vouches for them: none may come from the caller's word alone.
   */
  readonly conditions?: Readonly<Record<string, string | readonly string[]>>
  /** Milliseconds since 1970. */
  readonly now: number
}

const KEY_ARN = /^arn:[^:]+:kms:[^:]*:\d{12}:key\//

/** Requests on an alias, and on nothing in particular, are a matter of identity policies alone (POL-6.7). */
export const isKeyRequest = ({ resource }: PolicyRequest): boolean => KEY_ARN.test(resource)
