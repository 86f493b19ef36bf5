export { type Decrypted, decrypt, decryptInto } from "./decrypt.ts"
export { type EncryptInMemoryOptions, encrypt, encryptInto } from "./encrypt.ts"
export type { FilePath } from "./file-target.ts"
export { decryptFile, encryptFile, type FileOptions, type FileResult } from "./files.ts"
export type { MessageHeader, MessageWrappedKey } from "./header-info.ts"
export { type Inspected, type InspectOptions, inspect } from "./inspect.ts"
export { decryptMany, type EncryptManyItem, encryptMany, type ManyOptions } from "./many.ts"
export { decryptTrace, type OpenedRead, openRead, planRead } from "./open.ts"
export { type MessageHandle, type OpenMessageOptions, openMessage } from "./open-message.ts"
export type { DecryptOptions, EncryptOptions } from "./options.ts"
export { type FileSource, fromFile, type RandomAccessSource } from "./source.ts"
export {
  type DecryptStreamOptions,
  decryptStream,
  decryptTransform,
  type EncryptStreamOptions,
  encryptStream,
  encryptTransform,
  type MessageStream,
  type MessageTransformStream,
  type ReencryptOptions,
  reencrypt,
  reencryptTransform,
} from "./streams.ts"
export { obtainMaterials, openWrite, planWrite } from "./write.ts"
