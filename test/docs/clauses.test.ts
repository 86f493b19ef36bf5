import { describe, expect, test } from "vitest"
import { clauseFaults, definedClauses, readTexts } from "./clauses.ts"

const OWN = "test/docs/clauses"

const specifications = readTexts("docs/spec", ".md")
const tests = new Map([...readTexts("test", ".ts")].filter(([path]) => !path.startsWith(OWN)))

describe("the specifications in docs/spec", () => {
  test("every clause is cited where the code decides it and where a test holds it to account", () => {
    expect(clauseFaults(specifications, readTexts("src", ".ts"), tests)).toEqual([])
  })

  test.each([...specifications])("%s numbers its clauses without gaps", (_path, text) => {
    const clauses = definedClauses(text).map((clause) => clause.split(/[-.]/))
    const sections = [...text.matchAll(/^## (\d+)\. /gm)].map(([, number]) => number)
    expect(clauses.length).toBeGreaterThan(10)
    for (const section of sections) {
      const numbers = clauses.filter(([, of]) => of === section).map(([, , number]) => Number(number))
      expect(numbers).toEqual(numbers.map((_number, i) => i + 1))
    }
    expect(clauses.filter(([, of]) => !sections.includes(of!))).toEqual([])
  })

  test("the check finds what is wrong", () => {
    const specification = new Map([
      ["a.md", "**ABC-1.1** One.\n\n**ABC-1.2** Two, as in ABC-9.9.\n\n**ABC-1.2** Again."],
    ])
    const source = new Map([["a.ts", "// ABC-1.1: here"]])
    const test = new Map([["a.test.ts", "ABC-1.2 ABC-7.7, written to PDF-1.7"]])
    expect(clauseFaults(specification, source, test)).toEqual([
      "ABC-1.2 is defined twice",
      "ABC-1.2 is cited nowhere in src/",
      "ABC-1.2 is cited nowhere in src/",
      "ABC-1.1 is cited by no test",
      "a.md cites ABC-9.9, which no specification defines",
      "a.test.ts cites ABC-7.7, which no specification defines",
    ])
  })
})
