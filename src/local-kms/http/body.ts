import type { IncomingMessage } from "node:http"
import { allocate } from "../../core/index.ts"
import { wipe } from "../../crypto/index.ts"
import { KmsFault } from "../faults.ts"

/** HTTP-4.3: bytes. The largest request of KMS, a policy of 128 KiB escaped in JSON, stays far below. */
const MAX_BODY_LENGTH = 1_048_576

/** The client went away before its request was whole. */
export class ConnectionLost extends Error {}

const tooLarge = (): KmsFault =>
  new KmsFault("RequestEntityTooLargeException", `The request is larger than ${MAX_BODY_LENGTH} bytes.`, 413)

/**
 * @returns the body in memory of its own, which the caller overwrites
 * @throws KmsFault when it is too large, before more than the limit is kept; ConnectionLost
 */
export function readBody(message: IncomingMessage): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let length = 0
    const fail = (error: Error): void => {
      message.off("data", collect)
      wipe(...chunks)
      // The rest is read and dropped, so that the client comes to read the answer.
      message.resume()
      reject(error)
    }
    const collect = (chunk: Buffer): void => {
      length += chunk.length
      chunks.push(chunk)
      if (length > MAX_BODY_LENGTH) fail(tooLarge())
    }
    if (Number(message.headers["content-length"]) > MAX_BODY_LENGTH) {
      fail(tooLarge())
      return
    }
    message.on("data", collect)
    message.on("close", () => {
      if (!message.complete) fail(new ConnectionLost())
    })
    message.on("error", () => fail(new ConnectionLost()))
    message.on("end", () => {
      const body = allocate(length)
      let at = 0
      for (const chunk of chunks) {
        body.set(chunk, at)
        at += chunk.length
      }
      wipe(...chunks)
      resolve(body)
    })
  })
}
