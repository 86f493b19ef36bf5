/** Counts since the server started, and what is going on at present. */
export interface NbdStats {
  /** Connections open at present. */
  readonly connections: number
  readonly connectionsTotal: number
  /** Connections closed because what came broke the protocol, took too long, or failed the TLS handshake. */
  readonly connectionsFailed: number
  /** Requests whose reply has not gone out yet. */
  readonly inFlight: number
  readonly reads: number
  readonly writes: number
  readonly flushes: number
  readonly trims: number
  readonly zeroings: number
  /** BLOCK_STATUS, CACHE and requests that are no command. */
  readonly others: number
  /** Requests answered with an error. */
  readonly errors: number
  /** Bytes of the answered reads and writes. */
  readonly bytesRead: number
  readonly bytesWritten: number
}

export type Counters = { -readonly [Name in keyof NbdStats]: number }

export const createCounters = (): Counters => ({
  connections: 0,
  connectionsTotal: 0,
  connectionsFailed: 0,
  inFlight: 0,
  reads: 0,
  writes: 0,
  flushes: 0,
  trims: 0,
  zeroings: 0,
  others: 0,
  errors: 0,
  bytesRead: 0,
  bytesWritten: 0,
})
