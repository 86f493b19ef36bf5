import type { MessagePort } from "node:worker_threads"

/** Below this many bytes, waiting for the garbage collector is cheaper (`npm run bench -- large`, frames of 4 KiB). */
const WORTH_FREEING = 4 * 1024

type Transferable = ArrayBuffer & { transfer?(length: number): ArrayBuffer }

let closedPort: MessagePort | undefined

/**
 * Gives a large temporary's memory back at once instead of at the next garbage collection, so that the next temporary
 * gets the same warm pages: page faults and collections cost more than the cipher. The array is empty afterwards.
 *
 * @param bytes memory of its own that nobody else holds
 */
export function free(bytes: Uint8Array): void {
  const buffer = bytes.buffer as Transferable
  if (bytes.length < WORTH_FREEING || buffer.byteLength !== bytes.length) return
  if (buffer.transfer !== undefined) buffer.transfer(0)
  else detach(buffer)
}

/** Node.js 20 has no `transfer`: what is sent to a port that is closed is detached and dropped. */
function detach(buffer: ArrayBuffer): void {
  if (closedPort === undefined) {
    closedPort = new MessageChannel().port1
    closedPort.close()
  }
  closedPort.postMessage(undefined, [buffer])
}
