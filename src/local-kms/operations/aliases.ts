import { type AliasRecord, aliasNamesOf, aliasPath, getAlias, putAlias, removeAlias } from "../alias-records.ts"
import type { Call } from "../call.ts"
import { alreadyExists, invalidAliasName, limitExceeded, notAuthorized, notFound, validation } from "../faults.ts"
import { aliasArn } from "../identifiers.ts"
import type { StateRule } from "../key-state.ts"
import type { Key } from "../keys.ts"
import { readPage } from "../paging.ts"
import { predefinedServices } from "../services.ts"
import * as shape from "../shapes.ts"
import { type Operation, type Output, operation } from "./operation.ts"

const LIST_ALIASES_PAGE = 50
const LIST_ALIASES_MAX = 100

const aliasName = { type: "string", min: 1, max: 256, pattern: /^[a-zA-Z0-9:/_-]+$/, required: true } as const

/** @throws KmsFault for a name that no alias of a customer may have */
function checkAliasName(name: string): void {
  if (!name.startsWith("alias/"))
    throw validation(
      'Alias must start with the prefix "alias/". Please see ' +
        "https://docs.aws.amazon.com/kms/latest/developerguide/kms-alias.html",
    )
  if (name.startsWith("alias/aws/")) throw notAuthorized("Names beginning with alias/aws/ are reserved.")
  if (name.includes(":")) throw validation(`${name} contains invalid characters for an alias`)
  if (name === "alias/" || name.endsWith("/")) throw invalidAliasName(`${name} is not a valid alias name.`)
}

function existingAlias(call: Call, name: string): AliasRecord {
  const alias = getAlias(call.tx, call.scope, name)
  if (alias === undefined) throw notFound(`Alias ${aliasArn(call.scope, name)} is not found.`)
  return alias
}

/** The key an alias is to point to, which may be named by id or ARN only and must be in the caller's account. */
function targetKey(call: Call, reference: string, rule: StateRule): Key {
  const key = call.useKey(reference, { action: `kms:${call.operation}`, allowAlias: false, rule })
  if (key.scope.accountId !== call.scope.accountId) throw notFound(`Invalid keyId '${reference}'`)
  return key
}

/** @throws KmsFault `LimitExceededException` when a key has all the aliases it may have */
function requireAliasQuota(call: Call, key: Key): void {
  const { aliasesPerKey } = call.quotas
  if (aliasNamesOf(call.tx, key.scope, key.keyId, aliasesPerKey).length >= aliasesPerKey)
    throw limitExceeded(`${key.arn} has reached its quota of ${aliasesPerKey} aliases.`)
}

function changed(call: Call, key: Key | undefined): Output {
  call.notes.response = key === undefined ? null : { keyId: key.arn }
  return {}
}

const CreateAlias = operation({
  input: { AliasName: aliasName, TargetKeyId: shape.requiredKeyId },
  readOnly: false,
  handle({ AliasName, TargetKeyId }, call) {
    checkAliasName(AliasName)
    call.authorizeAlias(AliasName, "kms:CreateAlias")
    const key = targetKey(call, TargetKeyId, "manage")
    if (getAlias(call.tx, call.scope, AliasName) !== undefined)
      throw alreadyExists(`An alias with the name ${aliasArn(call.scope, AliasName)} already exists`)
    requireAliasQuota(call, key)
    const record: AliasRecord = { targetKeyId: key.keyId, createdAt: call.now, updatedAt: call.now }
    putAlias(call.tx, call.scope, AliasName, record)
    return changed(call, key)
  },
})

const UpdateAlias = operation({
  input: { AliasName: aliasName, TargetKeyId: shape.requiredKeyId },
  readOnly: false,
  handle({ AliasName, TargetKeyId }, call) {
    checkAliasName(AliasName)
    call.authorizeAlias(AliasName, "kms:UpdateAlias")
    const alias = existingAlias(call, AliasName)
    const before = call.keys.load(call.scope, alias.targetKeyId)
    if (before !== undefined) call.authorizeKey(before, "kms:UpdateAlias")
    const key = targetKey(call, TargetKeyId, "manage")
    if (before !== undefined && (before.keySpec !== key.keySpec || before.keyUsage !== key.keyUsage))
      throw validation(`${AliasName} stands for a key of another type or usage than ${key.arn}.`)
    if (alias.targetKeyId !== key.keyId) requireAliasQuota(call, key)
    putAlias(call.tx, call.scope, AliasName, { ...alias, targetKeyId: key.keyId, updatedAt: call.now })
    return changed(call, key)
  },
})

const DeleteAlias = operation({
  input: { AliasName: aliasName },
  readOnly: false,
  handle({ AliasName }, call) {
    checkAliasName(AliasName)
    call.authorizeAlias(AliasName, "kms:DeleteAlias")
    const alias = existingAlias(call, AliasName)
    const key = call.keys.load(call.scope, alias.targetKeyId)
    if (key !== undefined) call.authorizeKey(key, "kms:DeleteAlias")
    removeAlias(call.tx, call.scope, AliasName)
    return changed(call, key)
  },
})

const ListAliases = operation({
  input: { KeyId: shape.keyId, Limit: shape.limit, Marker: shape.marker },
  readOnly: true,
  handle(input, call) {
    call.authorize("kms:ListAliases")
    const keyId = input.KeyId === undefined ? undefined : call.findKey(input.KeyId, false).keyId
    const limit = Math.min(input.Limit ?? LIST_ALIASES_PAGE, LIST_ALIASES_MAX)
    const prefix = aliasPath(call.scope, "")
    const page = readPage("ListAliases", prefix, limit, input.Marker, (after) => matchingAliases(call, keyId, after))
    return {
      Aliases: page.items,
      Truncated: page.nextMarker !== undefined,
      ...(page.nextMarker === undefined ? {} : { NextMarker: page.nextMarker }),
    }
  },
})

function* matchingAliases(call: Call, keyId: string | undefined, after: string | undefined) {
  const prefix = aliasPath(call.scope, "")
  if (keyId !== undefined) {
    for (const name of aliasNamesOf(call.tx, call.scope, keyId))
      if (after === undefined || prefix + name > after)
        yield [prefix + name, aliasEntry(call, name, getAlias(call.tx, call.scope, name)!)] as const
    return
  }
  // AWS names its own aliases before there is a key that they stand for.
  const waiting = predefinedServices.map((name) => `alias/aws/${name}`)
  const isNext = (name: string): boolean => prefix + name > (after ?? "") && !getAlias(call.tx, call.scope, name)
  const unmade = waiting.filter(isNext)
  for (const [path, alias] of call.tx.range<AliasRecord>(prefix, after === undefined ? {} : { after })) {
    while (unmade[0] !== undefined && prefix + unmade[0] < path) yield unmadeEntry(call, prefix, unmade.shift()!)
    yield [path, aliasEntry(call, path.slice(prefix.length), alias)] as const
  }
  for (const name of unmade) yield unmadeEntry(call, prefix, name)
}

const unmadeEntry = (call: Call, prefix: string, name: string) =>
  [prefix + name, { AliasName: name, AliasArn: aliasArn(call.scope, name) }] as const

const aliasEntry = (call: Call, name: string, alias: AliasRecord): Output => ({
  AliasName: name,
  AliasArn: aliasArn(call.scope, name),
  TargetKeyId: alias.targetKeyId,
  CreationDate: new Date(alias.createdAt),
  LastUpdatedDate: new Date(alias.updatedAt),
})

export const aliases: Record<string, Operation> = { CreateAlias, UpdateAlias, DeleteAlias, ListAliases }
