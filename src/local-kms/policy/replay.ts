import type { AuditEvent } from "../audit.ts"
import type { Policy } from "./document.ts"
import { type AttachedPolicy, type Decision, evaluate, type GrantFinding } from "./evaluate.ts"
import { recordedRequests } from "./recorded-request.ts"
import type { Caller, KeyFacts, PolicyRequest } from "./request.ts"

export interface ReplayOptions {
  /** The key whose policy is to change. Events about other keys are left out. */
  readonly keyArn: string
  readonly key?: KeyFacts
  /** The identity policies that count for a caller, today's: events do not tell. */
  readonly identityPolicies: (caller: Caller) => readonly AttachedPolicy[]
  /** Today's grants; without them, calls that a grant allowed appear as refused. */
  readonly grants?: (request: PolicyRequest) => Iterable<GrantFinding>
}

export interface ReplayedCall {
  readonly event: AuditEvent
  /** For instance `kms:Decrypt`; a ReEncrypt asks once for each side that is this key. */
  readonly action: string
  readonly caller: string
  readonly decision: Decision
}

export interface Replay {
  /** Succeeded, or failed for another reason, and would be refused. */
  readonly refused: readonly ReplayedCall[]
  /** Were refused, and would be allowed by this key's policy. */
  readonly newlyAllowed: readonly ReplayedCall[]
  /** How many events are decided as they were. */
  readonly unchanged: number
  /** Events about the key that cannot be replayed, for instance of a caller that no policy knows. */
  readonly skipped: readonly AuditEvent[]
}

/** What a new key policy would have answered to recorded calls (POL-11.1). */
export function replay(policy: Policy, events: readonly AuditEvent[], options: ReplayOptions): Replay {
  const refused: ReplayedCall[] = []
  const newlyAllowed: ReplayedCall[] = []
  const skipped: AuditEvent[] = []
  let unchanged = 0
  for (const event of events) {
    if (event.eventType !== "AwsApiCall" || !event.resources?.some(({ ARN }) => ARN === options.keyArn)) continue
    const requests = recordedRequests(event, options.keyArn, options.key)
    if (requests === undefined) {
      skipped.push(event)
      continue
    }
    const calls = requests.map((request): ReplayedCall => {
      const decision = evaluate(request, {
        keyPolicy: policy,
        identityPolicies: options.identityPolicies(request.caller),
        ...(options.grants === undefined ? {} : { grants: options.grants }),
      })
      return { event, action: request.action, caller: request.caller.arn, decision }
    })
    const refusals = calls.filter(({ decision }) => !decision.allowed)
    const wasRefused = event.errorCode === "AccessDenied"
    if (wasRefused === refusals.length > 0) unchanged++
    else if (wasRefused) newlyAllowed.push(...calls)
    else refused.push(...refusals)
  }
  return { refused, newlyAllowed, unchanged, skipped }
}
