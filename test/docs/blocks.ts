import ts from "typescript"

interface Block {
  /** The line of the opening fence, from 0. */
  readonly fence: number
  /** What follows the fence marks, for instance `ts run`. */
  readonly info: string
  readonly lines: readonly string[]
}

function blocksOf(markdown: string): Block[] {
  const blocks: Block[] = []
  let open: { fence: number; info: string; lines: string[] } | undefined
  for (const [i, line] of markdown.split("\n").entries()) {
    const [, info] = /^```(.*)$/.exec(line) ?? []
    if (open === undefined && info !== undefined) open = { fence: i, info: info.trim(), lines: [] }
    else if (open !== undefined && info === "") {
      blocks.push(open)
      open = undefined
    } else open?.lines.push(line)
  }
  if (open !== undefined) throw new Error(`the code block in line ${open.fence + 1} does not end`)
  return blocks
}

export const isCode = (info: string): boolean => /^(ts|js|mjs|typescript|javascript)\b/.test(info)
export const isRun = (info: string): boolean => isCode(info) && /\brun\b/.test(info)

/**
 * The code blocks of a document as one program in which each block sees what the blocks before it declare, and may
 * declare the same names again. Every line keeps its number; imports and ambient declarations move to the first line.
 *
 * @returns "" when the document has no such block
 */
export function programOf(markdown: string, wanted: (info: string) => boolean): string {
  const blocks = blocksOf(markdown).filter(({ info }) => wanted(info))
  if (blocks.length === 0) return ""
  const program: string[] = markdown.split("\n").map(() => "")
  const hoisted = new Set<string>()
  for (const { fence, lines } of blocks) {
    const { body, taken } = takeHoisted(lines.join("\n"))
    for (const one of taken) hoisted.add(one)
    program[fence] = "{"
    program.splice(fence + 1, lines.length, ...body.split("\n"))
  }
  program[0] = `${[...hoisted].join("; ")}; export {}; ${program[0]}`
  program.push("}".repeat(blocks.length))
  return program.join("\n")
}

/** Takes out what cannot stand in a nested scope. */
function takeHoisted(code: string): { body: string; taken: string[] } {
  const source = ts.createSourceFile("block.ts", code, ts.ScriptTarget.Latest, true)
  const taken: string[] = []
  let body = code
  for (const statement of source.statements) {
    const modifiers = ts.canHaveModifiers(statement) ? (ts.getModifiers(statement) ?? []) : []
    const exported = modifiers.find(({ kind }) => kind === ts.SyntaxKind.ExportKeyword)
    if (ts.isImportDeclaration(statement)) {
      taken.push(...splitImport(statement))
      body = blank(body, statement.getStart(source), statement.end)
    } else if (modifiers.some(({ kind }) => kind === ts.SyntaxKind.DeclareKeyword)) {
      taken.push(statement.getText(source).replace(/\n/g, " "))
      body = blank(body, statement.getStart(source), statement.end)
    } else if (exported !== undefined) {
      body = blank(body, exported.getStart(source), exported.end)
    }
  }
  return { body, taken }
}

/** One name at a time, so that two blocks may import the same. */
function splitImport({ importClause, moduleSpecifier }: ts.ImportDeclaration): string[] {
  const from = moduleSpecifier.getText()
  const bindings = importClause?.namedBindings
  if (bindings === undefined || !ts.isNamedImports(bindings)) {
    return [`import ${importClause === undefined ? "" : `${importClause.getText()} from `}${from}`]
  }
  const type = importClause!.isTypeOnly ? "type " : ""
  return bindings.elements.map((element) => `import { ${type}${element.getText()} } from ${from}`)
}

const blank = (code: string, start: number, end: number): string =>
  code.slice(0, start) + code.slice(start, end).replace(/[^\n]/g, " ") + code.slice(end)
