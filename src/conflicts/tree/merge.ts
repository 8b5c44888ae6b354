/**
 * Three-way merge of syntax trees, from the root down.
 *
 * A node that one side left alone is taken from the other side. A node that both changed is merged child by child. Lists
 * merge like lines do, but elements keep their identity when they change or move, and free elements (declarations, imports,
 * fields) that both sides added at one place stand side by side. What is left is a clash, kept as small as it is.
 */
import type { Three } from '../text/diff3.ts'
import type { Piece } from '../text/pieces.ts'
import { mayGo, planList, type Element, type Planned, type Versions3 } from './lists.ts'
import { matchChildren } from './match.ts'
import { printUnits, SIDES, type Places, type Side, type Unit } from './print.ts'
import type { Grammar, ListShape, Tree } from './tree.ts'

export type TreeMerge = {
  readonly grammar: Grammar
  readonly source: Three<string>
  /** Merges the text of a clash by simpler means, or leaves it. */
  readonly inside: (clash: Three<string>) => readonly Piece[]
  /** What was done, in words, for the report. */
  readonly notes: Set<string>
}

export function mergeTrees(roots: Three<Tree>, merge: TreeMerge): Piece[] {
  return printUnits(mergeNode(roots, merge), merge.source)
}

function placesOf(versions: Versions3): Places {
  const place = (tree: Tree | undefined) => tree && { start: tree.start, end: tree.end }
  return { base: place(versions.base), ours: place(versions.ours), theirs: place(versions.theirs) }
}

/** A node that is in all three versions. */
function mergeNode(versions: Three<Tree>, merge: TreeMerge): Unit[] {
  const { base, ours, theirs } = versions
  const places = placesOf(versions)
  const text = (side: Side): string => merge.source[side].slice(versions[side].start, versions[side].end)
  if (ours.id === theirs.id && text('ours') === text('theirs')) return [{ places, from: 'ours' }]
  if (text('ours') === text('base')) return [{ places, from: 'theirs' }]
  if (text('theirs') === text('base')) return [{ places, from: 'ours' }]
  const sameKind = ours.kind === base.kind && theirs.kind === base.kind
  const all = [base, ours, theirs]
  if (!sameKind || all.some(({ children }) => children.length === 0)) {
    if (ours.id === base.id) return [{ places, from: 'theirs' }]
    if (theirs.id === base.id || ours.id === theirs.id) return [{ places, from: 'ours' }]
    return [clash(versions, merge)]
  }
  const shape = merge.grammar.shapeOf(base) ?? { kind: 'ordered' as const }
  if (!text('base').includes('\n')) merge.notes.add('inside one line')
  const units = mergeChildren(versions, shape, merge)
  return units ?? [clash(versions, merge)]
}

/** An element of a list, in whichever versions it is. */
function mergeElement({ element, whole }: Planned, merge: TreeMerge): Unit[] {
  const { base, ours, theirs } = element.versions
  if (whole) return [clash(element.versions, merge)]
  if (base && ours && theirs) return mergeNode({ base, ours, theirs }, merge)
  const places = placesOf(element.versions)
  // Added by both: the same, or nobody knows which.
  if (ours && theirs)
    return ours.id === theirs.id ? [{ places, from: 'ours' }] : [clash(element.versions, merge)]
  if (base) return mayGo(element) ? [] : [clash(element.versions, merge)]
  return [{ places, from: ours ? 'ours' : 'theirs' }]
}

function clash(versions: Versions3, merge: TreeMerge): Unit {
  const text = (side: Side): string => {
    const tree = versions[side]
    return tree ? merge.source[side].slice(tree.start, tree.end) : ''
  }
  const pieces = merge.inside({ base: text('base'), ours: text('ours'), theirs: text('theirs') })
  return { places: placesOf(versions), clash: pieces }
}

function mergeChildren(versions: Three<Tree>, shape: ListShape, merge: TreeMerge): Unit[] | undefined {
  const isSeparator = (tree: Tree): boolean =>
    shape.separator !== undefined && tree.children.length === 0 && tree.kind === shape.separator
  const items = {
    base: versions.base.children.filter((child) => !isSeparator(child)),
    ours: versions.ours.children.filter((child) => !isSeparator(child)),
    theirs: versions.theirs.children.filter((child) => !isSeparator(child)),
  }
  const elements = identify(items)
  const plan = planList(elements, shape, merge.notes)
  if (!plan) return undefined
  const merged = plan.map((planned) => ({ element: planned.element, units: mergeElement(planned, merge) }))
  if (shape.separator === undefined) return merged.flatMap(({ units }) => units)
  // Separators around a clash would belong to nobody: the list clashes as one.
  if (merged.some(({ element, units }) => units.some(({ clash: left }) => left) && !element.versions.base))
    return undefined
  return separated(merged, shape.separator, versions)
}

/** Gives each child of the three versions the element it belongs to. */
function identify(items: Three<readonly Tree[]>): Three<readonly Element[]> {
  const base = items.base.map((tree): Element => ({ versions: { base: tree } }))
  const side = (name: 'ours' | 'theirs'): Element[] => {
    const own: Element[] = Array.from({ length: items[name].length })
    for (const [i, j] of matchChildren(items.base, items[name]).entries()) {
      const element = base[i]
      const tree = items[name][j]
      if (j < 0 || !element || !tree) continue
      element.versions = { ...element.versions, [name]: tree }
      own[j] = element
    }
    for (const [j, tree] of items[name].entries()) own[j] ??= { versions: { [name]: tree } }
    return own
  }
  const ours = side('ours')
  const theirs = side('theirs')
  joinAdded(ours, theirs)
  return { base, ours, theirs }
}

/** What both sides added and is the same, by key or by text, is one element. */
function joinAdded(ours: Element[], theirs: Element[]): void {
  const nameOf = ({ versions }: Element): string | undefined => {
    const tree = versions.ours ?? versions.theirs
    return tree?.key ?? (tree && tree.size > 1 ? `#${tree.id}` : undefined)
  }
  const isAdded = ({ versions }: Element): boolean => !versions.base
  const added = new Map<string, Element>()
  for (const element of ours) {
    const name = isAdded(element) ? nameOf(element) : undefined
    if (name !== undefined && !added.has(name)) added.set(name, element)
  }
  for (const [j, element] of theirs.entries()) {
    const name = isAdded(element) ? nameOf(element) : undefined
    const mate = name === undefined ? undefined : added.get(name)
    if (!mate || name === undefined) continue
    added.delete(name)
    mate.versions = { ...mate.versions, theirs: element.versions.theirs }
    theirs[j] = mate
  }
}

/** Puts the separators back: one between two items, one after the last where the merge of the three says so. */
function separated(
  merged: readonly { readonly element: Element; readonly units: readonly Unit[] }[],
  separator: string,
  versions: Three<Tree>,
): Unit[] {
  const isItem = ({ element }: { element: Element }): boolean => {
    const tree = element.versions.ours ?? element.versions.theirs ?? element.versions.base
    return tree !== undefined && !/^[^\w"']+$/.test(tree.kind) && tree.kind !== 'comment'
  }
  const after = (side: Side, tree: Tree | undefined): Tree | undefined => {
    const siblings = versions[side].children
    const next = tree && siblings[siblings.indexOf(tree) + 1]
    return next?.kind === separator && next.children.length === 0 ? next : undefined
  }
  const lastHasOne = (side: Side): boolean => {
    const items = versions[side].children.filter((child) => /\w/.test(child.kind) && child.kind !== 'comment')
    return after(side, items.at(-1)) !== undefined
  }
  const [base, ours, theirs] = SIDES.map(lastHasOne)
  const trailing = ours === base ? theirs : ours
  const units: Unit[] = []
  const lastItem = merged.findLastIndex(isItem)
  for (const [index, entry] of merged.entries()) {
    units.push(...entry.units)
    if (!isItem(entry) || (index === lastItem && !trailing)) continue
    const places = placesOf({
      base: after('base', entry.element.versions.base),
      ours: after('ours', entry.element.versions.ours),
      theirs: after('theirs', entry.element.versions.theirs),
    })
    units.push({ places, text: separator })
  }
  return units
}
