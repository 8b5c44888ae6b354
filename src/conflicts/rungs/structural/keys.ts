/** What a node is called among its siblings. Two siblings with one key would be two declarations of one thing. */
import type { Tree } from '../../tree/tree.ts'

export type Named = { readonly key?: string | undefined; readonly free?: boolean }

/** Of these a declaration has one. */
const MODIFIER_GROUPS: Readonly<Record<string, string>> = {
  public: 'visibility',
  protected: 'visibility',
  private: 'visibility',
  abstract: 'abstract or final',
  final: 'abstract or final',
}

export function keyOf(tree: Tree, parentKind: string | undefined, text: string): Named {
  const { kind } = tree
  const source = (of: Tree | undefined): string | undefined => of && text.slice(of.start, of.end)
  const child = (...kinds: readonly string[]): string | undefined =>
    source(tree.children.find((c) => kinds.includes(c.kind)))
  const name = (): string | undefined =>
    child(
      'identifier',
      'name',
      'type_identifier',
      'property_identifier',
      'private_property_identifier',
      'field_identifier',
      'string',
      'computed_property_name',
      'number',
    )
  const called = (sort: string, what: string | undefined): Named =>
    what === undefined ? {} : { key: `${sort} ${what}` }
  const flat = (): string => (source(tree) ?? '').replaceAll(/\s+/g, ' ').replace(/;$/, '')
  switch (kind) {
    case 'import_statement':
    case 'import_spec':
    case 'future_import_statement':
      return { key: `import ${flat()}` }
    case 'import_declaration':
      // Go wraps its list in one import declaration, Java has one for each name.
      return tree.children.some((c) => c.kind === 'import_spec_list')
        ? { key: 'imports' }
        : { key: `import ${flat()}` }
    case 'import_from_statement':
      return called('from', fromModule(tree, text))
    case 'dotted_name':
    case 'aliased_import':
      return parentKind === 'import_from_statement' ? { key: `name ${flat()}`, free: true } : {}
    case 'import_specifier':
    case 'export_specifier':
    case 'shorthand_property_identifier':
    case 'shorthand_property_identifier_pattern':
      return { key: `name ${flat()}` }
    case 'function_definition':
    case 'function_declaration':
    case 'generator_function_declaration':
      return called('function', name())
    case 'class_definition':
    case 'class_declaration':
    case 'abstract_class_declaration':
    case 'interface_declaration':
    case 'enum_declaration':
    case 'record_declaration':
    case 'annotation_type_declaration':
    case 'type_alias_declaration':
    case 'type_spec':
      return called('type', name())
    case 'decorated_definition':
    case 'export_statement': {
      const inner = tree.children.find((c) => c.key !== undefined)
      const decorators = tree.children
        .filter((c) => c.kind === 'decorator' && /\.(setter|getter|deleter)|overload/.test(source(c) ?? ''))
        .map((c) => source(c))
        .join(' ')
      return inner?.key === undefined ? {} : { key: `${decorators}${inner.key}` }
    }
    case 'method_declaration': {
      // Go: the receiver's type; Java: the parameters' types, for methods may share a name.
      const receiver =
        tree.children[1]?.kind === 'parameter_list' ? `${typesOf(tree.children[1], text)}.` : ''
      const parameters = tree.children.find((c) => c.kind === 'formal_parameters')
      return called('method', `${receiver}${name() ?? ''}${parameters ? typesOf(parameters, text) : ''}`)
    }
    case 'constructor_declaration': {
      const parameters = tree.children.find((c) => c.kind === 'formal_parameters')
      return called('constructor', parameters ? typesOf(parameters, text) : '')
    }
    case 'method_definition':
    case 'method_signature':
    case 'method_elem':
    case 'method_spec': {
      const accessor = tree.children.some((c) => c.kind === 'get')
        ? 'get '
        : tree.children.some((c) => c.kind === 'set')
          ? 'set '
          : ''
      const isStatic = tree.children.some((c) => c.kind === 'static') ? 'static ' : ''
      return called('method', `${isStatic}${accessor}${name() ?? ''}`)
    }
    case 'property_signature':
    case 'public_field_definition':
    case 'field_definition':
    case 'enum_constant':
    case 'enum_assignment':
    case 'var_spec':
      return called('field', name())
    case 'field_declaration':
    case 'constant_declaration': {
      const declarator = tree.children.find((c) => c.kind === 'variable_declarator')
      const own = declarator?.children.find((c) => c.kind === 'identifier')
      const names = tree.children.filter((c) => c.kind === 'field_identifier').map((c) => source(c))
      return called('field', own ? source(own) : names.length > 0 ? names.join(',') : undefined)
    }
    case 'pair':
    case 'keyed_element':
    case 'keyword_argument':
    case 'element_value_pair':
      return called('pair', source(tree.children[0]))
    case 'annotation':
    case 'marker_annotation':
      return called('annotation', name())
    case 'lexical_declaration':
    case 'variable_declaration':
      return required(tree, text)
    case 'type_identifier':
    case 'generic_type':
    case 'scoped_type_identifier':
      return parentKind === 'type_list' || parentKind === 'throws'
        ? { key: `type ${flat()}`, free: true }
        : {}
    default:
      return parentKind === 'modifiers' ? { key: MODIFIER_GROUPS[flat()] ?? flat(), free: true } : {}
  }
}

function fromModule(tree: Tree, text: string): string | undefined {
  const of = tree.children.find((c) => c.kind === 'dotted_name' || c.kind === 'relative_import')
  return of && text.slice(of.start, of.end)
}

/** `const x = require('y')` is an import in all but name. */
function required(tree: Tree, text: string): Named {
  const declarators = tree.children.filter((c) => c.kind === 'variable_declarator')
  const [only] = declarators
  if (declarators.length !== 1 || !only) return {}
  const source = text.slice(only.start, only.end)
  const called = /^([\w$]+|\{[^}]*\})\s*=\s*require\(\s*['"][^'"]+['"]\s*\)(\.\w+)*$/.exec(source)
  return called ? { key: `require ${called[1]}`, free: true } : {}
}

function typesOf(parameters: Tree, text: string): string {
  const types = parameters.children
    .filter(({ children }) => children.length > 0)
    .map((parameter) => {
      const last = parameter.children.findLastIndex((c) => c.kind === 'identifier')
      const type = parameter.children.filter((c, index) => index !== last && c.kind !== 'modifiers')
      return type.map((c) => text.slice(c.start, c.end)).join(' ')
    })
  return `(${types.join(',')})`.replaceAll(/\s+/g, ' ')
}
