/** Readers for formats made of lines: sets of lines, key-value lines, sections, blocks by indentation. White space stays between. */
import { branch, leaf, type Interner, type Tree } from '../../tree/tree.ts'

export type Line = { readonly text: string; readonly start: number; readonly indent: number }

/** Lines without their indentation and line end; blank lines are white space. */
export function linesOf(source: string): Line[] {
  const lines: Line[] = []
  let at = 0
  for (const raw of source.split('\n')) {
    const text = raw.trim()
    const indent = raw.length - raw.trimStart().length
    if (text !== '') lines.push({ text, start: at + indent, indent })
    at += raw.length + 1
  }
  return lines
}

export type LineKey = (line: string) => string | undefined

/** Each line by itself, comments with the line they stand above. */
export function lineSet(source: string, keyOf: LineKey, interner: Interner): Tree {
  return branch(interner, 'lines', withComments(linesOf(source), keyOf, interner), {
    start: 0,
    end: source.length,
  })
}

function withComments(lines: readonly Line[], keyOf: LineKey, interner: Interner): Tree[] {
  const out: Tree[] = []
  for (const { text, start } of lines) {
    const key = keyOf(text)
    const tree = leaf(interner, 'line', text, start)
    out.push(key === undefined ? tree : { ...tree, key, free: true })
  }
  return out
}

/** TOML and INI: a section is its header and the key lines up to the next header. */
export function sectionTree(source: string, keyOf: LineKey, interner: Interner): Tree {
  const sections: Tree[] = []
  let open: { key: string | undefined; parts: Tree[] } = { key: '', parts: [] }
  const close = (): void => {
    if (open.parts.length > 0)
      sections.push(
        branch(interner, 'section', open.parts, {
          key: open.key,
          free: open.key !== '' && open.key !== undefined,
        }),
      )
  }
  let pending: Line[] = []
  const lines = linesOf(source)
  for (let i = 0; i < lines.length; i++) {
    const line = lines[i]
    if (!line) continue
    const header = /^\[\[?[^\]]+\]\]?/.exec(line.text)?.[0]
    if (header !== undefined) {
      close()
      // Tables of an array share a header: they have no key of their own.
      open = { key: header.startsWith('[[') ? undefined : header, parts: [] }
    }
    if (line.text.startsWith('#')) {
      pending.push(line)
      continue
    }
    open.parts.push(...pending.map(({ text, start }) => leaf(interner, 'comment', text, start)))
    pending = []
    const last = lines[endOfValue(lines, i)] ?? line
    const text = source.slice(line.start, last.start + last.text.length)
    const tree = leaf(interner, header === undefined ? 'line' : 'header', text, line.start)
    const key = header === undefined ? keyOf(line.text) : undefined
    open.parts.push(key === undefined ? tree : { ...tree, key, free: true })
    i = lines.indexOf(last, i)
  }
  open.parts.push(...pending.map(({ text, start }) => leaf(interner, 'comment', text, start)))
  close()
  return branch(interner, 'sections', sections, { start: 0, end: source.length })
}

/** A value goes on while brackets or triple quotes are open. */
function endOfValue(lines: readonly Line[], from: number): number {
  let depth = 0
  let quoted = false
  for (let i = from; i < lines.length; i++) {
    const text = lines[i]?.text ?? ''
    if (i === from && text.startsWith('[')) return from
    if ((text.match(/"""|'''/g) ?? []).length % 2 === 1) quoted = !quoted
    const bare = text.replaceAll(/"(?:[^"\\]|\\.)*"|'[^']*'|#.*$/g, '')
    for (const c of bare) depth += c === '[' || c === '{' ? 1 : c === ']' || c === '}' ? -1 : 0
    if (depth <= 0 && !quoted) return i
  }
  return from
}

/** YAML: a line owns the lines below it that are indented deeper. */
export function indentTree(source: string, interner: Interner): Tree | undefined {
  const lines = linesOf(source)
  let at = 0
  const block = (minimum: number, depth: number): Tree[] | undefined => {
    if (depth > 200) return undefined
    const out: Tree[] = []
    while (at < lines.length) {
      const line = lines[at]
      if (!line || line.indent < minimum) break
      at++
      const own = leaf(interner, line.text.startsWith('#') ? 'comment' : 'line', line.text, line.start)
      // "- name: x" begins a block at the place of its first key.
      const below = block(line.indent + 1, depth + 1)
      if (!below) return undefined
      const key = /^(?:"([^"]+)"|'([^']+)'|([\w./$@*-][^:#]*?))\s*:(?:\s|$)/.exec(line.text)?.[0]
      const named =
        key !== undefined && !line.text.startsWith('- ') ? { key: `key ${key.trim()}`, free: true } : {}
      out.push(
        branch(
          interner,
          'entry',
          [own, ...(below.length > 0 ? [branch(interner, 'block', below)] : [])],
          named,
        ),
      )
    }
    return out
  }
  const entries = block(0, 0)
  return entries && branch(interner, 'block', entries, { start: 0, end: source.length })
}
