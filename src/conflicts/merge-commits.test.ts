import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, test } from 'node:test'
import { closeParsers } from './checks/index.ts'
import { runMerge, runMergeDriver, runMergeFile, runReplay } from './cli.ts'
import { mergeCommits } from './merge-commits.ts'
import { replay } from './replay.ts'

const root = mkdtempSync(join(tmpdir(), 'flowforge-conflicts-test-'))
after(() => {
  closeParsers()
  rmSync(root, { recursive: true, force: true })
})

type Files = Readonly<Record<string, string | null>>

function createRepository(name: string) {
  const path = join(root, name)
  mkdirSync(path)
  const git = (...args: string[]): string =>
    execFileSync('git', ['-c', 'user.name=T', '-c', 'user.email=t@example.com', ...args], {
      cwd: path,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
    }).trim()
  git('init', '-q', '-b', 'main')
  const commit = (files: Files, message = 'change'): string => {
    for (const [file, text] of Object.entries(files)) {
      mkdirSync(dirname(join(path, file)), { recursive: true })
      if (text === null) rmSync(join(path, file))
      else writeFileSync(join(path, file), text)
    }
    git('add', '-A')
    git('commit', '-q', '--allow-empty', '-m', message)
    return git('rev-parse', 'HEAD')
  }
  return { path, git, commit }
}

/** A repository with two branches, main and side, that differ from a common base. */
function diverged(name: string, base: Files, ours: Files, theirs: Files) {
  const repository = createRepository(name)
  repository.commit(base)
  repository.git('checkout', '-q', '-b', 'side')
  repository.commit(theirs)
  repository.git('checkout', '-q', 'main')
  repository.commit(ours)
  return repository
}

/** Everything that a merge must leave as it was. */
function snapshot({ path, git }: ReturnType<typeof createRepository>): string {
  return [
    git('for-each-ref'),
    git('status', '--porcelain'),
    git('rev-parse', 'HEAD'),
    readdirSync(path).join(),
  ].join('\n')
}

function terminal() {
  const said = { out: '', err: '' }
  return {
    said,
    out: (chunk: string | Buffer) => void (said.out += String(chunk)),
    err: (text: string) => void (said.err += text),
  }
}

const IMPORTS: readonly [Files, Files, Files] = [
  { 'm.py': 'import os\n\nprint(os)\n' },
  { 'm.py': 'import os\nimport re\n\nprint(os, re)\n' },
  { 'm.py': 'import os\nimport sys\n\nprint(os)\n' },
]

test('a conflict in an import block becomes a commit with both parents; refs and work tree stay', async () => {
  const repository = diverged('imports', ...IMPORTS)
  const before = snapshot(repository)
  const report = await mergeCommits({ repository: repository.path, ours: 'main', theirs: 'side' })
  assert.equal(report.outcome, 'resolved', JSON.stringify(report.files))
  assert.equal(
    repository.git('show', `${report.commit ?? ''}:m.py`),
    'import os\nimport re\nimport sys\n\nprint(os, re)',
  )
  assert.equal(
    repository.git('rev-parse', `${report.commit ?? ''}^1`, `${report.commit ?? ''}^2`),
    repository.git('rev-parse', 'main', 'side'),
  )
  assert.equal(snapshot(repository), before)
  const again = await mergeCommits({ repository: repository.path, ours: 'main', theirs: 'side' })
  assert.equal(again.commit, report.commit)
})

test('a ref is moved only when it is checked out nowhere', async () => {
  const repository = diverged('update', ...IMPORTS)
  const request = { repository: repository.path, ours: 'main', theirs: 'side' }
  await assert.rejects(mergeCommits({ ...request, update: 'main' }), /checked out/)
  repository.git('branch', 'landing', 'main')
  const report = await mergeCommits({ ...request, update: 'landing' })
  assert.equal(repository.git('rev-parse', 'landing'), report.commit)
})

test('deleted here and changed there is named and left; nothing is written', async () => {
  const repository = diverged(
    'deleted',
    { 'a b.txt': '1\n', '-x': '1\n' },
    { 'a b.txt': null },
    { 'a b.txt': '2\n', '-x': '2\n' },
  )
  const screen = terminal()
  assert.equal(
    await runMerge({ repository: repository.path, ours: 'main', theirs: 'side', json: true }, screen),
    1,
  )
  const answer = JSON.parse(screen.said.out) as {
    outcome: string
    commit: null
    files: { path: string; kind: string }[]
  }
  assert.equal(answer.outcome, 'conflicts')
  assert.equal(answer.commit, null)
  assert.deepEqual(
    answer.files.map(({ path, kind }) => [path, kind]),
    [['a b.txt', 'modify/delete']],
  )
})

test('names with line feeds, spaces and leading dashes merge like any other', async () => {
  const odd = ['-leading', 'with space', 'with\nline feed', 'ümlaut']
  const files = (text: string): Files => Object.fromEntries(odd.map((name) => [name, text]))
  const repository = diverged('names', files('a: 1\nb: 1\n'), files('a: 2\nb: 1\n'), files('a: 1\nb: 2\n'))
  const report = await mergeCommits({ repository: repository.path, ours: 'main', theirs: 'side' })
  assert.equal(report.outcome, 'resolved', JSON.stringify(report.files))
  for (const name of odd) assert.equal(repository.git('show', `${report.commit ?? ''}:${name}`), 'a: 2\nb: 2')
})

test('merge drivers and hooks of the repository are not run', async () => {
  const repository = diverged(
    'driver',
    { '.gitattributes': '*.txt merge=evil\n', 'a.txt': 'a\n' },
    { 'a.txt': 'b\n' },
    { 'a.txt': 'c\n' },
  )
  const mark = join(root, 'was-run')
  repository.git('config', 'merge.evil.driver', `touch ${mark}`)
  const hook = join(repository.path, '.git/hooks/reference-transaction')
  writeFileSync(hook, `#!/bin/sh\ntouch ${mark}\n`)
  chmodSync(hook, 0o755)
  await mergeCommits({ repository: repository.path, ours: 'main', theirs: 'side' })
  assert.throws(() => readFileSync(mark))
})

test('what is no repository, no commit or no common history is an error that says so', async () => {
  const repository = diverged('bad', ...IMPORTS)
  repository.git('checkout', '-q', '--orphan', 'alone')
  repository.commit({ 'm.py': 'other\n' })
  const cases: readonly (readonly [string, string, RegExp])[] = [
    [join(root, 'nowhere'), 'side', /no directory/],
    [root, 'side', /not a git repository/],
    [repository.path, 'no-such', /not a commit/],
    [repository.path, '--help', /not a commit/],
    [repository.path, 'alone', /no common history/],
  ]
  for (const [path, theirs, problem] of cases) {
    const screen = terminal()
    assert.equal(await runMerge({ repository: path, ours: 'main', theirs }, screen), 2)
    assert.match(screen.said.err, problem)
  }
})

test('an object that is missing is an error, not a crash', async () => {
  const repository = diverged('missing', ...IMPORTS)
  const blob = repository.git('rev-parse', 'side:m.py')
  rmSync(join(repository.path, '.git/objects', blob.slice(0, 2), blob.slice(2)), { force: true })
  const screen = terminal()
  assert.equal(await runMerge({ repository: repository.path, ours: 'main', theirs: 'side' }, screen), 2)
  assert.match(screen.said.err, /merge-tree/)
})

test('a merge that git calls clean is looked at all the same', async () => {
  const repository = diverged(
    'clean',
    { 'A.java': 'class A {\n  int a;\n\n  int b;\n\n  int c;\n\n  int d;\n}\n' },
    { 'A.java': 'class A {\n  int x;\n  int a;\n\n  int b;\n\n  int c;\n\n  int d;\n}\n' },
    { 'A.java': 'class A {\n  int a;\n\n  int b;\n\n  int c;\n\n  int d;\n  int x;\n}\n' },
  )
  const report = await mergeCommits({ repository: repository.path, ours: 'main', theirs: 'side' })
  assert.equal(report.outcome, 'conflicts')
  assert.match(report.files[0]?.reason ?? '', /more than once/)
})

test('replay compares with what people committed, and goes on where it was stopped', async () => {
  const repository = diverged('history', ...IMPORTS)
  assert.throws(() => repository.git('merge', '-q', 'side'))
  repository.commit({ 'm.py': 'import os\nimport re\nimport sys\n\nprint(os, re)\n' }, 'merge')
  const summary = await replay({ repository: repository.path, threads: 1 })
  assert.equal(summary.conflicted, 1)
  assert.deepEqual(
    [summary.all.files, summary.all.resolved, summary.all.bytes, summary.all.wrong],
    [1, 1, 1, 0],
  )
  const screen = terminal()
  assert.equal(await runReplay({ repository: repository.path, json: true }, screen), 0)
  const lines = screen.said.out.trim().split('\n')
  assert.equal(lines.length, 2)
  assert.ok('summary' in (JSON.parse(lines[1] ?? '') as object))
})

test('merge-file and merge-driver keep to the exit codes of git', async () => {
  const at = (name: string, text: string): string => {
    const file = join(root, name)
    writeFileSync(file, text)
    return file
  }
  const [base, ours, theirs] = [at('b.txt', 'a\n'), at('o.txt', 'b\n'), at('t.txt', 'c\n')]
  const left = terminal()
  assert.equal(await runMergeFile({ base, ours, theirs }, left), 1)
  assert.match(left.said.out, /^<{7} /)
  assert.equal(await runMergeFile({ base, ours: base, theirs }, terminal()), 0)
  assert.equal(await runMergeFile({ base, ours: join(root, 'none'), theirs }, terminal()), 2)
  const json = terminal()
  assert.equal(await runMergeFile({ base, ours: base, theirs, json: true, path: 'x.txt' }, json), 0)
  assert.deepEqual(
    (({ outcome, result, path, rung }) => ({ outcome, result, path, rung }))(
      JSON.parse(json.said.out) as Record<string, unknown>,
    ),
    { outcome: 'resolved', result: 'c\n', path: 'x.txt', rung: 'trivial' },
  )
  assert.equal(await runMergeDriver({ base, ours, theirs, path: 'x.txt' }, terminal()), 1)
  assert.match(readFileSync(ours, 'utf8'), /<{7} ours/)
})
