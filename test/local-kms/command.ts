/** A command without the SDK: what directClient documents as enough. */
export function command(operation: string, input: object = {}): { readonly input: object } {
  const Command = { [`${operation}Command`]: class {} }[`${operation}Command`]!
  return Object.assign(new Command(), { input })
}
