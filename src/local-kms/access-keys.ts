import {
  type AccessKey,
  type AccessKeyOptions,
  createAccessKey,
  deleteAccessKey,
  listAccessKeys,
  type NewAccessKey,
  setAccessKeyStatus,
} from "./credentials.ts"
import type { Store } from "./store/store.ts"
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

export const accessKeys = (store: Store, vault: Vault, clock: () => number): AccessKeys => ({
  create: (options) => store.transaction((tx) => createAccessKey(tx, vault, options, clock())),
  list: async (principal) => store.read((reader) => listAccessKeys(reader, principal)),
  enable: (accessKeyId) => store.transaction((tx) => setAccessKeyStatus(tx, accessKeyId, "Active")),
  disable: (accessKeyId) => store.transaction((tx) => setAccessKeyStatus(tx, accessKeyId, "Inactive")),
  delete: (accessKeyId) => store.transaction((tx) => deleteAccessKey(tx, accessKeyId)),
})
