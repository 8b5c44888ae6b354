/** Reads source into trees with tree-sitter. Runtime and grammars are WebAssembly: no compiler, no build, any platform. */
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import type { Node, Parser } from 'web-tree-sitter'
import type { Language } from '../../languages.ts'
import { branch, leaf, type Interner, type Tree } from '../../tree/tree.ts'
import { GRAMMARS, type LanguageGrammar } from './grammars.ts'
import { keyOf } from './keys.ts'

export type Parsed =
  | { readonly kind: 'tree'; readonly tree: Tree }
  | { readonly kind: 'errors' }
  | { readonly kind: 'too-deep' }

/** Deeper than any source that people write; the merge recurses. */
const MAX_DEPTH = 400

const parsers = new Map<Language, Promise<Parser>>()

export async function openParser(language: Language): Promise<Parser> {
  let parser = parsers.get(language)
  if (!parser) {
    parser = load(language)
    parsers.set(language, parser)
  }
  return parser
}

async function load(language: Language): Promise<Parser> {
  const { Parser, Language } = await import('web-tree-sitter')
  await Parser.init()
  const grammars = dirname(createRequire(import.meta.url).resolve('@vscode/tree-sitter-wasm/package.json'))
  const parser = new Parser()
  parser.setLanguage(await Language.load(join(grammars, 'wasm', `tree-sitter-${language}.wasm`)))
  return parser
}

/** Undefined kind of answer is a value: a file with syntax errors has no tree that could be trusted. */
export function parse(parser: Parser, language: Language, text: string, interner: Interner): Parsed {
  const deadline = performance.now() + 4000
  const parsed = parser.parse(text, null, { progressCallback: () => performance.now() > deadline })
  if (!parsed) {
    parser.reset()
    return { kind: 'too-deep' }
  }
  try {
    if (parsed.rootNode.hasError) return { kind: 'errors' }
    const tree = convert(parsed.rootNode, text, GRAMMARS[language], interner)
    return tree ? { kind: 'tree', tree } : { kind: 'too-deep' }
  } finally {
    parsed.delete()
  }
}

/** Whether the grammar finds an error in the text. */
export async function hasSyntaxErrors(language: Language, text: string): Promise<boolean> {
  const tree = (await openParser(language)).parse(text)
  const broken = tree?.rootNode.hasError ?? true
  tree?.delete()
  return broken
}

type Open = { readonly kind: string; readonly start: number; readonly end: number; readonly children: Tree[] }

function convert(root: Node, text: string, grammar: LanguageGrammar, interner: Interner): Tree | undefined {
  const namedLeaf = (kind: string, token: string, start: number): Tree => {
    const bare = leaf(interner, kind, token, start)
    const { key, free } = keyOf(bare, stack.at(-1)?.kind, text)
    return key === undefined ? bare : { ...bare, key, free: free ?? grammar.free.has(kind) }
  }
  const cursor = root.walk()
  const stack: Open[] = []
  try {
    for (;;) {
      const start = cursor.startIndex
      const end = cursor.endIndex
      const kind = cursor.nodeType
      // A string is one token: its spaces are not white space.
      const opaque =
        /string|template|comment|regex|heredoc|char/.test(kind) && !/template_substitution/.test(kind)
      if (!opaque && cursor.gotoFirstChild()) {
        stack.push({ kind, start, end, children: [] })
        if (stack.length > MAX_DEPTH) return undefined
        continue
      }
      const token = text.slice(start, end)
      if (token.trim() !== '') stack.at(-1)?.children.push(namedLeaf(kind, token, start))
      while (!cursor.gotoNextSibling()) {
        const open = stack.pop()
        if (!open) return leaf(interner, kind, token, start)
        cursor.gotoParent()
        const tree = close(open, stack.at(-1)?.kind, text, grammar, interner)
        const parent = stack.at(-1)
        if (!parent) return tree
        if (tree.children.length > 0 || tree.end > tree.start) parent.children.push(tree)
      }
    }
  } finally {
    cursor.delete()
  }
}

function close(
  open: Open,
  parentKind: string | undefined,
  text: string,
  grammar: LanguageGrammar,
  interner: Interner,
): Tree {
  const { kind } = open
  const children =
    open.kind in grammar.lists ? gathered(open.children, text, grammar, interner) : open.children
  const bare = branch(interner, kind, children, {
    start: children[0]?.start ?? open.start,
    end: children.at(-1)?.end ?? open.end,
  })
  const named = keyOf(bare, parentKind, text)
  return { ...bare, key: named.key, free: named.free ?? (grammar.free.has(kind) && named.key !== undefined) }
}

/** Puts comments to what they speak of and terminators to what they end. */
function gathered(
  children: readonly Tree[],
  text: string,
  grammar: LanguageGrammar,
  interner: Interner,
): Tree[] {
  const out: Tree[] = []
  let comments: Tree[] = []
  const isComment = (tree: Tree): boolean => grammar.comments.has(tree.kind)
  const gapBefore = (previous: Tree, tree: Tree): string => text.slice(previous.end, tree.start)
  for (const child of children) {
    const previous = out.at(-1)
    if (
      comments.length === 0 &&
      previous &&
      grammar.terminators.has(child.kind) &&
      /\w/.test(previous.kind)
    ) {
      out[out.length - 1] = group(interner, [...partsOf(previous), child], previous)
    } else if (isComment(child)) {
      const trailing =
        comments.length === 0 &&
        previous &&
        /\w/.test(previous.kind) &&
        !isComment(previous) &&
        !gapBefore(previous, child).includes('\n')
      if (trailing) out[out.length - 1] = group(interner, [...partsOf(previous), child], previous)
      else {
        const last = comments.at(-1)
        if (last && /\n\s*\n/.test(gapBefore(last, child))) out.push(...comments.splice(0))
        comments.push(child)
      }
    } else {
      const last = comments.at(-1)
      if (last && child.free && !/\n\s*\n/.test(gapBefore(last, child)))
        out.push(group(interner, [...comments, child], child))
      else out.push(...comments, child)
      comments = []
    }
  }
  out.push(...comments)
  return out
}

const partsOf = (tree: Tree): readonly Tree[] => (tree.kind === 'group' ? tree.children : [tree])

function group(interner: Interner, parts: readonly Tree[], named: Tree): Tree {
  return branch(interner, 'group', parts, { key: named.key, free: named.free })
}
