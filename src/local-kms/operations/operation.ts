import type { Call } from "../call.ts"
import { invalidKeyUsage } from "../faults.ts"
import type { KeyUsage } from "../key-specs.ts"
import type { StateRule } from "../key-state.ts"
import type { Key } from "../keys.ts"
import type { InputOf, Shape } from "../shapes.ts"

/** A reply as the SDK shows it: blobs as `Uint8Array`, times as `Date`. */
export type Output = Record<string, unknown>

/** One row of the table of operations: all that dispatching, validating, authorising and auditing need to know. */
export interface Operation {
  readonly input: Shape
  /** As the audit event says; read-only operations change no key. */
  readonly readOnly: boolean
  /** @throws KmsFault; everything the handler wrote is undone then */
  handle(input: Readonly<Record<string, unknown>>, call: Call): Output
}

interface OperationSpec<S extends Shape> {
  readonly input: S
  readonly readOnly: boolean
  handle(input: InputOf<S>, call: Call): Output
}

/** Ties a handler's input type to its shape. */
export const operation = <const S extends Shape>(spec: OperationSpec<S>): Operation => spec as unknown as Operation

interface KeyOperationSpec<S extends Shape & { readonly KeyId: { readonly type: "string"; readonly required: true } }> {
  readonly input: S
  readonly readOnly: boolean
  /** Default false: a key is managed by its id or ARN. */
  readonly allowAlias?: boolean
  readonly rule: StateRule
  /** The usage that the key must be for. */
  readonly usage?: KeyUsage
  handle(input: InputOf<S>, call: Call, key: Key): Output
}

/** @throws KmsFault `InvalidKeyUsageException` */
export function requireUsage(key: Key, usage: KeyUsage, operationName: string): void {
  if (key.keyUsage !== usage)
    throw invalidKeyUsage(`${key.arn} key usage is ${key.keyUsage} which is not valid for ${operationName}.`)
}

/**
 * An operation on the one key that `KeyId` names: the key is found, the caller authorised for `kms:` and the operation's
 * name, and the key's state checked before the handler runs. What changes a key answers the audit with its ARN.
 */
export function keyOperation<
  const S extends Shape & { readonly KeyId: { readonly type: "string"; readonly required: true } },
>(spec: KeyOperationSpec<S>): Operation {
  return {
    input: spec.input,
    readOnly: spec.readOnly,
    handle(input, call) {
      const key = call.useKey(input.KeyId as string, {
        action: `kms:${call.operation}`,
        allowAlias: spec.allowAlias ?? false,
        rule: spec.rule,
        encryptionContext: input.EncryptionContext as Record<string, string> | undefined,
      })
      if (spec.usage !== undefined) requireUsage(key, spec.usage, call.operation)
      const output = spec.handle(input as InputOf<S>, call, key)
      if (!spec.readOnly) call.notes.response ??= { keyId: key.arn }
      return output
    },
  }
}
