/**
 * A syntax tree that knows its text: every leaf is a token, white space lies between tokens. Code (through tree-sitter) and
 * formats (through their own readers) come in this one shape, and one merge serves them all.
 *
 *   id        equal for subtrees whose tokens are equal, white space aside
 *   key       what a node is among its siblings (kind, name, signature); two siblings with one key are an error
 *   free      the node may stand anywhere among its siblings: declarations, imports, fields, pairs
 *   group     a node made by us: a declaration with its comments
 */

export type Tree = {
  readonly kind: string
  readonly start: number
  readonly end: number
  readonly children: readonly Tree[]
  readonly id: number
  /** Number of tokens. */
  readonly size: number
  readonly key?: string | undefined
  readonly free?: boolean | undefined
}

/** How the children of a kind of node hang together. */
export type ListShape = {
  /** Positions have a meaning (statements, parameters), or only keys have (imports, modifiers). */
  readonly kind: 'ordered' | 'set'
  /** The token between two children. */
  readonly separator?: string
  /** Where a new child goes among its siblings, higher ranks first: the versions of a changelog. */
  readonly rank?: (tree: Tree) => readonly number[] | undefined
}

export type Grammar = {
  /** The shape of a list node; undefined for a node with fixed places. */
  shapeOf(tree: Tree): ListShape | undefined
}

/** Numbers for subtrees, shared by the three versions of a file. */
export type Interner = (kind: string, parts: readonly number[] | string) => number

export function createInterner(): Interner {
  const ids = new Map<string, number>()
  return (kind, parts) => {
    const key = typeof parts === 'string' ? `${kind}\u0000${parts}` : `${kind}\u0001${parts.join(',')}`
    let id = ids.get(key)
    if (id === undefined) {
      id = ids.size
      ids.set(key, id)
    }
    return id
  }
}

export function leaf(interner: Interner, kind: string, text: string, start: number): Tree {
  return { kind, start, end: start + text.length, children: [], id: interner(kind, text), size: 1 }
}

/** A node around children that are there already. */
export function branch(
  interner: Interner,
  kind: string,
  children: readonly Tree[],
  extra: {
    readonly key?: string | undefined
    readonly free?: boolean | undefined
    readonly start?: number
    readonly end?: number
  } = {},
): Tree {
  return {
    kind,
    start: extra.start ?? children[0]?.start ?? 0,
    end: extra.end ?? children.at(-1)?.end ?? 0,
    children,
    id: interner(
      kind,
      children.map(({ id }) => id),
    ),
    size: children.reduce((sum, { size }) => sum + size, 0),
    key: extra.key,
    free: extra.free,
  }
}
