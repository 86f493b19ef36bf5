import {
  type AccessKey,
  type AccessKeyOptions,
  createAccessKey,
  deleteAccessKey,
  listAccessKeys,
  type NewAccessKey,
  setAccessKeyStatus,
} from "./credentials.ts"
import { iamEvent } from "./iam-events.ts"
import type { Store, StoreTransaction } from "./store/store.ts"
import { appendEvent, type Trail } from "./trail/append.ts"
import type { Vault } from "./vault.ts"

/** The access keys that sign requests to `kms.listen()`. In process nobody needs one. */
export interface AccessKeys {
  /** @throws TypeError for options that are none; RangeError for an id that is taken */
  create(options: AccessKeyOptions): Promise<NewAccessKey>
  /** @param principal only the keys of this ARN */
  list(principal?: string): Promise<AccessKey[]>
  /** @throws RangeError for an unknown key, as the others do */
  enable(accessKeyId: string): Promise<void>
  /** Requests signed with it are refused from now on. */
  disable(accessKeyId: string): Promise<void>
  delete(accessKeyId: string): Promise<void>
}

export const accessKeys = (store: Store, vault: Vault, trail: Trail, clock: () => number): AccessKeys => {
  const setStatus = (accessKeyId: string, status: AccessKey["status"]) =>
    store.transaction((tx) => {
      const { principal } = setAccessKeyStatus(tx, accessKeyId, status)
      const change = { eventName: "UpdateAccessKey", arn: principal, parameters: { accessKeyId, status } }
      appendEvent(tx, iamEvent(clock(), change), trail)
    })
  return {
    create: (options) =>
      store.transaction((tx) => {
        const key = createAccessKey(tx, vault, options, clock())
        noteCreatedKey(tx, key, trail, clock())
        return key
      }),
    list: async (principal) => store.read((reader) => listAccessKeys(reader, principal)),
    enable: (accessKeyId) => setStatus(accessKeyId, "Active"),
    disable: (accessKeyId) => setStatus(accessKeyId, "Inactive"),
    delete: (accessKeyId) => store.transaction((tx) => endAccessKey(tx, accessKeyId, trail, clock())),
  }
}

/** AUD-1.8. */
export function noteCreatedKey(tx: StoreTransaction, key: AccessKey, trail: Trail, now: number): void {
  const { accessKeyId, principal, service, status } = key
  const change = {
    eventName: "CreateAccessKey",
    arn: principal,
    ...(service === undefined ? {} : { parameters: { service } }),
    response: { accessKey: { accessKeyId, status } },
  }
  appendEvent(tx, iamEvent(now, change), trail)
}

/** @throws RangeError when there is no such key */
export function endAccessKey(tx: StoreTransaction, accessKeyId: string, trail: Trail, now: number): void {
  const { principal } = deleteAccessKey(tx, accessKeyId)
  appendEvent(tx, iamEvent(now, { eventName: "DeleteAccessKey", arn: principal, parameters: { accessKeyId } }), trail)
}
