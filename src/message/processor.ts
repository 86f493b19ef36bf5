import type { MessageHeader } from "./header-info.ts"

/**
 * One message on its way through a stream, apart from any stream machinery: Node's and the Web's streams both drive it.
 */
export interface Processor {
  /** Rejects with the processor's error when there is one before the header. */
  readonly header: Promise<MessageHeader>
  /** Takes a chunk. Yields what is ready, never more than about a megabyte at once. */
  write(chunk: Uint8Array): AsyncGenerator<Uint8Array, void, void>
  /** Ends the input. Yields the rest. */
  end(): AsyncGenerator<Uint8Array, void, void>
  /** Overwrites the keys. Called once after the end, an error or an abort. */
  close(error?: Error): void
}

/** A promise with its handles; its rejection counts as handled, since a caller may wait for it or not. */
export function deferred<T>(): { promise: Promise<T>; resolve(value: T): void; reject(error: unknown): void } {
  let handles!: { resolve(value: T): void; reject(error: unknown): void }
  const promise = new Promise<T>((resolve, reject) => {
    handles = { resolve, reject }
  })
  promise.catch(() => {})
  return { promise, ...handles }
}
