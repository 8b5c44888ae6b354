/** Reads XML into a tree. Elements are known by name and by what names them: Maven coordinates, an id, a name attribute. */
import { branch, leaf, type Interner, type Tree } from '../../tree/tree.ts'

const TOKEN = /<!--[\s\S]*?-->|<!\[CDATA\[[\s\S]*?\]\]>|<\?[\s\S]*?\?>|<![^>]*>|<\/?[A-Za-z_][^<>]*>|[^<]+/gy
const MAX_DEPTH = 200

type Open = { readonly name: string; readonly parts: Tree[] }

export function xmlTree(source: string, interner: Interner): Tree | undefined {
  const stack: Open[] = [{ name: '', parts: [] }]
  let at = 0
  TOKEN.lastIndex = 0
  for (let match = TOKEN.exec(source); match; match = TOKEN.exec(source)) {
    const [raw] = match
    const text = raw.trim()
    const start = at + raw.indexOf(text)
    at += raw.length
    const top = stack.at(-1)
    if (!top) return undefined
    if (text === '') continue
    const tag = /^<(\/?)([\w:.-]+)/.exec(text)
    const token = leaf(interner, tag ? 'tag' : text.startsWith('<!--') ? 'comment' : 'text', text, start)
    if (!tag) top.parts.push(token)
    else if (tag[1] === '/') {
      if (stack.length < 2 || top.name !== tag[2]) return undefined
      stack.pop()
      stack.at(-1)?.parts.push(element(top.name, [...top.parts, token], source, interner))
    } else if (text.endsWith('/>')) top.parts.push(element(tag[2] ?? '', [token], source, interner))
    else {
      if (stack.length > MAX_DEPTH) return undefined
      stack.push({ name: tag[2] ?? '', parts: [token] })
    }
  }
  const [root] = stack
  if (at !== source.length || stack.length !== 1 || !root) return undefined
  return branch(interner, 'document', root.parts, { start: 0, end: source.length })
}

function element(name: string, parts: readonly Tree[], source: string, interner: Interner): Tree {
  const tag = parts[0] ? source.slice(parts[0].start, parts[0].end) : ''
  const child = (wanted: string): string | undefined => {
    const found = parts.find(({ key }) => key === `element ${wanted}`)
    return found && /^<[^>]*>([\s\S]*)<\/[^>]*>$/.exec(source.slice(found.start, found.end))?.[1]?.trim()
  }
  const attribute = /\s(?:id|name|key|Include)\s*=\s*("[^"]*"|'[^']*')/.exec(tag)?.[1]
  const artifact = child('artifactId')
  const coordinates =
    artifact && [child('groupId') ?? '', artifact, child('classifier') ?? '', child('type') ?? ''].join(':')
  const identity =
    coordinates ??
    attribute ??
    (name === 'module' || name === 'include' || name === 'exclude'
      ? source.slice(parts[0]?.end, parts.at(-1)?.start).trim()
      : undefined)
  const isNamed = coordinates !== undefined && /dependency|plugin|exclusion|extension/.test(name)
  const key =
    isNamed || (coordinates === undefined && identity !== undefined)
      ? `element ${name} ${identity}`
      : `element ${name}`
  return branch(interner, 'element', parts, { key, free: true })
}
