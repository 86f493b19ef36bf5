import { describe, expect, it, vi } from "vitest"
import type { NbdOptions } from "../../src/nbd/index.ts"
import { memoryDevice } from "../support/memory-device.ts"
import {
  AUTHORITY_CERT,
  CLIENT_CERT,
  CLIENT_KEY,
  SERVER_CERT,
  SERVER_KEY,
  STRANGER_CERT,
  STRANGER_KEY,
} from "../support/nbd-certificates.ts"
import { CMD, ERR, infoData, metaData, type NbdClient, OK, optionBytes, u32 } from "../support/nbd-client.ts"
import { connected, served } from "./served.ts"

const MiB = 1024 * 1024
const STARTTLS = 5
const tls = { cert: SERVER_CERT, key: SERVER_KEY }
const trust = { ca: AUTHORITY_CERT, servername: "localhost" }

const lastError = async (client: NbdClient, option: number, data?: Uint8Array): Promise<number> => {
  const { type } = (await client.option(option, data)).at(-1)!
  return type === OK ? 0 : type - 0x8000_0000
}
const start = async (options: NbdOptions) => {
  const server = await served(memoryDevice(MiB), options)
  return { server, client: await connected(server) }
}
const secured = async (client: NbdClient, certificates = {}) => {
  expect(await lastError(client, STARTTLS)).toBe(0)
  return client.secure({ ...trust, ...certificates })
}

describe("TLS", () => {
  it.each([
    ["a port", { port: 0 }],
    ["a Unix socket", {}],
  ])("NBD-2.1: carries requests on %s", async (_what, place) => {
    const { server, client } = await start({ tls, ...place })
    const inside = await secured(client)
    await inside.structured()
    await inside.go()
    const data = Buffer.alloc(700_000, 5)
    expect((await inside.request({ type: CMD.write, offset: 99, data })).error).toBe(0)
    expect((await inside.request({ type: CMD.read, offset: 99, length: 700_000 })).data.equals(data)).toBe(true)
    expect(server.uri).toMatch(/^nbds/)
    inside.request({ type: CMD.disc }).catch(() => {})
    await inside.ended
    await vi.waitFor(() => expect(server.stats).toMatchObject({ connections: 0, connectionsFailed: 0 }))
  })

  it("NBD-2.1: is begun once, and without data", async () => {
    const { client } = await start({ tls })
    expect(await lastError(client, STARTTLS, Buffer.from("x"))).toBe(ERR.invalid)
    const inside = await secured(client)
    expect(await lastError(inside, STARTTLS)).toBe(ERR.invalid)
  })

  it("NBD-2.2: is required before anything else", async () => {
    const { server, client } = await start({ tls })
    for (const [option, data] of [
      [3, undefined],
      [6, infoData("")],
      [7, infoData("")],
      [8, undefined],
      [9, metaData("", [])],
      [77, undefined],
    ] as const)
      expect(await lastError(client, option, data)).toBe(ERR.tlsReqd)
    const other = await connected(server)
    other.send(optionBytes(1))
    await other.ended
    const third = await connected(server)
    expect(await lastError(third, 2)).toBe(0)
    await third.ended
  })

  it("NBD-2.2: is a choice where it is optional", async () => {
    const { server, client } = await start({ tls: { ...tls, optional: true } })
    expect((await client.go()).size).toBe(MiB)
    expect((await (await secured(await connected(server))).go()).size).toBe(MiB)
  })

  it("NBD-2.3: lets in only clients with a certificate of the authority", async () => {
    const { server, client } = await start({ tls: { ...tls, clientCa: AUTHORITY_CERT } })
    const inside = await secured(client, { cert: CLIENT_CERT, key: CLIENT_KEY })
    expect((await inside.go()).size).toBe(MiB)
    for (const certificates of [{}, { cert: STRANGER_CERT, key: STRANGER_KEY }]) {
      const outside = await connected(server)
      const attempt = secured(outside, certificates).then((refused) => refused.go())
      await expect(attempt).rejects.toThrow()
      await outside.ended
    }
    await vi.waitFor(() => expect(server.stats).toMatchObject({ connections: 1, connectionsFailed: 2 }))
    expect((await inside.request({ type: CMD.flush })).error).toBe(0)
  })

  it("NBD-2.3: does not go below version 1.2", async () => {
    const { client } = await start({ tls })
    expect(await lastError(client, STARTTLS)).toBe(0)
    const old = { maxVersion: "TLSv1.1", minVersion: "TLSv1", ciphers: "DEFAULT@SECLEVEL=0" } as const
    await expect(client.secure({ ...trust, ...old })).rejects.toThrow()
  })

  it("NBD-2.4: forgets what was agreed on before", async () => {
    const { client } = await start({ tls: { ...tls, optional: true } })
    await client.structured()
    await client.option(10, metaData("", ["base:allocation"]))
    const inside = await secured(client)
    expect(await lastError(inside, 10, metaData("", ["base:allocation"]))).toBe(ERR.invalid)
    expect((await inside.go()).flags & 0x80).toBe(0)
    expect((await inside.request({ type: CMD.status, length: 512 })).error).toBe(22)
    expect((await inside.request({ type: CMD.read, length: 512 })).chunks).toEqual([])
  })

  it("NBD-2.4: ends where something follows STARTTLS in the clear", async () => {
    const { server, client } = await start({ tls })
    client.send(Buffer.concat([optionBytes(STARTTLS), optionBytes(8)]))
    await client.ended
    expect(server.stats.connectionsFailed).toBe(1)
  })

  it("NBD-1.11: ends where the TLS handshake takes too long, or is none", async () => {
    const { server, client } = await start({ tls, handshakeSeconds: 0.3 })
    const other = await connected(server)
    expect(await lastError(client, STARTTLS)).toBe(0)
    expect(await lastError(other, STARTTLS)).toBe(0)
    other.send(Buffer.concat([Buffer.from("IHAVEOPT"), u32(8), u32(0)]))
    await Promise.all([client.ended, other.ended])
    await vi.waitFor(() => expect(server.stats).toMatchObject({ connections: 0, connectionsFailed: 2 }))
  })

  it("is refused with a key that is none", async () => {
    await expect(served(memoryDevice(MiB), { tls: { cert: SERVER_CERT, key: CLIENT_KEY } })).rejects.toThrow()
    await expect(served(memoryDevice(MiB), { tls: { cert: "", key: "" } })).rejects.toThrow()
  })
})
