import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { evaluate, kmsActions, parseIdentityPolicy, parseKeyPolicy } from "../../../src/local-kms/policy/index.ts"
import { ACCOUNT, ALICE, requestOf, user } from "./world.ts"

describe("a malformed policy never permits", () => {
  const base = JSON.stringify({
    Version: "2012-10-17",
    Statement: [
      {
        Sid: "a",
        Effect: "Allow",
        Principal: { AWS: ALICE },
        Action: ["kms:Encrypt", "kms:Describe*"],
        Resource: "*",
        Condition: { StringEquals: { "kms:CallerAccount": ACCOUNT } },
      },
    ],
  })
  const caller = user("Mallory")

  test("no mutation of a policy about Alice lets Mallory in, unless it says Mallory or everybody", () => {
    const mutated = fc
      .array(
        fc.record({
          at: fc.nat(base.length),
          remove: fc.nat(12),
          insert: fc.constantFrom(
            "",
            '"',
            "{",
            "}",
            "[",
            "]",
            ",",
            ":",
            "*",
            "null",
            "Not",
            "Allow",
            "Deny",
            "\\",
            "1",
            " ",
            '"AWS"',
            "AWS",
          ),
        }),
        {
          minLength: 1,
          maxLength: 4,
        },
      )
      .map((edits) =>
        edits.reduce((text, { at, remove, insert }) => text.slice(0, at) + insert + text.slice(at + remove), base),
      )
    let accepted = 0
    fc.assert(
      fc.property(mutated, (text) => {
        const parsed = parseKeyPolicy(text)
        if (!parsed.ok) {
          expect(parsed.problems.length).toBeGreaterThan(0)
          return
        }
        accepted++
        const says = /"\*"\s*[,}\]]|Mallory/.test(text.replace(/"Resource":\s*"\*"/, ""))
        for (const { name } of kmsActions) {
          const { allowed } = evaluate(requestOf({ caller, action: name }), {
            keyPolicy: parsed.policy,
            identityPolicies: [],
          })
          if (!says) expect(allowed).toBe(false)
        }
      }),
      { numRuns: 2000 },
    )
    expect(accepted).toBeGreaterThan(10)
  })

  test("JSON of any shape is refused with typed problems, never with an exception", () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 6 }), (text) => {
        for (const parsed of [parseKeyPolicy(text), parseIdentityPolicy(text)]) {
          expect(parsed.ok).toBe(false)
          if (!parsed.ok) for (const problem of parsed.problems) expect(typeof problem.message).toBe("string")
        }
      }),
      { numRuns: 1000 },
    )
  })

  test("text of any kind is refused, never with an exception", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 200 }), (text) => {
        expect(parseKeyPolicy(text).ok).toBe(false)
      }),
      { numRuns: 1000 },
    )
  })

  test("statements with elements of any type are refused, or evaluate without an exception", () => {
    const any = fc.oneof(
      fc.constantFrom<unknown>("Allow", "Deny", "*", "kms:*", { AWS: "*" }, { AWS: ALICE }, [], {}, null, "2012-10-17"),
      fc.anything({ maxDepth: 3, withNullPrototype: false }),
    )
    const element = fc.constantFrom(
      "Sid",
      "Effect",
      "Principal",
      "NotPrincipal",
      "Action",
      "NotAction",
      "Resource",
      "NotResource",
      "Condition",
    )
    fc.assert(
      fc.property(fc.dictionary(element, any), (stated) => {
        let text: string
        try {
          text = JSON.stringify({ Version: "2012-10-17", Statement: [stated] })
        } catch {
          return
        }
        const parsed = parseKeyPolicy(text)
        if (!parsed.ok) return
        const { Effect, Action, NotAction, Resource, NotResource, Principal } = JSON.parse(text).Statement[0]
        const { allowed } = evaluate(requestOf({ caller }), { keyPolicy: parsed.policy, identityPolicies: [] })
        if (!allowed) return
        expect(Effect).toBe("Allow")
        expect(Action ?? NotAction).toBeDefined()
        expect(Resource ?? NotResource).toBeDefined()
        expect(JSON.stringify(Principal)).toContain("*")
      }),
      { numRuns: 1000 },
    )
  })
})
