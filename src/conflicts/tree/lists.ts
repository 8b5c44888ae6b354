/** Merges the children of a node: which elements stay, in which order, and what each becomes. */
import { diff3, type Chunk, type Three } from '../text/diff3.ts'
import type { Side } from './print.ts'
import type { ListShape, Tree } from './tree.ts'

export type Versions3 = { readonly [S in Side]?: Tree | undefined }

/** One child through its versions. A version without it has it deleted or not yet added. */
export type Element = { versions: Versions3 }

/** What comes next in the merged list: an element in its merged form, or a stretch that clashes as a whole. */
export type Planned = { readonly element: Element; readonly whole: boolean }

/** Undefined when the lists cannot be merged: the same element in two places, two elements of one name. */
export function planList(
  lists: Three<readonly Element[]>,
  shape: ListShape,
  notes: Set<string>,
): readonly Planned[] | undefined {
  if (shape.kind === 'set') return inOrder(setOrder(lists, shape))
  // A changed element is another one to the diff: an insertion beside it is a clash, as it is for git between lines.
  const numbers = new Map<Element, number>()
  const name = (element: Element, side: Side): string => {
    let number = numbers.get(element)
    if (number === undefined) {
      number = numbers.size
      numbers.set(element, number)
    }
    return `${number} ${element.versions[side]?.id ?? ''}`
  }
  const chunks = diff3({
    base: lists.base.map((element) => name(element, 'base')),
    ours: lists.ours.map((element) => name(element, 'ours')),
    theirs: lists.theirs.map((element) => name(element, 'theirs')),
  })
  const out: Planned[] = []
  const done = new Set<Element>()
  for (const chunk of chunks) {
    const part = {
      base: lists.base.slice(chunk.b0, chunk.b1),
      ours: lists.ours.slice(chunk.o0, chunk.o1),
      theirs: lists.theirs.slice(chunk.t0, chunk.t1),
    }
    const merged = mergeChunk(part, { kind: chunk.kind, shape }, notes)
    if (!merged) return undefined
    for (const entry of merged) {
      if (done.has(entry.element)) return undefined
      done.add(entry.element)
      out.push(entry)
    }
  }
  return out
}

function mergeChunk(
  part: Three<readonly Element[]>,
  { kind, shape }: { kind: Chunk['kind']; shape: ListShape },
  notes: Set<string>,
): Planned[] | undefined {
  if (kind === 'same' || kind === 'both') return inOrder(part.ours)
  const side = kind === 'theirs' ? part.theirs : part.ours
  if (kind !== 'clash') {
    const gone = part.base.filter((element) => !side.includes(element))
    if (gone.some((element) => !mayGo(element))) return whole(part)
    return inOrder(side)
  }
  if (isSame(part.base, part.ours) && isSame(part.base, part.theirs)) return inOrder(part.ours)
  const added = [...part.ours, ...part.theirs].filter(({ versions }) => !versions.base)
  const isFree = ({ versions }: Element): boolean => Boolean((versions.ours ?? versions.theirs)?.free)
  const each = additions(part)
  if (added.every(isFree) && !isOrderOpen(each) && !isBesideRewrittenImport(part)) {
    for (const note of additionNotes(each)) notes.add(note)
    return inOrder(setOrder(part, shape))
  }
  return whole(part)
}

/** An import that one side rewrote beside imports that the other side added: people settle these in every way. */
function isBesideRewrittenImport({ base }: Three<readonly Element[]>): boolean {
  return base.some(({ versions: { base: before, ours, theirs } }) => {
    if (!before?.key || !/^(import|from|require) /.test(before.key)) return false
    return (ours !== undefined && ours.id !== before.id) !== (theirs !== undefined && theirs.id !== before.id)
  })
}

const isSame = (a: readonly Element[], b: readonly Element[]): boolean =>
  a.length === b.length && a.every((element, index) => element === b[index])

/** What each side alone added, by kind. */
function additions(part: Three<readonly Element[]>): { ours: string[]; theirs: string[] } {
  const kindsOf = (side: 'ours' | 'theirs'): string[] =>
    part[side].flatMap(({ versions }) => {
      const tree = versions.base || (versions.ours && versions.theirs) ? undefined : versions[side]
      const own = tree?.kind === 'group' ? tree.children.find(({ key }) => key === tree.key) : tree
      return own ? [own.kind] : []
    })
  return { ours: kindsOf('ours'), theirs: kindsOf('theirs') }
}

function additionNotes({ ours, theirs }: { ours: string[]; theirs: string[] }): string[] {
  return ours.length > 0 && theirs.length > 0
    ? [...new Set([...ours, ...theirs])].map((kind) => `both added ${kind}`)
    : []
}

/**
 * Two declarations with bodies may stand in either order, and people choose both: where each side added one, ours first was
 * theirs in 54 %; where a side added several, in 28 %. Those are left to people.
 */
function isOrderOpen({ ours, theirs }: { ours: string[]; theirs: string[] }): boolean {
  const withBody = [...ours, ...theirs].filter((kind) =>
    /function|method_d|class|decorated|constructor/.test(kind),
  )
  return withBody.length > 0 && ours.length > 0 && theirs.length > 0 && ours.length + theirs.length > 2
}

/** Deleted by one side: right while the other side left it as it was. */
export function mayGo({ versions: { base, ours, theirs } }: Element): boolean {
  const left = ours ?? theirs
  return !left || !base || left.id === base.id
}

function inOrder(elements: readonly Element[]): Planned[] | undefined {
  const keys = new Set<string>()
  for (const element of elements) {
    const tree = element.versions.ours ?? element.versions.theirs
    if (tree?.key === undefined || !tree.free) continue
    // Two siblings of one name would be two declarations of it.
    if (keys.has(tree.key) && isNew(element)) return undefined
    keys.add(tree.key)
  }
  return elements.map((element) => ({ element, whole: false }))
}

const isNew = ({ versions }: Element): boolean => !versions.base

/** The chunk as it stands in the three versions clashes. */
function whole(part: Three<readonly Element[]>): Planned[] | undefined {
  const span = (side: 'base' | 'ours' | 'theirs'): Tree | undefined => {
    const trees = part[side].map(({ versions }) => versions[side]).filter((tree) => tree !== undefined)
    const [first] = trees
    const last = trees.at(-1)
    return first && last && { ...first, end: last.end, children: [] }
  }
  const versions = { base: span('base'), ours: span('ours'), theirs: span('theirs') }
  return [{ element: { versions }, whole: true }]
}

/**
 * The order of a set: ours, with what theirs added after the neighbour it has in theirs. Where theirs moved elements and ours
 * did not, the other way round. Additions of ours come before additions of theirs at one place; a sorted list stays sorted.
 */
function setOrder(lists: Three<readonly Element[]>, { rank }: ListShape): readonly Element[] {
  const stays = (element: Element): boolean => {
    const { base, ours, theirs } = element.versions
    if (!base) return true
    if (ours && theirs) return true
    return (ours ?? theirs) !== undefined && !mayGo(element)
  }
  const moved = isReordered(lists.base, lists.theirs) && !isReordered(lists.base, lists.ours)
  const [lead, other] = moved ? [lists.theirs, lists.ours] : [lists.ours, lists.theirs]
  const order = lead.filter(stays)
  const present = new Set(order)
  const sorted = sortKeys(lists)
  for (const [index, element] of other.entries()) {
    if (present.has(element) || !stays(element)) continue
    let at = 0
    const place = rank ? rankedPlace(order, element, rank) : sorted && sortedPlace(order, element, sorted)
    if (place === undefined) {
      for (let before = index - 1; before >= 0; before--) {
        const found = order.indexOf(other[before] as Element)
        if (found < 0) continue
        at = found + 1
        break
      }
      while (at < order.length && isOwn(order[at], moved ? 'theirs' : 'ours')) at++
    } else at = place
    order.splice(at, 0, element)
    present.add(element)
  }
  return order
}

const isOwn = (element: Element | undefined, side: 'ours' | 'theirs'): boolean =>
  element !== undefined &&
  !element.versions.base &&
  Boolean(element.versions[side]) &&
  !element.versions[side === 'ours' ? 'theirs' : 'ours']

function isReordered(base: readonly Element[], side: readonly Element[]): boolean {
  const common = side.filter((element) => element.versions.base)
  let last = -1
  const places = new Map(base.map((element, index) => [element, index]))
  for (const element of common) {
    const at = places.get(element) ?? -1
    if (at < last) return true
    last = at
  }
  return false
}

type SortKey = (element: Element) => string | undefined

/** How the three lists are sorted, when all are, with three elements or more. */
function sortKeys(lists: Three<readonly Element[]>): SortKey | undefined {
  const key: SortKey = ({ versions }) =>
    (versions.ours ?? versions.theirs ?? versions.base)?.key?.toLowerCase()
  const isSorted = (list: readonly Element[]): boolean => {
    let last = ''
    for (const element of list) {
      const own = key(element)
      if (own === undefined) continue
      if (own < last) return false
      last = own
    }
    return true
  }
  const keyed = lists.base.filter((element) => key(element) !== undefined)
  return keyed.length >= 3 && isSorted(lists.base) && isSorted(lists.ours) && isSorted(lists.theirs)
    ? key
    : undefined
}

function sortedPlace(order: readonly Element[], element: Element, key: SortKey): number | undefined {
  const own = key(element)
  if (own === undefined) return undefined
  let last: number | undefined
  for (const [index, other] of order.entries()) {
    const theirs = key(other)
    if (theirs === undefined) continue
    if (theirs > own) return last ?? index
    last = index + 1
  }
  return last
}

/** Before the first sibling of a lower rank. */
function rankedPlace(
  order: readonly Element[],
  element: Element,
  rank: NonNullable<ListShape['rank']>,
): number | undefined {
  const rankOf = ({ versions }: Element): readonly number[] | undefined => {
    const tree = versions.ours ?? versions.theirs ?? versions.base
    return tree && rank(tree)
  }
  const own = rankOf(element)
  if (!own) return undefined
  let last: number | undefined
  for (const [index, other] of order.entries()) {
    const theirs = rankOf(other)
    if (!theirs) continue
    if (compareRanks(theirs, own) < 0) return index
    last = index + 1
  }
  return last
}

function compareRanks(a: readonly number[], b: readonly number[]): number {
  for (let i = 0; i < Math.max(a.length, b.length); i++) {
    const [left, right] = [a[i] ?? 0, b[i] ?? 0]
    if (left !== right) return left < right ? -1 : 1
  }
  return 0
}
