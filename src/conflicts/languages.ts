/** Which language a path is written in, and what that means for merging. */
export type Language = 'python' | 'javascript' | 'typescript' | 'tsx' | 'go' | 'java'

const BY_EXTENSION: Readonly<Record<string, Language>> = {
  py: 'python',
  pyi: 'python',
  js: 'javascript',
  mjs: 'javascript',
  cjs: 'javascript',
  jsx: 'javascript',
  ts: 'typescript',
  mts: 'typescript',
  cts: 'typescript',
  tsx: 'tsx',
  go: 'go',
  java: 'java',
}

export function languageOf(path: string): Language | undefined {
  return BY_EXTENSION[extensionOf(path)]
}

export const baseName = (path: string): string => path.slice(path.lastIndexOf('/') + 1)

export function extensionOf(path: string): string {
  const name = baseName(path)
  const dot = name.lastIndexOf('.')
  return dot <= 0 ? '' : name.slice(dot + 1).toLowerCase()
}

/** Space at the beginning of a line has a meaning. When in doubt it has. */
const FREE = new Set([
  'js',
  'mjs',
  'cjs',
  'jsx',
  'ts',
  'mts',
  'cts',
  'tsx',
  'go',
  'java',
  'json',
  'toml',
  'css',
  'c',
  'h',
])

export function indentationMatters(path: string): boolean {
  return !FREE.has(extensionOf(path))
}
