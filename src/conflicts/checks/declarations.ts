/** Declarations of Go and Java by syntax tree: what may stand only once in its scope. */
import type { SgNode } from '@ast-grep/napi'
import type { Language } from './language.ts'
import { treeOf } from './tree.ts'

export type Declaration = {
  /** Scope, kind, name and, where overloading is allowed, parameter types. Equal keys clash. */
  readonly key: string
  readonly name: string
  readonly line: number
}

const KINDS: Readonly<Partial<Record<Language, readonly string[]>>> = {
  go: [
    'function_declaration',
    'method_declaration',
    'type_spec',
    'const_spec',
    'var_spec',
    'field_declaration',
  ],
  python: ['function_definition', 'class_definition'],
  java: [
    'class_declaration',
    'interface_declaration',
    'enum_declaration',
    'record_declaration',
    'method_declaration',
    'constructor_declaration',
    'field_declaration',
    'import_declaration',
  ],
}

export function declarationsOf(language: Language, text: string): readonly Declaration[] {
  const kinds = KINDS[language]
  const root = kinds && treeOf(language, text)
  if (!root) return []
  return root.findAll({ rule: { any: kinds.map((kind) => ({ kind })) } }).flatMap((node) => {
    const name = nameOf(node)
    const where = scopeOf(node, language)
    if (name === undefined || where === undefined || name === '_' || (language === 'go' && name === 'init'))
      return []
    return [{ key: `${where}${name}${shapeOf(node)}`, name, line: node.range().start.line + 1 }]
  })
}

function nameOf(node: SgNode): string | undefined {
  const kind = String(node.kind())
  if (kind === 'import_declaration') return node.text()
  if (kind === 'field_declaration')
    return (node.field('declarator')?.field('name') ?? node.field('name'))?.text()
  return node.field('name')?.text()
}

/** Names of the declarations around it; undefined for what lives inside a function body, where shadowing is allowed. */
function scopeOf(node: SgNode, language: Language): string | undefined {
  const names: string[] = []
  const own = String(node.kind())
  if (own === 'method_declaration') {
    const receiver = node
      .field('receiver')
      ?.text()
      .replaceAll(/^\(\s*\w*\s*\*?|[\s)]|\[.*\]/g, '')
    if (receiver !== undefined) return `${receiver}.`
  }
  for (let up = node.parent(); up; up = up.parent()) {
    const kind = String(up.kind())
    if (language === 'python' && (kind === 'block' || kind === 'class_definition')) {
      if (kind === 'class_definition') names.push(up.field('name')?.text() ?? '')
      else if (String(up.parent()?.kind()) !== 'class_definition') return undefined
      continue
    }
    if (
      /^(block|decorated_definition|if_statement|else_clause|try_statement|except_clause|with_statement|func_literal|lambda_expression|object_creation_expression|constructor_body)$/.test(
        kind,
      )
    )
      return undefined
    // Anonymous structs: their fields have no name to be found by.
    if (kind === 'struct_type' && String(up.parent()?.kind()) !== 'type_spec') return undefined
    if (/_declaration$|^type_spec$/.test(kind)) names.push(up.field('name')?.text() ?? '')
  }
  return names
    .filter(Boolean)
    .toReversed()
    .map((name) => `${name}.`)
    .join('')
}

/** Java methods overload by parameter types; build constraints and the like do not. */
function shapeOf(node: SgNode): string {
  const kind = String(node.kind())
  if (kind !== 'method_declaration' && kind !== 'constructor_declaration') return ''
  if (node.field('receiver')) return ''
  const types = (node.field('parameters')?.children() ?? [])
    .filter((child) => /parameter/.test(String(child.kind())))
    .map((child) => (child.field('type')?.text() ?? child.text()).replaceAll(/\s+/g, ''))
  return `(${types.join(',')})`
}
