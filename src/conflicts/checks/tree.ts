/**
 * Syntax trees by tree-sitter, for languages whose own parser is not here and for rules about structure.
 * Loaded at the first question: registering the grammars costs more than most checks.
 */
import { createRequire } from 'node:module'
import type * as AstGrep from '@ast-grep/napi'
import type { Language } from './language.ts'

const TREE_LANGUAGE: Readonly<Partial<Record<Language, string>>> = {
  python: 'python',
  go: 'go',
  java: 'java',
  javascript: 'JavaScript',
  typescript: 'TypeScript',
  tsx: 'Tsx',
}

let loaded: typeof AstGrep | undefined

function astGrep(): typeof AstGrep {
  if (loaded) return loaded
  const require = createRequire(import.meta.url)
  const napi = require('@ast-grep/napi') as typeof AstGrep
  const grammar = (name: string): AstGrep.DynamicLangRegistrations[string] =>
    require(`@ast-grep/lang-${name}`) as AstGrep.DynamicLangRegistrations[string]
  napi.registerDynamicLanguage({ python: grammar('python'), go: grammar('go'), java: grammar('java') })
  loaded = napi
  return napi
}

export function hasGrammar(language: Language): boolean {
  return language in TREE_LANGUAGE
}

/** Root of the tree; undefined where there is no grammar. */
export function treeOf(language: Language, text: string): AstGrep.SgNode | undefined {
  const name = TREE_LANGUAGE[language]
  return name === undefined ? undefined : astGrep().parse(name, text).root()
}

/** Lines (from 1) at which the grammar gave up. */
export function errorLines(language: Language, text: string): readonly number[] {
  const errors = treeOf(language, text)?.findAll({ rule: { kind: 'ERROR' } }) ?? []
  return errors.map((node) => node.range().start.line + 1)
}
