import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { evaluate, parseKeyPolicy } from "../../../src/local-kms/policy/index.ts"
import { requestOf } from "./world.ts"

const RUNS = 250

/** A literal implementation of wildcards, to compare with. */
const asRegExp = (pattern: string): RegExp =>
  new RegExp(
    `^${pattern
      .replaceAll(/[.+^${}()|[\]\\]/g, "\\$&")
      .replaceAll("*", "[\\s\\S]*")
      .replaceAll("?", "[\\s\\S]")}$`,
  )

const conditioned = (Condition: object, conditions: Record<string, string | string[]>): boolean => {
  const parsed = parseKeyPolicy(
    JSON.stringify({
      Version: "2012-10-17",
      Statement: { Effect: "Allow", Principal: "*", Action: "kms:*", Resource: "*", Condition },
    }),
  )
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems))
  return evaluate(requestOf({ conditions }), { keyPolicy: parsed.policy, identityPolicies: [] }).allowed
}

describe("conditions, compared with what they mean", () => {
  const letters = (alphabet: string, maxLength: number) =>
    fc.array(fc.constantFrom(...alphabet), { maxLength }).map((all) => all.join(""))

  test("wildcards match what a regular expression matches", () => {
    fc.assert(
      fc.property(letters("ab*?", 8), letters("abc", 8), (pattern, text) => {
        expect(conditioned({ StringLike: { "t:x": pattern } }, { "t:x": text })).toBe(asRegExp(pattern).test(text))
        expect(conditioned({ StringNotLike: { "t:x": pattern } }, { "t:x": text })).toBe(!asRegExp(pattern).test(text))
      }),
      { numRuns: RUNS },
    )
  })

  // A matcher that goes back to every asterisk would never come to an end.
  test("many asterisks come to an end", () => {
    const pattern = `${"*a".repeat(500)}*b`
    expect(conditioned({ StringLike: { "t:x": pattern } }, { "t:x": "a".repeat(5000) })).toBe(false)
  })

  test("a set operator is what every and some are", () => {
    const values = fc.array(fc.constantFrom("a", "b", "c"), { minLength: 1, maxLength: 3 })
    fc.assert(
      fc.property(values, values, (stated, actual) => {
        const holds = (operator: string): boolean => conditioned({ [operator]: { "t:x": stated } }, { "t:x": actual })
        expect(holds("ForAllValues:StringEquals")).toBe(actual.every((value) => stated.includes(value)))
        expect(holds("ForAnyValue:StringEquals")).toBe(actual.some((value) => stated.includes(value)))
        expect(holds("ForAllValues:StringNotEquals")).toBe(actual.every((value) => !stated.includes(value)))
        expect(holds("ForAnyValue:StringNotEquals")).toBe(actual.some((value) => !stated.includes(value)))
      }),
      { numRuns: RUNS },
    )
  })

  test("ForAllValues holds on a missing key, ForAnyValue never does", () => {
    const operator = fc.constantFrom("StringEquals", "StringLike", "StringNotEquals", "StringNotLike", "ArnLike")
    fc.assert(
      fc.property(operator, letters("ab*", 4), (name, value) => {
        expect(conditioned({ [`ForAllValues:${name}`]: { "t:x": value } }, {})).toBe(true)
        expect(conditioned({ [`ForAnyValue:${name}`]: { "t:x": value } }, {})).toBe(false)
      }),
      { numRuns: 100 },
    )
  })

  test("numbers compare as numbers", () => {
    const number = fc.integer({ min: -1000, max: 1000 })
    fc.assert(
      fc.property(number, number, (stated, actual) => {
        const holds = (operator: string): boolean =>
          conditioned({ [operator]: { "t:x": stated } }, { "t:x": `${actual}` })
        expect(holds("NumericEquals")).toBe(actual === stated)
        expect(holds("NumericNotEquals")).toBe(actual !== stated)
        expect(holds("NumericLessThan")).toBe(actual < stated)
        expect(holds("NumericGreaterThanEquals")).toBe(actual >= stated)
      }),
      { numRuns: RUNS },
    )
  })

  test("an IPv4 range holds the addresses that agree in its first bits", () => {
    const word = fc.integer({ min: 0, max: 0xffffffff })
    const dotted = (value: number): string => [24, 16, 8, 0].map((shift) => (value >>> shift) & 255).join(".")
    fc.assert(
      fc.property(word, word, fc.nat(32), (base, other, prefix) => {
        const mask = prefix === 0 ? 0 : (~0 << (32 - prefix)) >>> 0
        const address = fc.sample(fc.constantFrom(other, ((base & mask) | (other & ~mask)) >>> 0), 1)[0]!
        const expected = (base & mask) >>> 0 === (address & mask) >>> 0
        const range = `${dotted(base)}/${prefix}`
        expect(conditioned({ IpAddress: { "aws:SourceIp": range } }, { "aws:SourceIp": dotted(address) })).toBe(
          expected,
        )
      }),
      { numRuns: RUNS },
    )
  })

  test("an IPv6 address is the same however it is written", () => {
    const groups = fc.array(fc.integer({ min: 0, max: 0xffff }), { minLength: 8, maxLength: 8 })
    fc.assert(
      fc.property(groups, (all) => {
        const full = all.map((group) => group.toString(16).padStart(4, "0")).join(":")
        const zeros = all.map((group, index) => (index > 1 && index < 5 ? 0 : group))
        const long = zeros.map((group) => group.toString(16)).join(":")
        const head = zeros.slice(0, 2).map((group) => group.toString(16))
        const tail = zeros.slice(5).map((group) => group.toString(16).toUpperCase())
        const ip = (stated: string, actual: string): boolean =>
          conditioned({ IpAddress: { "aws:SourceIp": stated } }, { "aws:SourceIp": actual })
        expect(ip(full, full.toUpperCase())).toBe(true)
        expect(ip(`${head.join(":")}::${tail.join(":")}`, long)).toBe(true)
      }),
      { numRuns: 100 },
    )
  })
})
