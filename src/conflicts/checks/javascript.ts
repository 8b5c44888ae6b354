/** JavaScript and TypeScript by oxc: syntax, redeclarations, names that nothing binds, keys that stand twice. */
import { createRequire } from 'node:module'
import type * as Oxc from 'oxc-parser'
import type { Parsed } from './parsers.ts'

type Node = { readonly type: string; readonly start: number; readonly [key: string]: unknown }

const require = createRequire(import.meta.url)
const by = 'oxc-parser'

export function readScript(text: string, path: string): Parsed {
  const { parseSync } = require('oxc-parser') as typeof Oxc
  const lang = path.endsWith('.tsx') ? 'tsx' : /\.[cm]?ts$/.test(path) ? 'ts' : 'jsx'
  const parse = (sourceType: 'module' | 'script'): Oxc.ParseResult =>
    parseSync(path, text, { lang, sourceType, showSemanticErrors: true })
  let result = parse('module')
  // A file without imports may be a script, where `with`, octals and a return at the top are allowed.
  if (fatal(result).length > 0 && !result.module.hasModuleSyntax) {
    const asScript = parse('script')
    if (fatal(asScript).length < fatal(result).length) result = asScript
  }
  const lines = createLines(text)
  const [first] = fatal(result)
  if (first) return { kind: 'broken', by, line: lines(first.labels[0]?.start ?? 0), says: first.message }
  const twice: Record<string, [number, number]> = {}
  for (const error of result.errors) {
    const name = /^Identifier `(.*)` has already been declared/.exec(error.message)?.[1]
    if (name === undefined) continue
    twice[name] = [(twice[name]?.[0] ?? 0) + 1, lines(error.labels[1]?.start ?? error.labels[0]?.start ?? 0)]
  }
  return { kind: 'parsed', by, ...look(result.program as unknown as Node, lines, twice) }
}

/** Redeclarations are counted apart; a return at the top is how CommonJS files and snippets are often written. */
function fatal(result: Oxc.ParseResult): readonly Oxc.OxcError[] {
  return result.errors.filter(
    ({ message, severity }) =>
      severity === 'Error' &&
      !/has already been declared|'return' statement can only be used|Undefined|is not defined/.test(message),
  )
}

/** Offsets to lines, from 1; offsets are looked up in any order, few times. */
function createLines(text: string): (offset: number) => number {
  return (offset) => {
    let line = 1
    for (let at = text.indexOf('\n'); at >= 0 && at < offset; at = text.indexOf('\n', at + 1)) line++
    return line
  }
}

type Found = {
  readonly bound: Set<string>
  readonly used: Map<string, number>
  readonly twice: Record<string, [number, number]>
  readonly interfaces: Map<string, number>
  readonly lines: (offset: number) => number
}

function look(
  program: Node,
  lines: (offset: number) => number,
  twice: Record<string, [number, number]>,
): Pick<Extract<Parsed, { kind: 'parsed' }>, 'unknown' | 'twice'> {
  const found: Found = { bound: new Set(), used: new Map(), twice, interfaces: new Map(), lines }
  const todo: { node: Node; binds: boolean }[] = [{ node: program, binds: false }]
  for (let next = todo.pop(); next; next = todo.pop()) visit(next.node, next.binds, found, todo)
  const unknown: Record<string, number> = {}
  for (const [name, start] of found.used)
    if (!found.bound.has(name) && !GLOBALS.has(name) && !(name in globalThis)) unknown[name] = lines(start)
  return { unknown, twice }
}

/** Where a node's own names bind instead of being used. */
const BINDING: Readonly<Record<string, readonly string[]>> = {
  VariableDeclarator: ['id'],
  FunctionDeclaration: ['id', 'params'],
  FunctionExpression: ['id', 'params'],
  ArrowFunctionExpression: ['params'],
  TSDeclareFunction: ['id', 'params'],
  TSEmptyBodyFunctionExpression: ['id', 'params'],
  TSFunctionType: ['params'],
  TSConstructorType: ['params'],
  TSMethodSignature: ['params'],
  TSCallSignatureDeclaration: ['params'],
  TSConstructSignatureDeclaration: ['params'],
  TSIndexSignature: ['parameters'],
  ClassDeclaration: ['id'],
  ClassExpression: ['id'],
  TSInterfaceDeclaration: ['id'],
  TSTypeAliasDeclaration: ['id'],
  TSEnumDeclaration: ['id'],
  TSModuleDeclaration: ['id'],
  TSImportEqualsDeclaration: ['id'],
  TSTypeParameter: ['name'],
  TSMappedType: ['key'],
  CatchClause: ['param'],
  ImportSpecifier: ['local'],
  ImportDefaultSpecifier: ['local'],
  ImportNamespaceSpecifier: ['local'],
}

/** Parts that hold names of members, labels or modules: neither bound nor used here. */
const NOT_NAMES: Readonly<Record<string, readonly string[]>> = {
  ImportSpecifier: ['imported'],
  ExportSpecifier: ['exported'],
  ExportAllDeclaration: ['exported'],
  LabeledStatement: ['label'],
  BreakStatement: ['label'],
  ContinueStatement: ['label'],
  MetaProperty: ['meta', 'property'],
  TSQualifiedName: ['right'],
  TSEnumMember: ['id'],
  TSTypePredicate: ['parameterName'],
  TSNamedTupleMember: ['label'],
  TSImportType: ['qualifier'],
}
/** Parts that are names only when written in brackets. */
const UNLESS_COMPUTED: Readonly<Record<string, string>> = {
  MemberExpression: 'property',
  Property: 'key',
  MethodDefinition: 'key',
  PropertyDefinition: 'key',
  AccessorProperty: 'key',
  TSAbstractMethodDefinition: 'key',
  TSAbstractPropertyDefinition: 'key',
  TSPropertySignature: 'key',
  TSMethodSignature: 'key',
}

function visit(node: Node, binds: boolean, found: Found, todo: { node: Node; binds: boolean }[]): void {
  const { type } = node
  if (type === 'Identifier') {
    const name = String(node['name'])
    if (binds) found.bound.add(name)
    else if (!found.used.has(name)) found.used.set(name, node.start)
  } else if (type === 'JSXIdentifier') return
  else if (type === 'JSXOpeningElement') {
    const tag = node['name'] as Node | undefined
    if (tag?.type === 'JSXIdentifier' && /^[A-Z]/.test(String(tag['name'])))
      found.used.set(String(tag['name']), node.start)
  } else if (type === 'TSInterfaceDeclaration') {
    // Interfaces may be split on purpose; a merge that splits one did not mean to.
    const key = `interface ${String((node['id'] as Node | undefined)?.['name'])}`
    const seen = found.interfaces.get(key) ?? 0
    if (seen > 0) found.twice[key] = [seen, found.lines(node.start)]
    found.interfaces.set(key, seen + 1)
  } else if (type === 'ObjectExpression' || type === 'ClassBody') countKeys(node, found)
  const skipped = NOT_NAMES[type]
  const binding = BINDING[type]
  const unlessComputed = UNLESS_COMPUTED[type]
  // `export { a } from 'b'` names things of another module.
  if (type === 'ExportNamedDeclaration' && node['source']) return
  for (const key in node) {
    const value = node[key]
    if (typeof value !== 'object' || value === null) continue
    if (skipped?.includes(key) || (key === unlessComputed && node['computed'] !== true)) continue
    // In a pattern the names bind, its default values are used.
    const bindsHere =
      binding?.includes(key) === true ||
      (binds && key !== 'right' && key !== 'typeAnnotation' && key !== 'decorators')
    if (Array.isArray(value)) {
      for (const item of value as unknown[]) if (isNode(item)) todo.push({ node: item, binds: bindsHere })
    } else if (isNode(value)) todo.push({ node: value, binds: bindsHere })
  }
}

function isNode(value: unknown): value is Node {
  return typeof value === 'object' && value !== null && typeof (value as Node).type === 'string'
}

function countKeys(node: Node, found: Found): void {
  const members = (node.type === 'ClassBody' ? node['body'] : node['properties']) as readonly Node[]
  const seen = new Set<string>()
  for (const member of members) {
    const key = member['key'] as Node | undefined
    const kind = member['kind']
    if (!key || member['computed'] === true || kind === 'get' || kind === 'set') continue
    if (
      /Abstract|Signature/.test(member.type) ||
      (member['value'] as Node | null)?.type === 'TSEmptyBodyFunctionExpression'
    )
      continue
    const name = `${member['static'] === true ? 'static ' : ''}${String(key['name'] ?? key['value'])}`
    if (seen.has(name))
      found.twice[`key ${name}`] = [(found.twice[`key ${name}`]?.[0] ?? 0) + 1, found.lines(member.start)]
    seen.add(name)
  }
}

/** Names that the surroundings give: module wrappers, browsers, test runners, build tools. The running engine's own are asked directly. */
const GLOBALS: ReadonlySet<string> = new Set(
  `require module exports __dirname __filename arguments undefined window document self navigator location history
  localStorage sessionStorage alert confirm prompt XMLHttpRequest FormData File FileReader Image Node Element HTMLElement
  Event CustomEvent MouseEvent KeyboardEvent MutationObserver IntersectionObserver ResizeObserver requestAnimationFrame
  cancelAnimationFrame getComputedStyle customElements DOMParser Range Selection NodeList HTMLInputElement SVGElement
  Worker SharedWorker ServiceWorker importScripts postMessage indexedDB caches crypto chrome browser jQuery $ _ angular
  describe it test expect beforeEach afterEach beforeAll afterAll before after suite setup teardown xit xdescribe fit
  fdescribe jest vi mocha sinon assert cy context specify define System Vue React ReactDOM JSX NodeJS Deno Bun process
  Buffer global __webpack_require__ __webpack_public_path__ __webpack_hash__ __webpack_modules__ __webpack_chunk_load__
  __resourceQuery DEBUG unescape escape ActiveXObject Express`.split(/\s+/),
)
