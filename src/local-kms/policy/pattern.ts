import type { PolicyVersion } from "./document.ts"

/** Any number of characters, also none. */
const MANY = Symbol("*")
/** One character. */
const ONE = Symbol("?")

type Token = string | typeof MANY | typeof ONE

interface Variable {
  readonly key: string
  readonly fallback?: string
}

/** The values of a condition key in a request, by its name in lower case; undefined where the request has none. */
export type Lookup = (key: string) => readonly string[] | undefined

/** A value of a policy: text, wildcards where they count, and variables (POL-4.1). */
export interface Pattern {
  readonly text: string
  readonly hasVariables: boolean
  /** Without variables: what stays to be compared. */
  readonly tokens?: readonly Token[]
  /** Without variables and wildcards: the one text it matches. */
  readonly literal?: string
  readonly parts: readonly (Token | Variable)[]
}

const REFERENCE = /\$\{([^{}]*)\}/g
const VARIABLE = /^\s*([^,']+?)\s*(?:,\s*'([^']*)'\s*)?$/
const LITERALS = ["*", "?", "$"]

/** Reads a value in which `*` and `?` are wildcards. */
export const wildcardPattern = (text: string, version: PolicyVersion): Pattern =>
  readPattern(text, version, (character) => (character === "*" ? MANY : character === "?" ? ONE : character))

/** Reads a value in which `*` and `?` stand for themselves. */
export const literalPattern = (text: string, version: PolicyVersion): Pattern =>
  readPattern(text, version, (character) => character)

function readPattern(text: string, version: PolicyVersion, token: (character: string) => Token): Pattern {
  const parts: (Token | Variable)[] = []
  const addText = (piece: string): void => {
    for (let i = 0; i < piece.length; i++) parts.push(token(piece[i]!))
  }
  let at = 0
  // POL-4.4: in the older version a reference is text like any other.
  for (const match of version === "2012-10-17" ? text.matchAll(REFERENCE) : []) {
    addText(text.slice(at, match.index))
    parts.push(readReference(match[1]!))
    at = match.index + match[0].length
  }
  addText(text.slice(at))
  const hasVariables = parts.some((part) => typeof part === "object")
  const isLiteral = parts.every((part) => typeof part === "string")
  return {
    text,
    hasVariables,
    parts,
    ...(hasVariables ? {} : { tokens: parts as Token[] }),
    ...(isLiteral ? { literal: parts.join("") } : {}),
  }
}

function readReference(content: string): Token | Variable {
  if (LITERALS.includes(content)) return content
  const [, key, fallback] = VARIABLE.exec(content) ?? []
  // What is no variable is one that no request has: it never matches (POL-4.3).
  if (key === undefined) return { key: "" }
  return { key: key.toLowerCase(), ...(fallback === undefined ? {} : { fallback }) }
}

/** @returns undefined where the request lacks a variable, or has several values for it (POL-4.3) */
function resolve(pattern: Pattern, lookup: Lookup): readonly Token[] | undefined {
  if (pattern.tokens !== undefined) return pattern.tokens
  const tokens: Token[] = []
  for (const part of pattern.parts) {
    if (typeof part !== "object") tokens.push(part)
    else {
      const values = lookup(part.key)
      const value = values?.length === 1 ? values[0] : values === undefined ? part.fallback : undefined
      if (value === undefined) return undefined
      // Character by character, never as a pattern: a tag's value may contain an asterisk (POL-4.2).
      for (let i = 0; i < value.length; i++) tokens.push(value[i]!)
    }
  }
  return tokens
}

export const isResolvable = (pattern: Pattern, lookup: Lookup): boolean =>
  !pattern.hasVariables || resolve(pattern, lookup) !== undefined

export function matchesPattern(pattern: Pattern, text: string, lookup: Lookup): boolean {
  if (pattern.literal !== undefined) return pattern.literal === text
  const tokens = resolve(pattern, lookup)
  return tokens !== undefined && matchesTokens(tokens, text)
}

export function matchesIgnoringCase(pattern: Pattern, text: string, lookup: Lookup): boolean {
  const tokens = resolve(pattern, lookup)?.map((token) => (typeof token === "string" ? token.toLowerCase() : token))
  return tokens !== undefined && matchesTokens(tokens, text.toLowerCase())
}

const ARN_PARTS = 6

/** Compares ARNs part by part: a wildcard never reaches beyond its part, the last part may have colons (POL-5.7). */
export function matchesArn(pattern: Pattern, arn: string, lookup: Lookup): boolean {
  const tokens = resolve(pattern, lookup)
  if (tokens === undefined) return false
  if (tokens.length === 1 && tokens[0] === MANY) return isArn(arn)
  const patterns = splitParts(tokens)
  const parts = splitParts([...arn])
  if (patterns.length !== ARN_PARTS || parts.length !== ARN_PARTS) return false
  return patterns.every((part, index) => matchesTokens(part, parts[index]!.join("")))
}

const isArn = (text: string): boolean => text.startsWith("arn:") && text.split(":").length >= ARN_PARTS

function splitParts<T extends Token>(tokens: readonly T[]): T[][] {
  const parts: T[][] = [[]]
  for (const token of tokens) {
    if (token === ":" && parts.length < ARN_PARTS) parts.push([])
    else parts.at(-1)!.push(token)
  }
  return parts
}

/** Goes back to the last asterisk only, so the time is bounded by the product of the lengths. */
function matchesTokens(tokens: readonly Token[], text: string): boolean {
  let at = 0
  let next = 0
  let star = -1
  let resume = 0
  while (at < text.length) {
    const token = tokens[next]
    if (token === MANY) {
      star = next++
      resume = at
    } else if (token === ONE || token === text[at]) {
      next++
      at++
    } else if (star >= 0) {
      next = star + 1
      at = ++resume
    } else return false
  }
  while (tokens[next] === MANY) next++
  return next === tokens.length
}
