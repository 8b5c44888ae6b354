/**
 * Conservation: what a side added, changed or removed is so in the result, or its loss is explained; what neither side
 * touched is as it was.
 *
 * Statements are counted, not positioned: a moved statement is not lost. Comments, blank lines and lone brackets are not
 * statements. Explanations that need no one's word:
 *
 *   format     the same words, wrapped differently
 *   unused     an import whose name the result does not use
 *   adapted    rewritten with the words that the other side's change brought in (a rename that arrived from there)
 *   chosen     both sides changed the same lines and one of the two changes is there
 */
import type { Drop } from '../conflict.ts'
import type { Chunk } from '../text/diff3.ts'
import type { Finding } from './finding.ts'
import { quote } from './finding.ts'
import type { Departure, FourWay, Side } from './four-way.ts'
import { squeeze } from './four-way.ts'
import { isStatement, namesOf, wordsOf } from './language.ts'
import type { Language } from './language.ts'

export type ConservationContext = {
  readonly language: Language
  readonly prose?: boolean
  /** The side whose file was chosen whole, where that was the decision (a policy, a person). Its other side's losses are explained. */
  readonly whole?: Side
  /** Lines of nobody's outside clashes: a machine's rung never has reason to write them; people and models adapt what a side wrote. */
  readonly ownLines: 'blocked' | 'noted'
  /** What the rung says it left out on purpose. */
  readonly drops: readonly Drop[]
}

/** From here on two lines count as two wordings of one thing. Anything from 0.3 to 0.6 measures nearly the same. */
const ALIKE = 0.5
type Counts = ReadonlyMap<string, number>

type Ledger = {
  readonly four: FourWay
  readonly context: ConservationContext
  readonly isStatement: (line: string) => boolean
  /** A statement or the brackets of one: everything but comments. */
  readonly says: (line: string) => boolean
  readonly base: Counts
  readonly ours: Counts
  readonly theirs: Counts
  readonly result: Counts
  /** Statements that the result must hold: those outside clashes. */
  readonly due: Counts
  /** Statements that the sides show inside clashes, and those that the result holds there. */
  readonly open: Counts
  readonly settled: Counts
  /** Words that stand in a side's added lines and nowhere in the base. */
  readonly brought: ReadonlySet<string>
  readonly names: ReadonlyMap<string, number>
  /** The result's statements without white space and separators, in one, and where lines began in it. */
  readonly bare: () => { readonly text: string; readonly starts: ReadonlySet<number> }
  /** Statements that the rung says it left out, by side. */
  readonly dropped: Readonly<Record<Side, ReadonlySet<string>>>
}

export function conservation(four: FourWay, context: ConservationContext): readonly Finding[] {
  // A side taken whole, on purpose, holds all of itself.
  if (context.whole !== undefined && four[context.whole].join('\n') === four.result.join('\n')) return []
  const ledger = openLedger(four, context)
  return [
    ...four.departures.flatMap((departure) => ofDeparture(ledger, departure)),
    ...[...four.resolved.keys()].flatMap((index) => ofClash(ledger, index)),
  ]
}

function openLedger(four: FourWay, context: ConservationContext): Ledger {
  const known = new Map<string, boolean>()
  const statement = (line: string): boolean => {
    let is = known.get(line)
    if (is === undefined) known.set(line, (is = isStatement(line, context.language)))
    return is
  }
  const says = (line: string): boolean => statement(line) || /^[\s()[\]{},;:]+$/.test(line)
  const keys = new Map<string, string>()
  const count = (lines: readonly string[], into = new Map<string, number>()): Map<string, number> => {
    for (const line of lines) {
      let key = keys.get(line)
      if (key === undefined) keys.set(line, (key = canonical(line)))
      into.set(key, (into.get(key) ?? 0) + 1)
    }
    return into
  }
  const due = new Map<string, number>()
  const open = new Map<string, number>()
  const added: string[] = []
  for (const chunk of four.chunks) {
    const [ours, theirs] = [four.ours.slice(chunk.o0, chunk.o1), four.theirs.slice(chunk.t0, chunk.t1)]
    if (chunk.kind === 'clash') {
      count([...ours, ...theirs], open)
    } else count(chunk.kind === 'theirs' ? theirs : ours, due)
    if (chunk.kind !== 'same') added.push(...ours, ...theirs)
  }
  const baseWords = new Set(wordsOf(four.base.join('\n')))
  return {
    four,
    context,
    isStatement: statement,
    says,
    base: count(four.base),
    ours: count(four.ours),
    theirs: count(four.theirs),
    result: count(four.result),
    due,
    open,
    settled: count([...four.resolved.values()].flat().map((index) => four.result[index] ?? '')),
    brought: new Set(wordsOf(added.join('\n')).filter((word) => !baseWords.has(word))),
    names: tally(namesOf(four.result.join('\n'))),
    bare: once(() => bareWithStarts(four.result.filter(says))),
    dropped: { ours: droppedOf(context.drops, 'ours'), theirs: droppedOf(context.drops, 'theirs') },
  }
}

/** A statement as it counts: without white space, trailing comment and the separators that a neighbour line causes. */
function canonical(line: string): string {
  return squeeze(line.replace(/\s(\/\/|#)\s.*$/, ''))
    .replaceAll(/['`]/g, '"')
    .replace(/[,;\\]+$/, '')
}

function tally(items: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>()
  for (const item of items) counts.set(item, (counts.get(item) ?? 0) + 1)
  return counts
}

const at = (counts: Counts, line: string): number => counts.get(canonical(line)) ?? 0

function ofDeparture(ledger: Ledger, departure: Departure): readonly Finding[] {
  const { four } = ledger
  const come = departure.come.map((index) => four.result[index] ?? '')
  const lost = departure.gone.filter(
    ({ line }) => ledger.isStatement(line) && available(ledger, line) < at(ledger.due, line),
  )
  const extra = come.filter(
    (line) =>
      ledger.isStatement(line) && at(ledger.result, line) > at(ledger.due, line) + at(ledger.open, line),
  )
  const loser = ledger.context.whole === 'ours' ? 'theirs' : 'ours'
  const goneText = departure.gone.map(({ line }) => line).join('\n')
  if (lost.length === 0 && extra.length === 0) return []
  if (
    sameWords(
      ledger,
      departure.gone.map((one) => one.line),
      come,
    )
  )
    return []
  const line = departure.at + 1
  const returned = extra.filter(
    (text) => at(ledger.base, text) > 0 && at(ledger.base, text) >= at(ledger.result, text),
  )
  if (returned.length > 0 && lost.length === 0 && !ledger.context.whole)
    return ledger.context.prose || returned.every((text) => isUsedImport(ledger, text))
      ? [note('kept', `${quote(returned[0] ?? '')} was removed by a side and is still there`, line)]
      : [blocks('returned', `${quote(returned[0] ?? '')} was removed by a side and is back`, line)]
  const { chosen } = departure
  const gaveWay = (one: Departure['gone'][number]): boolean =>
    chosen !== undefined &&
    one.kind === (chosen.side === 'ours' ? 'theirs' : 'ours') &&
    chosen.added.some((text) => likeness(text, one.line) >= ALIKE)
  const unexplained = lost.filter(
    (one) =>
      !gaveWay(one) &&
      !(at(ledger.result, one.line) === 0 && isRewrapped(ledger, one.line)) &&
      !isExplained(ledger, one.line, one.kind) &&
      !isUnusedImport(ledger, one.line, one.kind === 'same' ? undefined : come) &&
      !(one.kind === loser && ledger.context.whole),
  )
  if (unexplained.length > 0) {
    if (isAdapted(ledger, goneText, come.join('\n')))
      return [
        note(
          'adapted',
          `${quote(unexplained[0]?.line ?? '')} was rewritten with words of the other side`,
          line,
        ),
      ]
    const isUndone = departure.undoneTo.some((text) => ledger.isStatement(text) && come.includes(text))
    if (
      ledger.context.prose &&
      !isUndone &&
      unexplained.every((one) => one.kind !== 'same' && come.some((text) => likeness(text, one.line) >= 0.6))
    )
      return [note('reworded', `${quote(unexplained[0]?.line ?? '')} was worded anew`, line)]
    if (
      ledger.context.ownLines === 'noted' &&
      !isUndone &&
      unexplained.every(
        ({ kind, line: text }) =>
          kind !== 'same' &&
          (likeness(goneText, come.join('\n')) >= 0.3 ||
            come.some((other) => likeness(other, text) >= ALIKE)) &&
          text,
      ) &&
      extra.some((text) => isForeign(ledger, text))
    )
      return [
        note('rewritten', `${quote(unexplained[0]?.line ?? '')} was rewritten outside any conflict`, line),
      ]
    const side = unexplained.find(({ kind }) => kind !== 'same')
    if (!side)
      return [
        blocks(
          'unchanged-region',
          `${quote(unexplained[0]?.line ?? '')}, which neither side changed, is gone`,
          line,
        ),
      ]
    const whose = side.kind === 'both' ? 'both sides' : side.kind
    return [blocks('lost', `${quote(side.line)}, added by ${whose}, is gone`, line)]
  }
  const foreign = extra.filter((text) => isForeign(ledger, text))
  if (foreign.length > 0 && !departure.besideClash && lost.length === 0) {
    if (foreign.every((text) => isUsedImport(ledger, text) || ledger.context.language === 'text'))
      return [note('own-line', `${quote(foreign[0] ?? '')} is in none of the three versions`, line)]
    return [
      blocks(
        'foreign-line',
        `${quote(foreign[0] ?? '')} is in none of the three versions and far from any conflict`,
        line,
      ),
    ]
  }
  return []
}

/** How often the result holds a statement, copies that answer to a clash left out. */
function available(ledger: Ledger, line: string): number {
  const settled = at(ledger.settled, line)
  return at(ledger.result, line) - Math.min(settled, at(ledger.open, line))
}

/** In none of the three versions. */
function isForeign(ledger: Ledger, line: string): boolean {
  return at(ledger.base, line) + at(ledger.ours, line) + at(ledger.theirs, line) === 0
}

/** Re-wrapped: equal words, when quotes, brackets and separators that a formatter sets are left aside. */
function sameWords(ledger: Ledger, before: readonly string[], after: readonly string[]): boolean {
  const bare = (lines: readonly string[]): string => bareOf(lines.filter(ledger.says))
  return bare(before) === bare(after)
}

function once<T>(make: () => T): () => T {
  let made: { readonly value: T } | undefined
  return () => (made ??= { value: make() }).value
}

function bareWithStarts(lines: readonly string[]): {
  readonly text: string
  readonly starts: ReadonlySet<number>
} {
  const starts = new Set<number>()
  let text = ''
  for (const line of lines) {
    starts.add(text.length)
    text += bareOf([line])
  }
  starts.add(text.length)
  return { text, starts }
}

function bareOf(lines: readonly string[]): string {
  return (
    lines
      .join('')
      // An empty pair of brackets is a call, others may come with a line break.
      .replaceAll(/\(\s*\)/g, '\u0001')
      .replaceAll(/[\s,;()\\]+/g, '')
      .replaceAll(/['`]/g, '"')
  )
}

/** The line is there, with a line break somewhere else. */
function isRewrapped(ledger: Ledger, line: string): boolean {
  const bare = bareOf([line.replace(/\s(\/\/|#)\s.*$/, '')])
  if (bare.length < 12) return false
  const { text, starts } = ledger.bare()
  const found = text.indexOf(bare)
  const end = found + bare.length
  return (
    found >= 0 &&
    (starts.has(found) || !/[\w.]/.test(text[found - 1] ?? '')) &&
    (starts.has(end) || !/[\w.]/.test(text[end] ?? ''))
  )
}

function droppedOf(drops: readonly Drop[], side: Side): ReadonlySet<string> {
  return new Set(
    drops.flatMap((drop) =>
      drop.side === side ? drop.what.split(/\r?\n/).map(canonical).filter(Boolean) : [],
    ),
  )
}

/** The rung said so, side by side and statement by statement; or it is a marker that somebody had committed. */
function isExplained(ledger: Ledger, line: string, kind: Chunk['kind']): boolean {
  if (/^(<{7}|>{7}|\|{7}|={7})(\s|$)/.test(line)) return true
  return (kind === 'ours' || kind === 'theirs') && ledger.dropped[kind].has(canonical(line))
}

const IMPORT =
  /^\s*(import\b|from\s+\S+\s+import\b|export\s.*\sfrom\b|(const|var|let)\s.*=\s*require\(|(\w+\s+)?"[\w./-]+"$|[\w$]+( as [\w$]+)?,?\s*$|import static)/

/** Names that an import line brings in; undefined when it is not an import. */
function importedNames(line: string): readonly string[] | undefined {
  if (!IMPORT.test(line)) return undefined
  const bare = line
    .replace(/\bfrom\s+['"].*$/, '')
    .replace(/=\s*require\(.*$/, '')
    .replace(/^\s*from\s+\S+\s+import\b/, '')
  const names = namesOf(bare).filter(
    (name) => !/^(import|from|as|static|type|const|var|let|export|default)$/.test(name),
  )
  if (/^\s*import\s+(static\s+)?[\w.]+;/.test(line)) return names.slice(-1)
  return names
}

/** Each name stands in the result at most inside other imports: nothing uses it. */
function isUnusedImport(ledger: Ledger, line: string, come?: readonly string[]): boolean {
  const names = importedNames(line)
  if (names === undefined || names.length === 0) return false
  if (!names.every((name) => (ledger.names.get(name) ?? 0) === 0)) {
    // Imported by another line that took its place: `import a` became `import a, b`.
    const moved = new Set(come?.flatMap((text) => importedNames(text) ?? []))
    return names.every((name) => moved.has(name) || (ledger.names.get(name) ?? 0) === 0)
  }
  if (come) return true
  // An import that neither side touched may only go when the uses that the base had of it went. One that nobody used
  // was there for others: a package's front.
  return names.every((name) => ledger.four.base.filter((text) => namesOf(text).includes(name)).length > 1)
}

function isUsedImport(ledger: Ledger, line: string): boolean {
  const names = importedNames(line)
  return (
    names !== undefined &&
    /import|require|from/.test(line) &&
    names.some((name) => (ledger.names.get(name) ?? 0) > 1)
  )
}

/** Rewritten: alike enough, and each new word was brought in by a side. */
function isAdapted(ledger: Ledger, before: string, after: string): boolean {
  if (after.trim() === '') return false
  const old = tally(wordsOf(before))
  const fresh = wordsOf(after).filter((word) => {
    const left = old.get(word) ?? 0
    old.set(word, left - 1)
    return left <= 0 && /[\p{L}\p{N}]/u.test(word)
  })
  return fresh.length > 0 && fresh.every((word) => ledger.brought.has(word)) && likeness(before, after) >= 0.4
}

/** Dice's measure over words, 0 to 1. Lines that declare, import or set different things are not alike, however similar. */
export function likeness(a: string, b: string): number {
  const [thingA, thingB] = [thingOf(a), thingOf(b)]
  if (thingA !== undefined && thingB !== undefined && thingA !== thingB) return 0
  const [wordsA, wordsB] = [a, b].map((text) =>
    wordsOf(text).filter((word) => /[\p{L}\p{N}]/u.test(word)),
  ) as [string[], string[]]
  const counts = tally(wordsA)
  let common = 0
  for (const word of wordsB) {
    const left = counts.get(word) ?? 0
    if (left > 0) {
      counts.set(word, left - 1)
      common++
    }
  }
  return wordsA.length + wordsB.length === 0 ? 1 : (2 * common) / (wordsA.length + wordsB.length)
}

const THINGS: readonly RegExp[] = [
  /^\s*(?:export\s+)?(?:default\s+)?(?:async\s+)?(?:def|function\*?|class|interface|enum|type|struct|func)\s+(?:\([^)]*\)\s*)?([\w$]+)/,
  /^\s*(?:(?:public|private|protected|static|final|abstract|synchronized|default)\s+)+[\w<>[\],.? ]*?\s([\w$]+)\s*\(/,
  /^\s*import\s+(?:static\s+)?[\w.]+\.([\w*]+)\s*;/,
  /^\s*(?:[\w.]+\s+)?"(?:[\w.@-]+\/)*([\w.@-]+)"$/,
  /^\s*(?:const|let|var)\s+([\w$]+)\s*=\s*require\(/,
  /^\s*import\s+([\w$]+)/,
  /^\s*from\s+\S+\s+import\s+(\w+)$/,
  /^\s*"([^"]+)"\s*:/,
  /^\s*(?:require\s+)?([\w-]+(?:\.[\w-]+)+\/\S+)\s+v\d/,
  /^\s*\.\. _([^:]+):/,
  /^\s*["']?([A-Za-z][\w.-]*)(?:\[[\w,]*\])?\s*[<>=!~]=\s*\d/,
]

/** What the line names, where it names one thing. */
function thingOf(line: string): string | undefined {
  for (const pattern of THINGS) {
    const name = pattern.exec(line)?.[1]
    if (name !== undefined) return name
  }
  return undefined
}

type SideChange = {
  readonly side: Side
  readonly added: readonly string[]
  readonly removed: readonly string[]
  readonly dropped: readonly string[]
}

function ofClash(ledger: Ledger, index: number): readonly Finding[] {
  const { four } = ledger
  const chunk = four.chunks[index]
  if (!chunk) return []
  const base = statements(ledger, four.base.slice(chunk.b0, chunk.b1))
  const resolved = statements(
    ledger,
    (four.resolved.get(index) ?? []).map((line) => four.result[line] ?? ''),
  )
  const sides = [sideChange(ledger, 'ours', base, chunk), sideChange(ledger, 'theirs', base, chunk)] as const
  const line = (four.resolved.get(index)?.[0] ?? 0) + 1
  const held = new Set(resolved.map(canonical))
  const novel = resolved.filter((text) => isForeign(ledger, text))
  const [ours, theirs] = sides
  const returned = base.filter(
    (text) =>
      held.has(canonical(text)) &&
      sides.every((side) => side.removed.includes(text)) &&
      at(ledger.result, text) > Math.max(at(ledger.ours, text), at(ledger.theirs, text)),
  )
  if (returned.length > 0)
    return [blocks('returned', `${quote(returned[0] ?? '')} was removed by both sides and is back`, line)]
  const isBare = (side: SideChange): boolean =>
    side.added.length > 0 && side.dropped.length === side.added.length
  if (novel.length === 0 && isBare(ours) && isBare(theirs))
    return [blocks('lost', `neither side's change is there: ${quote(ours.added[0] ?? '')}`, line)]
  return sides.flatMap((side) => {
    if (ledger.context.whole && side.side !== ledger.context.whole) return []
    const other = side === ours ? theirs : ours
    // What may have taken its place: lines that the other side added here, and lines of nobody's; each for one line only.
    const replacements = [...other.added.filter((text) => held.has(canonical(text))), ...novel]
    const unexplained = side.dropped.filter((text) => {
      if (isExplained(ledger, text, side.side) || isUnusedImport(ledger, text, [])) return false
      const by = replacements.findIndex((kept) => likeness(kept, text) >= 0.6)
      if (by >= 0) replacements.splice(by, 1)
      return by < 0
    })
    const [first] = unexplained
    if (first === undefined) return []
    const competes = side.removed.some((text) => other.removed.includes(text))
    return [
      !ledger.context.prose && (competes || novel.length > 0)
        ? note('chosen', `${quote(first)} of ${side.side} gave way to the other side's change`, line)
        : blocks(
            'lost-addition',
            `${quote(first)}, added by ${side.side}, is gone and nothing took its place`,
            line,
          ),
    ]
  })
}

function statements(ledger: Ledger, lines: readonly string[]): readonly string[] {
  return lines.filter(ledger.isStatement)
}

function sideChange(ledger: Ledger, side: Side, base: readonly string[], chunk: Chunk): SideChange {
  const { four } = ledger
  const lines = statements(
    ledger,
    side === 'ours' ? four.ours.slice(chunk.o0, chunk.o1) : four.theirs.slice(chunk.t0, chunk.t1),
  )
  const baseSet = new Set(base.map(canonical))
  const sideSet = new Set(lines.map(canonical))
  const added = lines.filter((line) => !baseSet.has(canonical(line)))
  const copies = tally(lines.map(canonical))
  return {
    side,
    added,
    removed: base.filter((line) => !sideSet.has(canonical(line))),
    dropped: added.filter(
      (line) => at(ledger.result, line) < at(ledger.due, line) + (copies.get(canonical(line)) ?? 0),
    ),
  }
}

function blocks(rule: string, says: string, line: number): Finding {
  return { layer: 'semantics', rule, severity: 'blocks', says, line }
}

function note(rule: string, says: string, line: number): Finding {
  return { layer: 'semantics', rule, severity: 'note', says, line }
}
