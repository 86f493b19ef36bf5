import fc from "fast-check"
import { describe, expect, test } from "vitest"
import {
  estimateCost,
  formatUsd,
  type KeyLife,
  kmsBill,
  monthOf,
  pricesOf,
  priceTables,
  requestClass,
  workloadRequests,
} from "../../src/cost/index.ts"

const MAY = "2026-05"
const at = (text: string): Date => new Date(`${text}Z`)
const wholeMonth: KeyLife = { createdAt: at("2026-01-01T00:00") }
const billOf = (...keys: KeyLife[]) => kmsBill({ month: MAY, keys, requests: {} }).usd
const requestsOf = (requests: Parameters<typeof kmsBill>[0]["requests"]) =>
  kmsBill({ month: MAY, keys: [], requests }).usd

describe("AWS's two published examples come out exactly", () => {
  test("one key and 250 volumes, 3 requests each: 1.00 USD a month", () => {
    expect(estimateCost({ keys: 1, volumes: 250 }).usd).toBe("1.00")
    expect(kmsBill({ month: MAY, keys: [wholeMonth], requests: { standard: 750 } }).usd).toBe("1.00")
  })

  test("one key, 10,000 puts and 2,000,000 gets: 6.97 USD a month", () => {
    expect(estimateCost({ keys: 1, objectsWritten: 10_000, objectsRead: 2_000_000 }).usd).toBe("6.97")
    expect(kmsBill({ month: MAY, keys: [wholeMonth], requests: { standard: 2_010_000 } })).toEqual({
      month: MAY,
      lines: [
        { item: "keys", text: "customer managed keys", quantity: 744, free: 0, microUsd: 1_000_000 },
        { item: "standard", text: "requests", quantity: 2_010_000, free: 20_000, microUsd: 5_970_000 },
      ],
      microUsd: 6_970_000,
      usd: "6.97",
      pricesFrom: "2024-04",
    })
  })
})

describe("requests", () => {
  test.each([
    [{ standard: 0 }, "0.00"],
    [{ standard: 20_000 }, "0.00"],
    [{ standard: 20_001 }, "0.000003"],
    [{ standard: 30_000 }, "0.03"],
    [{ rsa2048: 1 }, "0.000003"],
    [{ rsa2048: 10_000 }, "0.03"],
    [{ asymmetric: 10_000 }, "0.15"],
    [{ eccDataKeyPair: 10_000 }, "0.10"],
    [{ rsaDataKeyPair: 10_000 }, "12.00"],
    [{ rsaDataKeyPair: 1 }, "0.0012"],
    [
      { standard: 30_000, rsa2048: 10_000, asymmetric: 10_000, eccDataKeyPair: 10_000, rsaDataKeyPair: 10_000 },
      "12.31",
    ],
  ] as const)("%j cost %s USD", (requests, usd) => {
    expect(requestsOf(requests)).toBe(usd)
  })

  test("more than a number holds exactly is refused", () => {
    expect(requestsOf({ standard: 2 ** 51 })).toBe("6755399440.995744")
    expect(() => requestsOf({ standard: 2 ** 52 })).toThrow("the amount is above 9 billion USD")
  })

  test.each([-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY])("%d is no number of requests", (standard) => {
    expect(() => requestsOf({ standard })).toThrow(RangeError)
  })

  test.each([
    ["Decrypt", undefined, "standard"],
    ["GenerateMac", "HMAC_256", "standard"],
    ["ListKeys", undefined, "standard"],
    ["Decrypt", "RSA_2048", "rsa2048"],
    ["Decrypt", "RSA_4096", "asymmetric"],
    ["Sign", "ECC_NIST_P256", "asymmetric"],
    ["GetPublicKey", "RSA_2048", "rsa2048"],
    ["DescribeKey", "RSA_4096", "standard"],
    ["GenerateDataKeyPair", "ECC_NIST_P256", "eccDataKeyPair"],
    ["GenerateDataKeyPairWithoutPlaintext", "RSA_2048", "rsaDataKeyPair"],
  ] as const)("%s with a key of spec %s is charged as %s", (operation, spec, expected) => {
    expect(requestClass(operation, spec)).toBe(expected)
  })
})

describe("keys", () => {
  test.each<[string, KeyLife[], string]>([
    ["the whole month", [wholeMonth], "1.00"],
    ["three of them", [wholeMonth, wholeMonth, wholeMonth], "3.00"],
    ["half the month", [{ createdAt: at("2026-05-16T12:00") }], "0.50"],
    ["its last hour", [{ createdAt: at("2026-05-31T23:30") }], "0.001344"],
    [
      "two keys for an hour: rounded once",
      [{ createdAt: at("2026-05-31T23:30") }, { createdAt: at("2026-05-31T23:00") }],
      "0.002688",
    ],
    ["created later", [{ createdAt: at("2026-06-01T00:00") }], "0.00"],
    ["ended before", [{ ...wholeMonth, endedAt: at("2026-05-01T00:00") }], "0.00"],
    ["pending deletion since the middle", [{ ...wholeMonth, endedAt: at("2026-05-16T12:00") }], "0.50"],
    ["a key of half an hour", [{ createdAt: at("2026-05-16T12:10"), endedAt: at("2026-05-16T12:40") }], "0.001344"],
    ["rotated once, long ago", [{ ...wholeMonth, rotations: [at("2026-02-01T00:00")] }], "2.00"],
    ["rotated twice", [{ ...wholeMonth, rotations: [at("2026-02-01T00:00"), at("2026-03-01T00:00")] }], "3.00"],
    [
      "rotated 25 times",
      [{ ...wholeMonth, rotations: Array.from({ length: 25 }, (_, i) => at(`2026-02-${10 + (i % 10)}T00:00`)) }],
      "3.00",
    ],
    ["rotated in the middle", [{ ...wholeMonth, rotations: [at("2026-05-16T12:00")] }], "1.50"],
    [
      "the third rotation in the middle is free",
      [{ ...wholeMonth, rotations: [at("2026-05-16T12:00"), at("2026-02-01T00:00"), at("2026-03-01T00:00")] }],
      "3.00",
    ],
    ["a rotation to come", [{ ...wholeMonth, rotations: [at("2026-06-16T12:00")] }], "1.00"],
  ])("%s", (_what, keys, usd) => {
    expect(billOf(...keys)).toBe(usd)
  })

  test("a month so far counts the hours that have begun", () => {
    const bill = kmsBill({ month: MAY, keys: [wholeMonth], requests: {}, until: at("2026-05-01T23:59") })
    expect(bill.lines).toEqual([
      { item: "keys", text: "customer managed keys", quantity: 24, free: 0, microUsd: 32_258 },
    ])
  })

  test.each([
    ["2026-02", 672],
    ["2028-02", 696],
    ["2026-04", 720],
  ])("%s has %i hours, and a key of the whole month costs 1.00", (month, hours) => {
    const bill = kmsBill({ month, keys: [{ createdAt: at("2025-01-01T00:00") }], requests: {} })
    expect(bill).toMatchObject({ usd: "1.00", lines: [{ quantity: hours }] })
  })
})

describe("estimates", () => {
  test.each([
    ["nothing", {}, 0],
    ["volumes", { volumes: 250 }, 750],
    ["volumes with other requests each", { volumes: 10, requestsPerVolume: 2 }, 20],
    ["objects", { objectsWritten: 3, objectsRead: 4, otherRequests: 5 }, 12],
    ["99 percent saved", { objectsWritten: 10_000, objectsRead: 2_000_000, bucketKey: { savedPercent: 99 } }, 20_100],
    ["a part of a request is a whole one", { objectsWritten: 1, bucketKey: { savedPercent: 99 } }, 1],
    ["a bucket key of five minutes", { objectsWritten: 10_000, objectsRead: 2_000_000, bucketKey: {} }, 17_856],
    ["few objects under a bucket key", { objectsWritten: 10, objectsRead: 20, bucketKey: {} }, 30],
    [
      "two processes, three buckets, an hour",
      { objectsWritten: 1e6, objectsRead: 1e6, bucketKey: { processes: 2, buckets: 3, maxAgeSeconds: 3600 } },
      8928,
    ],
  ])("%s", (_what, workload, requests) => {
    expect(workloadRequests(workload)).toBe(requests)
  })

  test("rotations cost up to two key-months", () => {
    expect([0, 1, 2, 3, 25].map((rotationsPerKey) => estimateCost({ keys: 2, rotationsPerKey }).usd)).toEqual([
      ...["2.00", "4.00", "6.00", "6.00", "6.00"],
    ])
  })

  test.each([
    [{ keys: -1 }],
    [{ volumes: 0.5 }],
    [{ objectsWritten: Number.NaN }],
    [{ bucketKey: { savedPercent: 101 } }],
    [{ bucketKey: { maxAgeSeconds: 0 } }],
    [{ volumes: Number.MAX_SAFE_INTEGER }],
  ])("%j is a caller's mistake", (workload) => {
    expect(() => estimateCost(workload)).toThrow(RangeError)
  })
})

describe("prices", () => {
  test("are dated, and of a month before the oldest nothing is said", () => {
    expect(pricesOf("2024-04")).toBe(priceTables[0])
    expect(pricesOf()).toBe(priceTables.at(-1))
    expect(() => pricesOf("2024-03")).toThrow("no prices are known before 2024-04")
    for (const month of ["2026", "2026-13", "2026-5", "May"]) expect(() => pricesOf(month)).toThrow(RangeError)
  })

  test("of another table can be given", () => {
    const prices = { ...pricesOf(), keyMonth: 2_000_000, freeRequests: 0 }
    expect(kmsBill({ month: MAY, keys: [wholeMonth], requests: { standard: 10_000 }, prices }).usd).toBe("2.03")
  })
})

test("amounts are written exactly", () => {
  for (const [amount, text] of [
    [0, "0.00"],
    [1, "0.000001"],
    [10_000, "0.01"],
    [100_000, "0.10"],
    [1_234_500, "1.2345"],
    [-1_000_000, "-1.00"],
    [123_456_789_012_345, "123456789.012345"],
  ] as const)
    expect(formatUsd(amount)).toBe(text)
  expect(monthOf(at("2026-05-31T23:59"))).toBe(MAY)
})

test("property: a bill is the sum of its parts, and never less for more", () => {
  const count = fc.integer({ min: 0, max: 1e9 })
  fc.assert(
    fc.property(count, count, count, (a, b, c) => {
      const cost = (standard: number, asymmetric = 0) =>
        kmsBill({ month: MAY, keys: [], requests: { standard, asymmetric } }).microUsd
      expect(cost(a + b)).toBeGreaterThanOrEqual(cost(a))
      expect(cost(a, c)).toBe(cost(a) + cost(0, c))
      expect(cost(20_000 + a)).toBe(3 * a)
    }),
  )
})
