/**
 * The rows of RFC 4180 text that comes in pieces. Line ends within quotes belong to the field.
 *
 * @throws SyntaxError for text that ends within quotes
 */
export async function* csvRows(text: AsyncIterable<string>): AsyncGenerator<string[]> {
  let row: string[] = []
  let field = ""
  let quoted = false
  // A quote within quotes ends them unless another one follows, perhaps in the next piece.
  let quoteSeen = false
  for await (const piece of text) {
    for (const character of piece) {
      if (quoteSeen) {
        quoteSeen = false
        if (character === '"') {
          field += '"'
          continue
        }
        quoted = false
      }
      if (quoted) {
        if (character === '"') quoteSeen = true
        else field += character
      } else if (character === '"') quoted = true
      else if (character === ",") {
        row.push(field)
        field = ""
      } else if (character === "\n") {
        row.push(field)
        yield row
        row = []
        field = ""
      } else if (character !== "\r") field += character
    }
  }
  if (quoted && !quoteSeen) throw new SyntaxError("the text ends within quotes")
  if (field !== "" || row.length > 0) yield [...row, field]
}
