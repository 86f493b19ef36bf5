import { describe, expect, test } from "vitest"
import { explain } from "../../../src/local-kms/policy/index.ts"
import { actionCases } from "./tables/actions.ts"
import { conditionKeyCases } from "./tables/condition-keys.ts"
import { evaluationCases } from "./tables/evaluation.ts"
import { operatorCases } from "./tables/operators.ts"
import { principalCases } from "./tables/principals.ts"
import { setCases } from "./tables/sets.ts"
import { variableCases } from "./tables/variables.ts"
import { type Case, decide, policiesOf, requestOf, verdictOf } from "./world.ts"

const tables: Readonly<Record<string, readonly Case[]>> = {
  "principals (POL-2.1, POL-2.2, POL-2.3, POL-2.4, POL-2.5)": principalCases,
  "actions and resources (POL-3.1, POL-3.2, POL-1.7)": actionCases,
  "variables (POL-4.1, POL-4.2, POL-4.3, POL-4.4)": variableCases,
  "condition operators (POL-5.3, POL-5.5, POL-5.7)": operatorCases,
  "sets of values and several conditions (POL-5.4, POL-5.6)": setCases,
  "condition keys (POL-5.1, POL-5.2, POL-5.8)": conditionKeyCases,
  "evaluation (POL-6.1, POL-6.2, POL-6.3, POL-6.4, POL-6.5, POL-6.6, POL-6.7, POL-6.8)": evaluationCases,
}

describe.each(Object.entries(tables))("%s", (_what, cases) => {
  test.each(cases)("$name: $verdict [$page]", (row) => {
    expect(verdictOf(decide(row))).toBe(row.verdict)
  })

  test("an explanation decides like the evaluation, and its statements tell why (POL-7.2)", () => {
    for (const row of cases) {
      const { decision, message, policies } = explain(requestOf(row.request), policiesOf(row))
      expect(verdictOf(decision), row.name).toBe(row.verdict)
      expect(message === undefined, row.name).toBe(decision.allowed)
      const applies = policies.flatMap(({ statements }) => statements).filter((statement) => statement.applies)
      const denies = applies.some(({ effect }) => effect === "Deny")
      expect(denies, row.name).toBe(!decision.allowed && decision.reason === "explicitDeny")
    }
  })
})

test("there are more than three hundred cases, each with the page it comes from, no two alike", () => {
  const cases = Object.values(tables).flat()
  expect(cases.length).toBeGreaterThan(300)
  expect(cases.filter(({ page }) => !/^(?:IAM|kms)\/latest\/[\w/-]+\.html$/.test(page))).toEqual([])
  expect(new Set(cases.map(({ name }) => name)).size).toBe(cases.length)
})
