/** What the merge knows of each language: which nodes are lists, which children have names, which may stand anywhere. */
import type { Language } from '../../languages.ts'
import type { ListShape } from '../../tree/tree.ts'

export type LanguageGrammar = {
  readonly lists: Readonly<Record<string, ListShape>>
  /** Kinds that may stand anywhere among their siblings. */
  readonly free: ReadonlySet<string>
  /** Statement lists whose order is the program's order: only what declares is free there. */
  readonly comments: ReadonlySet<string>
  /** Tokens that end the node before them. */
  readonly terminators: ReadonlySet<string>
}

const ordered: ListShape = { kind: 'ordered' }
const set: ListShape = { kind: 'set' }
const byComma: ListShape = { kind: 'ordered', separator: ',' }
const setByComma: ListShape = { kind: 'set', separator: ',' }

const javascript: LanguageGrammar = {
  lists: {
    program: ordered,
    statement_block: ordered,
    class_body: ordered,
    switch_body: ordered,
    named_imports: setByComma,
    export_clause: setByComma,
    object: byComma,
    object_pattern: byComma,
    array: byComma,
    array_pattern: byComma,
    arguments: byComma,
    formal_parameters: byComma,
    type_arguments: byComma,
    type_parameters: byComma,
    interface_body: ordered,
    object_type: ordered,
    enum_body: byComma,
    implements_clause: byComma,
    variable_declaration: byComma,
    lexical_declaration: byComma,
  },
  free: new Set([
    'import_statement',
    'import_specifier',
    'export_specifier',
    'function_declaration',
    'generator_function_declaration',
    'class_declaration',
    'abstract_class_declaration',
    'interface_declaration',
    'type_alias_declaration',
    'enum_declaration',
    'export_statement',
    'method_definition',
    'method_signature',
    'property_signature',
    'public_field_definition',
    'field_definition',
    'pair',
    'enum_assignment',
    'shorthand_property_identifier',
    'shorthand_property_identifier_pattern',
    'require',
  ]),
  comments: new Set(['comment']),
  terminators: new Set([';']),
}

export const GRAMMARS: Readonly<Record<Language, LanguageGrammar>> = {
  python: {
    lists: {
      module: ordered,
      block: ordered,
      argument_list: byComma,
      parameters: byComma,
      list: byComma,
      tuple: byComma,
      set: setByComma,
      dictionary: byComma,
      import_from_statement: byComma,
    },
    free: new Set([
      'import_statement',
      'import_from_statement',
      'future_import_statement',
      'function_definition',
      'class_definition',
      'decorated_definition',
      'imported_name',
      'pair',
      'keyword_argument',
    ]),
    comments: new Set(['comment']),
    terminators: new Set([';']),
  },
  javascript,
  typescript: javascript,
  tsx: javascript,
  go: {
    lists: {
      source_file: ordered,
      block: ordered,
      statement_list: ordered,
      import_spec_list: set,
      import_declaration: ordered,
      const_declaration: ordered,
      var_declaration: ordered,
      var_spec_list: ordered,
      type_declaration: ordered,
      field_declaration_list: ordered,
      interface_type: ordered,
      literal_value: byComma,
      argument_list: byComma,
      parameter_list: byComma,
      expression_list: byComma,
    },
    free: new Set([
      'import_declaration',
      'import_spec',
      'function_declaration',
      'method_declaration',
      'type_declaration',
      'type_spec',
      'var_spec',
      'field_declaration',
      'method_elem',
      'method_spec',
      'keyed_element',
    ]),
    comments: new Set(['comment']),
    terminators: new Set([';']),
  },
  java: {
    lists: {
      program: ordered,
      class_body: ordered,
      interface_body: ordered,
      annotation_type_body: ordered,
      enum_body: byComma,
      enum_body_declarations: ordered,
      block: ordered,
      constructor_body: ordered,
      switch_block: ordered,
      modifiers: set,
      type_list: setByComma,
      throws: setByComma,
      argument_list: byComma,
      formal_parameters: byComma,
      array_initializer: byComma,
      element_value_array_initializer: byComma,
      annotation_argument_list: byComma,
      type_arguments: byComma,
      type_parameters: byComma,
    },
    free: new Set([
      'import_declaration',
      'class_declaration',
      'interface_declaration',
      'enum_declaration',
      'record_declaration',
      'annotation_type_declaration',
      'method_declaration',
      'constructor_declaration',
      'field_declaration',
      'constant_declaration',
      'enum_constant',
      'annotation',
      'marker_annotation',
      'element_value_pair',
      'type_identifier_in_list',
    ]),
    comments: new Set(['line_comment', 'block_comment']),
    terminators: new Set([';']),
  },
}
