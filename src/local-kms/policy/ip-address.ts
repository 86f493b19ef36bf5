import { isIPv4, isIPv6 } from "node:net"

interface Address {
  readonly bits: bigint
  readonly width: 32 | 128
}

function readAddress(text: string): Address | undefined {
  if (isIPv4(text)) return { bits: readV4(text), width: 32 }
  // A zone names an interface of one machine: no address of a caller.
  return isIPv6(text) && !text.includes("%") ? { bits: readV6(text), width: 128 } : undefined
}

const readV4 = (text: string): bigint => text.split(".").reduce((bits, octet) => (bits << 8n) | BigInt(octet), 0n)

/** Expects valid text: groups, at most one gap `::`, and perhaps an IPv4 address at the end. */
function readV6(text: string): bigint {
  const dotted = text.slice(text.lastIndexOf(":") + 1)
  const hex = dotted.includes(".") ? text.slice(0, -dotted.length) + v4Groups(dotted) : text
  const [head = "", tail] = hex.split("::")
  const groups = (part: string): string[] => (part === "" ? [] : part.split(":"))
  const front = groups(head)
  const back = tail === undefined ? [] : groups(tail)
  const gap = Array<string>(8 - front.length - back.length).fill("0")
  return [...front, ...gap, ...back].reduce((bits, group) => (bits << 16n) | BigInt(`0x${group}`), 0n)
}

const v4Groups = (text: string): string => {
  const bits = readV4(text)
  return `${(bits >> 16n).toString(16)}:${(bits & 0xffffn).toString(16)}`
}

export interface AddressRange extends Address {
  readonly prefix: number
}

/** An address, or a range such as `203.0.113.0/24` or `2001:db8::/32`. @returns undefined for anything else */
export function readAddressRange(text: string): AddressRange | undefined {
  const [addressText = "", prefixText, ...rest] = text.split("/")
  const address = readAddress(addressText)
  if (address === undefined || rest.length > 0) return undefined
  if (prefixText === undefined) return { ...address, prefix: address.width }
  if (!/^\d{1,3}$/.test(prefixText) || Number(prefixText) > address.width) return undefined
  return { ...address, prefix: Number(prefixText) }
}

/** IPv4 and IPv6 never match each other. */
export function isInRange(text: string, range: AddressRange): boolean {
  const address = readAddress(text)
  if (address === undefined || address.width !== range.width) return false
  const shift = BigInt(range.width - range.prefix)
  return address.bits >> shift === range.bits >> shift
}
