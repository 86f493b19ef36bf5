import type { PolicyVersion } from "./document.ts"
import { isInRange, readAddressRange } from "./ip-address.ts"
import {
  type Lookup,
  literalPattern,
  matchesArn,
  matchesIgnoringCase,
  matchesPattern,
  type Pattern,
  wildcardPattern,
} from "./pattern.ts"

/** One value of a policy, ready to be compared with values of a request. */
export interface Comparison {
  matches(actual: string, lookup: Lookup): boolean
  /** Where the value may have variables. */
  readonly pattern?: Pattern
}

interface Operator {
  /** True where none of the policy's values may match; also true when the request lacks the key (POL-5.3). */
  readonly negated: boolean
  /** @returns what is wrong with the value, or how to compare with it */
  read(value: string, version: PolicyVersion): Comparison | string
}

type Family = Omit<Operator, "negated">

const pattern = (
  read: (text: string, version: PolicyVersion) => Pattern,
  matches: (pattern: Pattern, actual: string, lookup: Lookup) => boolean,
): Family => ({
  read(value, version) {
    const compiled = read(value, version)
    return { pattern: compiled, matches: (actual, lookup) => matches(compiled, actual, lookup) }
  },
})

/** Values of a kind of their own, without variables (POL-4.5). */
const typed = <T>(
  kind: string,
  parse: (text: string) => T | undefined,
  compare: (actual: T, wanted: T) => boolean,
): Family => ({
  read(value) {
    const wanted = parse(value)
    if (wanted === undefined) return `'${value}' is no ${kind}`
    return {
      matches(text) {
        const actual = parse(text)
        return actual !== undefined && compare(actual, wanted)
      },
    }
  },
})

const NUMBER = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3})?$/
const parseNumber = (text: string): number | undefined => (NUMBER.test(text) ? Number(text) : undefined)

// ISO 8601 as W3C profiles it, from the year alone to fractions of a second; or seconds since 1970.
const DATE = /^\d{4}(?:-\d{2}(?:-\d{2}(?:T\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:Z|[+-]\d{2}:\d{2}))?)?)?$/
const EPOCH = /^\d{5,12}(?:\.\d+)?$/

function parseDate(text: string): number | undefined {
  const time = EPOCH.test(text) ? Number(text) * 1000 : DATE.test(text) ? Date.parse(text) : Number.NaN
  return Number.isNaN(time) ? undefined : time
}

const parseBoolean = (text: string): boolean | undefined => {
  const lower = text.toLowerCase()
  return lower === "true" ? true : lower === "false" ? false : undefined
}

const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/
const parseBinary = (text: string): string | undefined =>
  BASE64.test(text) ? Buffer.from(text, "base64").toString("hex") : undefined

const stringEquals = pattern(literalPattern, matchesPattern)
const stringEqualsIgnoreCase = pattern(literalPattern, matchesIgnoringCase)
const stringLike = pattern(wildcardPattern, matchesPattern)
const arnLike = pattern(wildcardPattern, matchesArn)
const numeric = (compare: (actual: number, wanted: number) => boolean) => typed("number", parseNumber, compare)
const date = (compare: (actual: number, wanted: number) => boolean) => typed("date", parseDate, compare)
const numericEquals = numeric((a, b) => a === b)
const dateEquals = date((a, b) => a === b)
const ipAddress: Family = {
  read(value) {
    const range = readAddressRange(value)
    return range === undefined
      ? `'${value}' is no IP address or range`
      : { matches: (actual) => isInRange(actual, range) }
  },
}

const positive = (family: Family): Operator => ({ ...family, negated: false })
const negative = (family: Family): Operator => ({ ...family, negated: true })

/** `Null` asks for presence rather than for values, and stands in condition.ts. */
export const operators: ReadonlyMap<string, Operator> = new Map([
  ["StringEquals", positive(stringEquals)],
  ["StringNotEquals", negative(stringEquals)],
  ["StringEqualsIgnoreCase", positive(stringEqualsIgnoreCase)],
  ["StringNotEqualsIgnoreCase", negative(stringEqualsIgnoreCase)],
  ["StringLike", positive(stringLike)],
  ["StringNotLike", negative(stringLike)],
  ["NumericEquals", positive(numericEquals)],
  ["NumericNotEquals", negative(numericEquals)],
  ["NumericLessThan", positive(numeric((a, b) => a < b))],
  ["NumericLessThanEquals", positive(numeric((a, b) => a <= b))],
  ["NumericGreaterThan", positive(numeric((a, b) => a > b))],
  ["NumericGreaterThanEquals", positive(numeric((a, b) => a >= b))],
  ["DateEquals", positive(dateEquals)],
  ["DateNotEquals", negative(dateEquals)],
  ["DateLessThan", positive(date((a, b) => a < b))],
  ["DateLessThanEquals", positive(date((a, b) => a <= b))],
  ["DateGreaterThan", positive(date((a, b) => a > b))],
  ["DateGreaterThanEquals", positive(date((a, b) => a >= b))],
  ["Bool", positive(typed("boolean", parseBoolean, (a, b) => a === b))],
  ["BinaryEquals", positive(typed("base64 value", parseBinary, (a, b) => a === b))],
  ["IpAddress", positive(ipAddress)],
  ["NotIpAddress", negative(ipAddress)],
  ["ArnEquals", positive(arnLike)],
  ["ArnLike", positive(arnLike)],
  ["ArnNotEquals", negative(arnLike)],
  ["ArnNotLike", negative(arnLike)],
])
