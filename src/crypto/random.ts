import { randomFillSync } from "node:crypto"
import { allocate } from "../core/index.ts"

/** Random bytes in memory of their own: `crypto.randomBytes` would do, but says nothing about pooling. */
export const randomBytes = (length: number): Uint8Array => randomFillSync(allocate(length))
