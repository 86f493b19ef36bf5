import { hostname } from "node:os"
import type { NbdAddress } from "../nbd/index.ts"

export interface ServedDisk {
  readonly uri: string
  readonly address: NbdAddress
  readonly tls: boolean
  /** Bytes. */
  readonly size: number
  readonly readOnly: boolean
}

/** How others use a disk that is served: command lines to copy, each with what it is for. */
export function clientCommands(disk: ServedDisk): readonly (readonly [what: string, command: string])[] {
  const uri = quote(clientUri(disk))
  const copyIn: [string, string][] = disk.readOnly ? [] : [["copy in", `nbdcopy --flush image.raw ${uri}`]]
  return [
    ["qemu", `qemu-system-x86_64 ${drive(disk)}`],
    ...copyIn,
    ["copy out", `nbdcopy ${uri} image.raw`],
    ["as a file", `nbdfuse DIR ${uri}   # then DIR/nbd`],
    ["Linux", `sudo nbd-client ${kernelPlace(disk)} /dev/nbd0 -block-size ${disk.size % 4096 === 0 ? 4096 : 512}`],
  ]
}

// --- internal ---

/** Where clients with certificates look for them. */
const CERTIFICATES = "CERTS"

/** An address that stands for all is none to connect to. */
const nameOf = (host: string): string => (host === "0.0.0.0" || host === "::" ? hostname() : host)

function clientUri({ uri, address, tls }: ServedDisk): string {
  if ("unix" in address) return tls ? `${uri}&tls-certificates=${CERTIFICATES}` : uri
  const host = nameOf(address.host)
  const place = `${host.includes(":") ? `[${host}]` : host}:${address.port}`
  return tls ? `nbds://${place}/?tls-certificates=${CERTIFICATES}` : `nbd://${place}/`
}

function drive(disk: ServedDisk): string {
  const { address, tls, readOnly } = disk
  const options = `if=virtio${readOnly ? ",readonly=on" : ""}`
  if (!tls) return `-drive ${quote(`file=${clientUri(disk)},format=raw,${options}`)}`
  const server =
    "unix" in address
      ? `file.path=${comma(address.unix)}`
      : `file.host=${nameOf(address.host)},file.port=${address.port}`
  return `-object tls-creds-x509,id=tls,dir=${CERTIFICATES},endpoint=client -drive ${quote(`driver=raw,file.driver=nbd,${server},file.tls-creds=tls,${options}`)}`
}

/** Within qemu's options a comma is written twice. */
const comma = (text: string): string => text.replaceAll(",", ",,")

function kernelPlace({ address, tls }: ServedDisk): string {
  const place = "unix" in address ? `-unix ${quote(address.unix)}` : `${nameOf(address.host)} ${address.port}`
  if (!tls) return place
  return `${place} -cacertfile ${CERTIFICATES}/ca-cert.pem -certfile ${CERTIFICATES}/client-cert.pem -keyfile ${CERTIFICATES}/client-key.pem`
}

/** For a shell. */
const quote = (text: string): string => (/^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`)
