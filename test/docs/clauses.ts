import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"

const CLAUSE = /\b[A-Z]{3,}-\d+\.\d+\b/g

/** Clauses that a specification defines: bold, at the start of a paragraph. */
export const definedClauses = (markdown: string): string[] =>
  [...markdown.matchAll(/^\*\*([A-Z]{3,}-\d+\.\d+)\*\*/gm)].map(([, clause]) => clause!)

/** Clauses that a text names. */
const citedClauses = (text: string): string[] => text.match(CLAUSE) ?? []

/** The texts of all files under a folder whose names end so, by path. */
export function readTexts(folder: string, ending: string): Map<string, string> {
  const paths = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((path) => path.endsWith(ending))
  return new Map(paths.sort().map((path) => [join(folder, path), readFileSync(join(folder, path), "utf8")]))
}

/** What is wrong between specification, sources and tests, one line for each fault. */
export function clauseFaults(
  specifications: ReadonlyMap<string, string>,
  sources: ReadonlyMap<string, string>,
  tests: ReadonlyMap<string, string>,
): string[] {
  const defined = [...specifications.values()].flatMap(definedClauses)
  const series = new Set(defined.map(seriesOf))
  const bySources = citations(sources)
  const byTests = citations(tests)
  return [
    ...defined.filter((clause, i) => defined.indexOf(clause) !== i).map((clause) => `${clause} is defined twice`),
    ...defined.filter((clause) => !bySources.has(clause)).map((clause) => `${clause} is cited nowhere in src/`),
    ...defined.filter((clause) => !byTests.has(clause)).map((clause) => `${clause} is cited by no test`),
    ...[...citations(specifications), ...bySources, ...byTests]
      .filter(([clause]) => series.has(seriesOf(clause)) && !defined.includes(clause))
      .map(([clause, path]) => `${path} cites ${clause}, which no specification defines`),
  ]
}

/** `MSG` of `MSG-1.1`. What looks like a clause of a series that nothing defines is something else. */
const seriesOf = (clause: string): string => clause.slice(0, clause.indexOf("-"))

/** Every clause cited, with a file that does. */
const citations = (texts: ReadonlyMap<string, string>): Map<string, string> =>
  new Map([...texts].flatMap(([path, text]) => citedClauses(text).map((clause): [string, string] => [clause, path])))
