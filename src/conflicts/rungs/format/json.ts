/** Reads JSON (comments and trailing commas allowed) into a tree whose pairs are free and known by their key. */
import { branch, leaf, type Interner, type Tree } from '../../tree/tree.ts'

const TOKEN = /\s+|\/\/[^\n]*|\/\*[\s\S]*?\*\/|"(?:[^"\\\n]|\\.)*"|[{}[\]:,]|[^\s{}[\]:,"/]+/gy
const MAX_DEPTH = 300

/** Undefined when it is no JSON, or nested deeper than any document that people write. */
export function jsonTree(source: string, interner: Interner): Tree | undefined {
  const tokens: Tree[] = []
  let at = 0
  TOKEN.lastIndex = 0
  for (let match = TOKEN.exec(source); match; match = TOKEN.exec(source)) {
    const [text] = match
    if (text.trim() !== '') tokens.push(leaf(interner, kindOf(text), text, at))
    at += text.length
    TOKEN.lastIndex = at
    if (at >= source.length) break
  }
  if (at !== source.length) return undefined
  const reader = createReader(tokens, interner)
  const value = reader.value(0)
  const rest = reader.comments()
  if (!value || !reader.isAtEnd()) return undefined
  return branch(interner, 'document', [...value, ...rest], { start: 0, end: source.length })
}

const kindOf = (text: string): string =>
  /^[{}[\]:,]$/.test(text) ? text : text.startsWith('//') || text.startsWith('/*') ? 'comment' : 'scalar'

function createReader(tokens: readonly Tree[], interner: Interner) {
  let next = 0
  const comments = (): Tree[] => {
    const found: Tree[] = []
    for (let token = tokens[next]; token?.kind === 'comment'; token = tokens[++next]) found.push(token)
    return found
  }
  const items = (close: string, one: () => Tree[] | undefined): Tree[] | undefined => {
    const open = tokens[next++]
    const parts: Tree[] = open ? [open] : []
    for (;;) {
      parts.push(...comments())
      const token = tokens[next]
      if (!token) return undefined
      if (token.kind === close) {
        next++
        return [...parts, token]
      }
      if (token.kind === ',') {
        parts.push(token)
        next++
        continue
      }
      const item = one()
      if (!item) return undefined
      parts.push(...item)
    }
  }
  const value = (depth: number): Tree[] | undefined => {
    const before = comments()
    const token = tokens[next]
    if (!token || depth > MAX_DEPTH) return undefined
    if (token.kind === '{') {
      const parts = items('}', () => pair(depth + 1))
      return parts && [...before, branch(interner, 'object', parts)]
    }
    if (token.kind === '[') {
      const parts = items(']', () => value(depth + 1))
      return parts && [...before, branch(interner, 'array', parts)]
    }
    if (token.kind !== 'scalar') return undefined
    next++
    return [...before, token]
  }
  const pair = (depth: number): Tree[] | undefined => {
    const key = tokens[next++]
    const colon = tokens[next++]
    if (key?.kind !== 'scalar' || colon?.kind !== ':') return undefined
    const held = value(depth)
    // Two values in a row are no JSON: the last one must be followed by a comma or the end.
    const follows = tokens[next]?.kind
    if (!held || (follows !== ',' && follows !== '}' && follows !== 'comment')) return undefined
    return [
      branch(interner, 'pair', [key, colon, ...held], {
        key: `pair ${interner('scalar', String(key.id))}`,
        free: true,
      }),
    ]
  }
  return { value, comments, isAtEnd: () => next === tokens.length }
}
