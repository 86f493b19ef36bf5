import type { EncryptionContext } from "../core/index.ts"
import { getAlias } from "./alias-records.ts"
import type { AuditEvent } from "./audit.ts"
import { type Asker, policyRequest, policySet } from "./authorization.ts"
import { allFindings } from "./grants/findings.ts"
import { grantsOfTokens } from "./grants/tokens.ts"
import { aliasArn, parseKeyReference, type Scope } from "./identifiers.ts"
import { type Key, loadKey } from "./keys.ts"
import {
  describeProblem,
  type Explanation,
  explain,
  findAction,
  type Policy,
  type Replay,
  readPolicy,
  renderExplanation,
  replay,
} from "./policy/index.ts"
import { type Principal, parsePrincipal } from "./principal.ts"
import { type PolicyInput, policyText } from "./principals/manage.ts"
import { knownCaller } from "./principals/records.ts"
import type { AwsService } from "./services.ts"
import type { StoreReader } from "./store/store.ts"
import type { Vault } from "./vault.ts"

/** A request that somebody might make. */
export interface ExplainRequest {
  /** For instance `kms:Decrypt`, or `Decrypt`; of a ReEncrypt `kms:ReEncryptFrom` and `kms:ReEncryptTo`. */
  readonly action: string
  /** The key, by id, ARN, alias or alias ARN. Not for actions that are about no key, such as `kms:ListKeys`. */
  readonly keyId?: string
  /** An alias, for the part of CreateAlias, UpdateAlias and DeleteAlias that is about it: `alias/app`. */
  readonly aliasName?: string
  /** The ARN of an account root, user, role or role session. Default: the root of the KMS's account. */
  readonly principal?: string
  /** Default: the KMS's own. */
  readonly region?: string
  readonly encryptionContext?: EncryptionContext
  /** The AWS service that acts for the principal, for instance `s3`. */
  readonly service?: string
  /** The ARN of the resource on whose behalf the service asks: `aws:SourceArn`, and the constraint `SourceArn` of grants. */
  readonly sourceArn?: string
  /** The grant that a RetireGrant is about. Default: any of the key's. */
  readonly grantId?: string
  readonly sourceIpAddress?: string
  /** Request parameters that policies may ask about, in lower camel case as events show them. */
  readonly parameters?: Readonly<Record<string, unknown>>
  readonly grantTokens?: readonly string[]
  /** Decide by this key policy instead of the key's own. */
  readonly keyPolicy?: PolicyInput
}

/** Why a request is allowed or refused. */
export interface ExplainedRequest extends Explanation {
  /** The same for people. */
  readonly text: string
}

export interface ExplainOrigin {
  readonly scope: Scope
  readonly principal: Principal
  readonly service: AwsService | undefined
  readonly now: number
  /** Reads grant tokens. */
  readonly vault: Vault
}

/** @throws TypeError for an action or a policy that is none; RangeError for a key or a token's grant that is not there */
export function explainRequest(reader: StoreReader, request: ExplainRequest, origin: ExplainOrigin): ExplainedRequest {
  const { scope, principal, service, now, vault } = origin
  const action = findAction(request.action.includes(":") ? request.action : `kms:${request.action}`)
  if (action === undefined) throw new TypeError(`'${request.action}' is no action of AWS KMS, such as kms:Decrypt`)
  const key = request.keyId === undefined ? undefined : existingKey(reader, request.keyId, scope)
  if (key === undefined && request.aliasName === undefined && action.authority !== "identity")
    throw new TypeError(`${action.name} is about a key: name it`)
  const known = knownCaller(reader, principal)
  const { sourceIpAddress, sourceArn, encryptionContext } = request
  const asker: Asker = { known, service, sourceArn, sourceIpAddress, secureTransport: true, region: scope.region, now }
  const asked = policyRequest(reader, asker, {
    action: action.name,
    resource: request.aliasName === undefined ? (key?.arn ?? "*") : aliasArn(scope, request.aliasName),
    resourceAccountId: request.aliasName === undefined ? (key?.scope.accountId ?? scope.accountId) : scope.accountId,
    key: request.aliasName === undefined ? key : undefined,
    reference: request.keyId,
    encryptionContext,
    parameters: request.parameters ?? {},
  })
  const { grantId: retired } = request
  const tokenGrants = readTokens(reader, vault, scope, request.grantTokens ?? [])
  const question = { tokenGrants, retired }
  const policies = policySet(reader, known.identityPolicies, key, question)
  const keyPolicy = request.keyPolicy === undefined ? policies.keyPolicy : readKeyPolicy(request.keyPolicy)
  // The aliases are read while there is something to read them from.
  const facts = asked.key === undefined ? {} : { key: { ...asked.key } }
  const explanation = explain(
    { ...asked, ...facts },
    {
      ...policies,
      ...(keyPolicy === undefined ? {} : { keyPolicy }),
      // Of every grant is told why it does not help, also of those to others.
      ...(key === undefined || retired !== undefined
        ? {}
        : { grants: (asked) => allFindings(reader, key, asked, question) }),
    },
  )
  return { ...explanation, text: renderExplanation(explanation) }
}

function readTokens(reader: StoreReader, vault: Vault, { partition }: Scope, tokens: readonly string[]) {
  try {
    return grantsOfTokens(reader, vault, partition, tokens)
  } catch (cause) {
    throw new RangeError(`there is no grant of a grant token: ${(cause as Error).message}`, { cause })
  }
}

/** @throws TypeError with every problem */
function readKeyPolicy(policy: PolicyInput): Policy {
  const parsed = readPolicy(policyText(policy), "key")
  if (!parsed.ok) throw new TypeError(`the key policy: ${parsed.problems.map(describeProblem).join("; ")}`)
  return parsed.policy
}

/** @throws RangeError for a key that is not there */
export function existingKey(reader: StoreReader, keyId: string, scope: Scope): Key {
  const reference = readReference(keyId, scope)
  const owner = { ...scope, accountId: reference.accountId }
  const id = reference.kind === "key" ? reference.keyId : getAlias(reader, owner, reference.aliasName)?.targetKeyId
  const key = id === undefined ? undefined : loadKey(reader, owner, id)
  if (key === undefined) throw new RangeError(`there is no key ${keyId}`)
  return key
}

function readReference(keyId: string, scope: Scope) {
  try {
    return parseKeyReference(keyId, scope, true)
  } catch (cause) {
    throw new RangeError(`there is no key ${keyId}: ${(cause as Error).message}`, { cause })
  }
}

/** What a new policy would have answered to the recorded calls about a key, with today's identity policies and grants. */
export function replayPolicy(
  reader: StoreReader,
  keyId: string,
  policy: PolicyInput,
  events: readonly AuditEvent[],
  scope: Scope,
): Replay {
  const parsed = readKeyPolicy(policy)
  const key = existingKey(reader, keyId, scope)
  const { grants } = policySet(reader, [], key, { tokenGrants: new Set() })
  return replay(parsed, events, {
    keyArn: key.arn,
    identityPolicies: ({ identityArn }) => knownCaller(reader, parsePrincipal(identityArn)).identityPolicies,
    ...(grants === undefined ? {} : { grants }),
  })
}
