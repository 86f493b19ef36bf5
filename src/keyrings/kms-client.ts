import type { KmsClient } from "../core/index.ts"

/**
 * A KMS client, or a function that gives the client of a Region. The function is called once for each Region; where it
 * gives none, keys of that Region are left alone.
 */
export type KmsClientSource = KmsClient | ((region: string) => KmsClient | undefined)

/** Finds the client of a Region; `undefined` stands for a key named without its Region. */
export type ClientFinder = (region: string | undefined) => KmsClient | undefined

/** @throws TypeError when `client` is neither a client nor a function */
export function clientFinder(client: KmsClientSource): ClientFinder {
  if (typeof client !== "function") {
    checkClient(client, "client")
    return () => client
  }
  const clients = new Map<string, KmsClient | undefined>()
  return (region) => {
    if (region === undefined) {
      throw new TypeError("a client per Region needs key identifiers that name their Region: use key or alias ARNs")
    }
    if (!clients.has(region)) {
      const found = client(region)
      if (found !== undefined) checkClient(found, `what client(${JSON.stringify(region)}) gives`)
      clients.set(region, found)
    }
    return clients.get(region)
  }
}

/** @throws TypeError */
export function checkClient(client: KmsClient, what: string): void {
  if (typeof client?.send === "function") return
  throw new TypeError(`${what} must be a KMS client: an object with send(command)`)
}
