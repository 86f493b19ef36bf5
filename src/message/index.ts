export { type Decrypted, decrypt } from "./decrypt.ts"
export { encrypt } from "./encrypt.ts"
export type { MessageHeader, MessageWrappedKey } from "./header-info.ts"
export { type Inspected, type InspectOptions, inspect } from "./inspect.ts"
export type { DecryptOptions, EncryptOptions } from "./options.ts"
export {
  type DecryptStreamOptions,
  decryptStream,
  decryptTransform,
  type EncryptStreamOptions,
  encryptStream,
  encryptTransform,
  type MessageStream,
  type MessageTransformStream,
} from "./streams.ts"
