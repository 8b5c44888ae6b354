/**
 * The Seatbelt profile itself. No Mac is needed to write one: the library is told that it runs on macOS, and what it
 * writes for our policy is read back and asked, rule by rule, as the kernel does: the last rule that matches decides.
 */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { test } from 'node:test'
import { seatbeltConfig } from './policy.ts'

const HOME = '/Users/dev/.flowforge'
const SANDBOX = `${HOME}/sandboxes/01a2`
const SOCKETS = `${HOME}/sandboxes/.s/0123456789abcdef`
const PORT = 54321

const config = seatbeltConfig(
  {
    platform: 'darwin',
    reads: [`${SANDBOX}/in`, `${HOME}/bin/0011/opt`, `${SANDBOX}/commands/01a2.0`],
    writes: ['workspace', 'state', 'cache', 'out', 'tmp', 'agent'].map((name) => `${SANDBOX}/disk/${name}`),
    sockets: SOCKETS,
    port: PORT,
  },
  () => true,
)

const RENDER = `
  Object.defineProperty(process, 'platform', { value: 'darwin' })
  const { SandboxManager } = await import('@anthropic-ai/sandbox-runtime')
  await SandboxManager.initialize(JSON.parse(process.argv[1]))
  process.stdout.write(await SandboxManager.wrapWithSandbox(". 'x'", 'bash'))
  process.exit(0)`

function renderProfile(): string {
  // From an empty directory, as the launcher does, for the library protects names below its working directory.
  const wrapped = execFileSync(
    process.execPath,
    ['--input-type=module', '-e', RENDER, JSON.stringify(config)],
    {
      env: {
        PATH: '/usr/bin:/bin',
        HOME: `${SANDBOX}/disk/agent`,
        CLAUDE_CODE_TMPDIR: `${SANDBOX}/disk/tmp`,
      },
      encoding: 'utf8',
    },
  )
  assert.match(wrapped, / \/usr\/bin\/sandbox-exec -p /)
  const printed = wrapped.replace('/usr/bin/sandbox-exec', `/usr/bin/printf '%s\\0'`)
  return execFileSync('/bin/bash', ['-c', printed], { encoding: 'utf8' }).split('\0')[1] ?? ''
}

type Node = string | readonly Node[]

function parse(text: string): readonly Node[] {
  const tokens = text.replaceAll(/^\s*;.*$/gm, '').match(/\(|\)|#?"(?:[^"\\]|\\.)*"|[^\s()]+/g)!
  const read = (): Node[] => {
    const list: Node[] = []
    for (let token = tokens.shift(); token !== undefined && token !== ')'; token = tokens.shift())
      list.push(token === '(' ? read() : token)
    return list
  }
  return read()
}

const rules = parse(renderProfile()).filter((node) => typeof node !== 'string')

/** What the kernel answers to an operation on a file. Filters that need more than a path do not match here. */
function decide(operation: string, path: string): 'allow' | 'deny' {
  let answer: 'allow' | 'deny' = 'deny'
  for (const [verdict, ...rest] of rules) {
    if (verdict !== 'allow' && verdict !== 'deny') continue
    const operations = rest.filter((node) => typeof node === 'string')
    const filters = rest.filter(
      (node): node is readonly Node[] => typeof node !== 'string' && node[0] !== 'with',
    )
    const covers = operations.some(
      (name) =>
        name === operation ||
        (name.endsWith('*') && operation.startsWith(name.slice(0, -1))) ||
        name === 'default',
    )
    if (!covers) continue
    if (filters.length === 0 || filters.some((filter) => matches(filter, path))) answer = verdict
  }
  return answer
}

function matches([kind, ...args]: readonly Node[], path: string): boolean {
  const text = (node: Node | undefined): string => JSON.parse(String(node).replace(/^#/, '')) as string
  if (kind === 'literal') return path === text(args[0])
  if (kind === 'subpath')
    return text(args[0]) === '/' || path === text(args[0]) || path.startsWith(`${text(args[0])}/`)
  if (kind === 'regex') return new RegExp(text(args[0])).test(path)
  if (kind === 'require-all') return args.every((arg) => typeof arg !== 'string' && matches(arg, path))
  if (kind === 'require-not') return typeof args[0] !== 'string' && !matches(args[0]!, path)
  return false
}

test('a guest reads the system, its programs and its own folders', () => {
  for (const path of [
    '/usr/lib/libSystem.B.dylib',
    '/System/Library/Frameworks/CoreFoundation.framework/CoreFoundation',
    '/System/Volumes/Preboot/Cryptexes/OS/System/Library/dyld/dyld_shared_cache_arm64e',
    '/private/etc/hosts',
    '/private/var/select/sh',
    '/opt/homebrew/Cellar/git/2.50/bin/git',
    '/Library/Developer/CommandLineTools/usr/bin/git',
    '/dev/urandom',
    '/',
    `${HOME}/bin/0011/opt/node`,
    `${SANDBOX}/in/base.bundle`,
    `${SANDBOX}/commands/01a2.0`,
    `${SANDBOX}/disk/workspace/src/a.ts`,
  ])
    assert.equal(decide('file-read-data', path), 'allow', path)
})

test('a guest reads no home, no other sandbox, no temporary folder and no data by another name', () => {
  for (const path of [
    '/Users/dev/.ssh/id_ed25519',
    '/Users/dev/Library/Keychains/login.keychain-db',
    '/Users/dev/project/.env',
    '/Users/other/file',
    '/System/Volumes/Data/Users/dev/.ssh/id_ed25519',
    `${HOME}/credentials.json`,
    `${HOME}/master.key`,
    `${HOME}/sandboxes/02b3/disk/workspace/a`,
    `${HOME}/sandboxes/.s/fedcba9876543210/model.sock`,
    `${SANDBOX}/commands/01a2.1`,
    `${SANDBOX}x/disk/workspace/a`,
    '/private/tmp/claude/x',
    '/private/var/folders/aa/bb/T/x',
    '/private/var/db/dslocal/nodes/Default/users/dev.plist',
    '/private/etc/master.passwd',
    '/opt/homebrew/var/postgres/base',
    '/opt/homebrew/etc/my.cnf',
    '/Library/Keychains/System.keychain',
    '/Volumes/Backup/x',
    '/nix/store/x',
  ])
    assert.equal(decide('file-read-data', path), 'deny', path)
})

test('a guest writes its own folders, git settings and editor settings of the work tree included', () => {
  for (const name of [
    'a',
    '.git/config',
    '.git/hooks/pre-commit',
    '.vscode/settings.json',
    '.mcp.json',
    '.claude/settings.json',
  ])
    for (const operation of ['file-write-data', 'file-write-create', 'file-write-unlink'])
      assert.equal(decide(operation, `${SANDBOX}/disk/workspace/${name}`), 'allow', `${operation} ${name}`)
})

test('a guest writes nothing else', () => {
  for (const path of [
    '/Users/dev/x',
    `${SANDBOX}/x`,
    `${SANDBOX}/in/x`,
    `${SANDBOX}/commands/01a2.0`,
    `${HOME}/bin/0011/opt/node`,
    `${SOCKETS}/model.sock`,
    '/private/tmp/x',
    '/private/tmp/claude/x',
    '/tmp/claude/x',
    '/opt/homebrew/bin/x',
    '/private/var/folders/aa/T/x',
  ])
    for (const operation of ['file-write-data', 'file-write-create', 'file-write-unlink'])
      assert.equal(decide(operation, path), 'deny', `${operation} ${path}`)
})

test('the only connections are those to its own sockets and its own port', () => {
  const network = rules.filter((rule) =>
    rule.some((node) => typeof node === 'string' && node.startsWith('network')),
  )
  assert.deepEqual(
    network.map((rule) => JSON.stringify(rule)).toSorted(),
    [
      ['allow', 'network-bind', ['local', 'ip', `"localhost:${PORT}"`]],
      ['allow', 'network-bind', ['local', 'unix-socket', ['subpath', `"${SOCKETS}"`]]],
      ['allow', 'network-inbound', ['local', 'ip', `"localhost:${PORT}"`]],
      ['allow', 'network-outbound', ['remote', 'ip', `"localhost:${PORT}"`]],
      ['allow', 'network-outbound', ['remote', 'unix-socket', ['subpath', `"${SOCKETS}"`]]],
    ]
      .map((rule) => JSON.stringify(rule))
      .toSorted(),
  )
})
