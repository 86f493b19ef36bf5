const TOKEN = /"(?:[^"\\]|\\.)*"|[{}[\]:,]/g

/**
 * JSON without the freedom to say a thing twice: `JSON.parse` keeps the last of two members of one name, and which of
 * them AWS reads nobody should have to know (POL-1.2).
 *
 * @throws SyntaxError
 */
export function parseStrictJson(text: string): unknown {
  const value: unknown = JSON.parse(text)
  const duplicate = findDuplicateMember(text)
  if (duplicate !== undefined)
    throw new SyntaxError(`the member ${JSON.stringify(duplicate)} occurs twice in one object`)
  return value
}

/** Expects valid JSON, which leaves little to tell apart: a string before a colon is a member's name. */
function findDuplicateMember(text: string): string | undefined {
  const open: (Set<string> | undefined)[] = []
  let previous = ""
  for (const [token] of text.matchAll(TOKEN)) {
    if (token === "{") open.push(new Set())
    else if (token === "[") open.push(undefined)
    else if (token === "}" || token === "]") open.pop()
    else if (token === ":") {
      const name = JSON.parse(previous) as string
      const names = open.at(-1)!
      if (names.has(name)) return name
      names.add(name)
    }
    previous = token
  }
  return undefined
}
