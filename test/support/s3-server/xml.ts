export type XmlValue = string | number | boolean | undefined | XmlNode | readonly XmlNode[] | readonly string[]
export interface XmlNode {
  readonly [name: string]: XmlValue
}

const escapes: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "\r": "&#13;",
}

const escaped = (text: string): string => text.replace(/[&<>"\r]/g, (character) => escapes[character]!)

/** An array becomes one element after another. */
function element(name: string, value: XmlValue): string {
  if (value === undefined) return ""
  if (Array.isArray(value)) return value.map((item: XmlValue) => element(name, item)).join("")
  if (typeof value !== "object") return `<${name}>${escaped(String(value))}</${name}>`
  const inner = Object.entries(value).map(([key, item]) => element(key, item))
  return `<${name}>${inner.join("")}</${name}>`
}

export const document = (name: string, value: XmlNode): string =>
  `<?xml version="1.0" encoding="UTF-8"?>\n${element(name, value)}`

/** The contents of every element of this name, entities resolved; enough for what clients send to S3. */
export function elements(xml: string, name: string): string[] {
  return [...xml.matchAll(new RegExp(`<${name}(?:\\s[^>]*)?>([\\s\\S]*?)</${name}>`, "g"))].map(([, inner]) => inner!)
}

export const text = (xml: string, name: string): string | undefined => {
  const [inner] = elements(xml, name)
  return inner === undefined ? undefined : resolved(inner)
}

const resolved = (inner: string): string =>
  inner
    .replace(/&#x([0-9a-f]+);/gi, (_, digits) => String.fromCodePoint(Number.parseInt(digits, 16)))
    .replace(/&#(\d+);/g, (_, digits) => String.fromCodePoint(Number(digits)))
    .replace(/&lt;/g, "<")
    .replace(/&gt;/g, ">")
    .replace(/&quot;/g, '"')
    .replace(/&apos;/g, "'")
    .replace(/&amp;/g, "&")
