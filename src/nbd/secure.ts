import type { Socket } from "node:net"
import { createServer, type SecureContextOptions, type TLSSocket, type TlsOptions } from "node:tls"

export interface NbdTlsOptions {
  /** The server's certificate and its chain: PEM. */
  readonly cert: string | Uint8Array
  /** The certificate's private key: PEM. */
  readonly key: string | Uint8Array
  /** Certificate authorities, PEM: given, only clients with a certificate from one of them are let in. Default: none asked for. */
  readonly clientCa?: string | Uint8Array
  /** Also serve clients that do not ask for TLS. Default false: they learn that TLS is required. */
  readonly optional?: boolean
}

/**
 * NBD-2.3: the server's side of a TLS handshake over a connection that has agreed to it, TLS 1.2 or later.
 *
 * @throws the error of the TLS layer, also for a client without a certificate that is asked for
 */
export function secure(socket: Socket, options: TlsOptions): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    // It never listens: it is there since only a server checks the client's certificate.
    const server = createServer(options, resolve)
    server.once("tlsClientError", reject)
    socket.once("close", () => reject(new Error("the connection ended in the TLS handshake")))
    server.emit("connection", socket)
  })
}

/** @throws TypeError without certificate or key; the error of the TLS layer for those that are none */
export function readTlsOptions({ cert, key, clientCa }: NbdTlsOptions, handshakeSeconds: number): TlsOptions {
  if (!cert?.length || !key?.length) throw new TypeError("tls takes cert and key")
  const keys: SecureContextOptions = { cert: asPem(cert), key: asPem(key), minVersion: "TLSv1.2" }
  const clients = clientCa === undefined ? {} : { ca: asPem(clientCa), requestCert: true, rejectUnauthorized: true }
  const options = { ...keys, ...clients, handshakeTimeout: handshakeSeconds * 1000, allowHalfOpen: true }
  createServer(options)
  return options
}

const asPem = (value: string | Uint8Array): string | Buffer =>
  typeof value === "string" ? value : Buffer.from(value.buffer, value.byteOffset, value.byteLength)
