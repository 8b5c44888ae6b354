/**
 * Markdown and reStructuredText by headings: a section is a heading, what stands under it, and its subsections. In a
 * changelog sections are versions, the newest first; entries that both sides added stand side by side.
 */
import { branch, leaf, type Interner, type Tree } from '../../tree/tree.ts'
import { linesOf, type Line } from './lines-tree.ts'

type Heading = { readonly level: number; readonly title: string; readonly lines: readonly Line[] }
type Open = { readonly level: number; readonly key: string; readonly parts: Tree[] }

export function isChangelog(path: string): boolean {
  return (
    /(^|\/)(change(s|log)|history|news|release[-_]?notes|releases)([-_.\w]*)?$/i.test(path) &&
    !/\.(py|js|ts|go|java|json|ya?ml)$/i.test(path)
  )
}

export function changelogTree(source: string, interner: Interner): Tree {
  const root: Open = { level: 0, key: '', parts: [] }
  const stack: Open[] = [root]
  const underlines: string[] = []
  const lines = linesOf(source)
  const close = (level: number): void => {
    for (let open = stack.at(-1); open && open.level >= level && stack.length > 1; open = stack.at(-1)) {
      stack.pop()
      stack.at(-1)?.parts.push(section(open, interner))
    }
  }
  for (let i = 0; i < lines.length;) {
    const heading = headingAt(lines, i, underlines)
    const [first] = heading?.lines ?? []
    if (heading && first) {
      close(heading.level)
      const last = heading.lines.at(-1) ?? first
      const text = source.slice(first.start, last.start + last.text.length)
      stack.push({
        level: heading.level,
        key: titleKey(heading.title),
        parts: [leaf(interner, 'heading', text, first.start)],
      })
      i += heading.lines.length
      continue
    }
    const end = endOfEntry(lines, i)
    const from = lines[i]
    const to = lines[end - 1]
    if (from && to) {
      const text = source.slice(from.start, to.start + to.text.length)
      const entry = leaf(interner, isBullet(text) ? 'bullet' : 'paragraph', text, from.start)
      stack
        .at(-1)
        ?.parts.push(
          isBullet(text) ? { ...entry, key: `entry ${text.replaceAll(/\s+/g, ' ')}`, free: true } : entry,
        )
    }
    i = end
  }
  close(1)
  return branch(interner, 'changelog', root.parts, { start: 0, end: source.length })
}

function section({ key, parts }: Open, interner: Interner): Tree {
  // Entries come first, subsections after them: two lists, so that each keeps its own order.
  const [heading, ...rest] = parts
  const cut = rest.findIndex(({ kind }) => kind === 'section')
  const entries = cut < 0 ? rest : rest.slice(0, cut)
  const below = cut < 0 ? [] : rest.slice(cut)
  const lists = [
    ...(entries.length > 0 ? [branch(interner, 'entries', entries)] : []),
    ...(below.length > 0 ? [branch(interner, 'subsections', below)] : []),
  ]
  return branch(interner, 'section', [...(heading ? [heading] : []), ...lists], {
    key: `section ${key}`,
    free: true,
  })
}

const isBullet = (text: string): boolean => /^([-*+]|\d+\.)\s/.test(text)

/** An entry goes on while lines are indented deeper than its bullet; a paragraph is one line. */
function endOfEntry(lines: readonly Line[], from: number): number {
  const first = lines[from]
  let end = from + 1
  if (!first || !isBullet(first.text)) return end
  while (end < lines.length && (lines[end]?.indent ?? 0) > first.indent) end++
  return end
}

function headingAt(lines: readonly Line[], i: number, underlines: string[]): Heading | undefined {
  const line = lines[i]
  const next = lines[i + 1]
  if (!line || line.indent > 3) return undefined
  const atx = /^(#{1,6})\s+(.+?)\s*#*$/.exec(line.text)
  if (atx) return { level: atx[1]?.length ?? 1, title: atx[2] ?? '', lines: [line] }
  const rule = next && /^([=\-~^"*+#])\1{2,}$/.exec(next.text)
  if (
    !rule ||
    !next ||
    isBullet(line.text) ||
    next.indent !== line.indent ||
    next.start - line.start > line.text.length + 2
  )
    return undefined
  const mark = rule[1] ?? '='
  if (!underlines.includes(mark)) underlines.push(mark)
  return { level: underlines.indexOf(mark) + 1, title: line.text, lines: [line, next] }
}

/** A version is the same section when its date changes. */
function titleKey(title: string): string {
  if (/unreleased|in development|not yet released|upcoming/i.test(title) && !VERSION.test(title))
    return 'unreleased'
  return VERSION.exec(title)?.[0].replace(/^v/, '') ?? title.toLowerCase()
}

const VERSION = /v?\d+\.[\d.]+(?:[-.]?(?:alpha|beta|rc|dev|pre|M|a|b)[-.]?\d*)?/i

/** Newest first: a place for comparing sections, or undefined for what is no version. */
export function versionRank(key: string): readonly number[] | undefined {
  const title = key.replace(/^section /, '')
  if (title === 'unreleased') return [Number.POSITIVE_INFINITY]
  if (!VERSION.test(title)) return undefined
  const [release = '', pre] = title.split(/[-.]?(?=alpha|beta|rc|dev|pre|M|a|b)/i)
  const numbers = release.split('.').filter(Boolean).map(Number)
  while (numbers.length < 4) numbers.push(0)
  const stage =
    pre === undefined
      ? 9
      : Math.max(
          0,
          'dev pre a alpha b beta m rc'.split(' ').indexOf((/[a-z]+/i.exec(pre)?.[0] ?? '').toLowerCase()),
        )
  return [...numbers, stage, Number(/\d+/.exec(pre ?? '')?.[0] ?? 0)]
}
