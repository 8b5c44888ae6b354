import assert from 'node:assert/strict'
import { appendFile, chmod, mkdir, readFile, rm, stat } from 'node:fs/promises'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { commitCommand, GUEST_FAILED, ignoreLeftOversCommand, NOTHING_CHANGED } from './guest.ts'
import { createGuest, createOrigin, createTestMirrors, NEVER, sh, writeFiles, type Files } from '#test/git.ts'

const FILES: Files = { 'a.txt': 'a\n', 'dir/b.txt': 'b\n', '.gitignore': 'ignored/\n*.log\n' }

async function start(t: TestContext, files: Files = FILES) {
  const origin = await createOrigin(t, files)
  const { mirrors, repository } = await createTestMirrors(t)
  const mirror = mirrors.open(repository(origin.path))
  const base = await origin.tip()
  assert.equal((await mirror.fetchBranch('main', NEVER)).kind, 'fetched')
  const guest = await createGuest(t)
  await guest.unpack(mirror, base)
  /** Commits, brings home, and answers the files of the result and its history. */
  const bringHome = async () => {
    const made = await guest.commit()
    assert.equal(made.code, 0, made.stderr)
    const outcome = await guest.collect(mirror, base)
    assert.ok(outcome.kind === 'collected', JSON.stringify(outcome))
    const list = await sh(mirror.path, ['ls-tree', '-r', '--name-only', '-z', outcome.commit])
    const subjects = await sh(mirror.path, ['log', '--format=%s', `${base}..${outcome.commit}`])
    return {
      ...outcome,
      files: list.split('\0').filter((name) => name !== ''),
      subjects: subjects.split('\n'),
      read: (path: string) => sh(mirror.path, ['show', `${outcome.commit}:${path}`]),
    }
  }
  return { origin, mirror, base, guest, bringHome, workspace: guest.workspace }
}

test('the work tree is the commit on a branch of its own, without a remote', async (t) => {
  const { workspace, base } = await start(t)
  assert.equal(await sh(workspace, ['status', '--porcelain', '--branch']), '## work')
  assert.equal(await sh(workspace, ['rev-parse', 'HEAD']), base)
  assert.equal(await sh(workspace, ['remote']), '')
  assert.equal(await readFile(join(workspace, 'dir/b.txt'), 'utf8'), 'b\n')
})

test('an untouched work tree gives nothing', async (t) => {
  const { guest, workspace } = await start(t)
  await writeFiles(workspace, { 'ignored/x': 'x', 'y.log': 'y' })
  assert.equal((await guest.commit()).code, NOTHING_CHANGED)
  assert.ok(!existsSync(guest.result))
})

test('a git that finds no space even for its own words leaves nothing out in silence', async (t) => {
  const { guest, workspace } = await start(t)
  await writeFiles(workspace, { 'small.txt': 's\n' })
  // What git does on a full disk is to fail; that its message was lost too is what this stands for.
  const path = '/usr/local/bin:/usr/bin:/bin:/opt/homebrew/bin'
  await writeFiles(guest.out, {
    'bin/git': `#!/bin/sh\ncase " $* " in *" add "*) exit 128 ;; esac\nPATH=${path} exec git "$@"\n`,
  })
  await chmod(join(guest.out, 'bin/git'), 0o755)
  const { argv, env } = commitCommand({
    name: 'result',
    message: 'Do the task',
    author: { name: 'A', email: 'a@localhost' },
    date: new Date(0),
    folders: { workspace, in: guest.in, out: guest.out },
  })
  const made = await guest.run({
    argv,
    network: false,
    env: { ...env, PATH: `${join(guest.out, 'bin')}:${path}` },
  })
  assert.equal(made.code, GUEST_FAILED, made.stderr)
  assert.ok(!existsSync(guest.result))
})

test('everything that is not ignored is committed, whatever its kind and name', async (t) => {
  const { workspace, bringHome } = await start(t)
  const binary = Buffer.from([0, 1, 2, 255, 0, 10, 13])
  const strange = 'with space/ünï—日本 $(touch x);\'"`.txt'
  await writeFiles(workspace, {
    'a.txt': 'changed\n',
    'dir/b.txt': null,
    'bin.dat': binary,
    [strange]: 's\n',
    link: { link: 'dir/../a.txt'.replace('dir/../', '') },
    'run.sh': '#!/bin/sh\n',
    'ignored/x': 'x',
    'y.log': 'y',
  })
  await chmod(join(workspace, 'run.sh'), 0o755)
  const result = await bringHome()
  assert.deepEqual(
    result.files.toSorted(),
    ['.gitignore', 'a.txt', 'bin.dat', 'link', 'run.sh', strange].toSorted(),
  )
  assert.deepEqual(Object.fromEntries(result.paths.map(({ path, change }) => [path, change])), {
    'a.txt': 'modified',
    'bin.dat': 'added',
    'dir/b.txt': 'deleted',
    link: 'added',
    'run.sh': 'added',
    [strange]: 'added',
  })
  assert.deepEqual(result.subjects, ['Do the task'])
})

test("the agent's own commits are kept, what is left is committed on top", async (t) => {
  const { workspace, bringHome } = await start(t)
  await writeFiles(workspace, { 'one.txt': '1\n' })
  await sh(workspace, ['add', '-A'])
  await sh(workspace, ['commit', '-q', '-m', 'My first'])
  await writeFiles(workspace, { 'two.txt': '2\n' })
  const result = await bringHome()
  assert.deepEqual(result.subjects, ['Do the task', 'My first'])
  assert.deepEqual(result.paths, [
    { path: 'one.txt', change: 'added' },
    { path: 'two.txt', change: 'added' },
  ])
})

test('with nothing left over the last commit of the agent is the result', async (t) => {
  const { workspace, bringHome } = await start(t)
  await sh(workspace, ['checkout', '-q', '-b', 'mine'])
  await writeFiles(workspace, { 'one.txt': '1\n' })
  await sh(workspace, ['add', '-A'])
  await sh(workspace, ['commit', '-q', '-m', 'On my branch'])
  await sh(workspace, ['checkout', '-q', '--detach'])
  const result = await bringHome()
  assert.deepEqual(result.subjects, ['On my branch'])
  assert.equal(result.commit, await sh(workspace, ['rev-parse', 'HEAD']))
})

test('a file the agent took out of version control stays out', async (t) => {
  const { workspace, bringHome } = await start(t)
  await sh(workspace, ['rm', '-q', '--cached', 'a.txt'])
  await appendFile(join(workspace, '.gitignore'), 'a.txt\n')
  assert.ok(!(await bringHome()).files.includes('a.txt'))
})

test('a history that was rewritten below the base becomes one commit', async (t) => {
  const { workspace, bringHome } = await start(t)
  await writeFiles(workspace, { 'one.txt': '1\n' })
  await sh(workspace, ['add', '-A'])
  await sh(workspace, ['commit', '-q', '--amend', '-m', 'Rewritten'])
  assert.deepEqual((await bringHome()).subjects, ['Do the task'])
})

test('the work survives the loss of .git, and a .git made anew', async (t) => {
  const { workspace, bringHome } = await start(t)
  await writeFiles(workspace, { 'one.txt': '1\n' })
  await rm(join(workspace, '.git'), { recursive: true })
  const gone = await bringHome()
  assert.deepEqual(gone.paths, [{ path: 'one.txt', change: 'added' }])
  await sh(workspace, ['init', '-q'])
  await sh(workspace, ['add', '-A'])
  await sh(workspace, ['commit', '-q', '-m', 'Anew'])
  const anew = await bringHome()
  assert.deepEqual(anew.paths, gone.paths)
  assert.deepEqual(anew.subjects, ['Do the task'])
  await writeFiles(workspace, { '.git': 'gitdir: /nowhere\n' })
  assert.deepEqual((await bringHome()).paths, gone.paths)
})

test('a broken index is made anew', async (t) => {
  const { workspace, bringHome } = await start(t)
  await writeFiles(workspace, { 'one.txt': '1\n', '.git/index': 'DIRCgarbage' })
  assert.deepEqual((await bringHome()).paths, [{ path: 'one.txt', change: 'added' }])
})

test('settings, hooks, filters and drivers of the agent do not run and do not matter (T12, T13, T14)', async (t) => {
  const { workspace, bringHome } = await start(t)
  const marker = join(workspace, '..', 'marker')
  const touch = `touch ${marker}`
  await appendFile(
    join(workspace, '.git/config'),
    `[core]
\thooksPath = ${workspace}/hooks
\tfsmonitor = ${workspace}/hooks/fsmonitor
\tworktree = /nonexistent
\tbare = true
\tautocrlf = true
\tsshCommand = ${touch}
\tpager = ${touch}
\teditor = ${touch}
[commit]
\tgpgSign = true
[gpg]
\tprogram = ${workspace}/hooks/gpg
[filter "evil"]
\tclean = ${touch}; cat
\tsmudge = ${touch}; cat
\tprocess = ${touch}
\trequired = true
[diff "evil"]
\ttextconv = ${touch}
\tcommand = ${touch}
[merge "evil"]
\tdriver = ${touch}
[include]
\tpath = /dev/zero/none
[alias]
\tadd = !${touch}
[user]
\tname = Somebody Else
[remote "origin"]
\turl = ext::sh -c "${touch}"
\tpromisor = true
[extensions]
\tpartialClone = origin
`,
  )
  const script = `#!/bin/sh\n${touch}\nexit 1\n`
  const hooks = [
    'pre-commit',
    'commit-msg',
    'post-index-change',
    'reference-transaction',
    'post-commit',
    'fsmonitor',
    'gpg',
  ]
  for (const hook of hooks)
    for (const folder of ['hooks', '.git/hooks', '.husky']) {
      await writeFiles(workspace, { [`${folder}/${hook}`]: script })
      await chmod(join(workspace, folder, hook), 0o755)
    }
  await writeFiles(workspace, {
    '.gitattributes': '* filter=evil diff=evil merge=evil\n',
    'crlf.txt': 'a\r\nb\r\n',
  })
  const result = await bringHome()
  assert.ok(!existsSync(marker), 'something of the agent ran')
  assert.ok(result.files.includes('hooks/pre-commit') && result.files.includes('.husky/pre-commit'))
  assert.equal(await result.read('crlf.txt'), 'a\r\nb')
})

test('a repository inside the work tree is committed as its files', async (t) => {
  const { workspace, bringHome } = await start(t)
  await writeFiles(workspace, {
    'with/x.txt': 'x\n',
    'with/deeper one/y.txt': 'y\n',
    'empty/z.txt': 'z\n',
    'empty/ignored/q': 'q\n',
    'added/w.txt': 'w\n',
  })
  for (const folder of ['with/deeper one', 'with', 'added']) {
    await sh(join(workspace, folder), ['init', '-q'])
    await sh(join(workspace, folder), ['add', '-A'])
    await sh(join(workspace, folder), ['commit', '-q', '-m', 'inner'])
  }
  await sh(join(workspace, 'empty'), ['init', '-q'])
  await sh(workspace, ['add', 'added'])
  await sh(workspace, ['commit', '-q', '-m', 'Adds a repository'])
  const result = await bringHome()
  assert.deepEqual(result.paths.map(({ path }) => path).toSorted(), [
    'added/w.txt',
    'empty/ignored/q',
    'empty/z.txt',
    'with/deeper one/y.txt',
    'with/x.txt',
  ])
  assert.deepEqual(result.subjects, ['Do the task'])
})

test('a file that cannot be read is named', async (t) => {
  if (process.getuid?.() === 0) return t.skip('root reads everything')
  const { workspace, guest } = await start(t)
  await writeFiles(workspace, { 'secret.txt': 's' })
  await chmod(join(workspace, 'secret.txt'), 0)
  const made = await guest.commit()
  assert.equal(made.code, 4)
  assert.match(made.stderr, /secret\.txt/)
})

test('a checkpoint disturbs nobody, and the next try goes on from it', async (t) => {
  const { workspace, guest, mirror, base } = await start(t)
  await writeFiles(workspace, { 'one.txt': '1\n' })
  await sh(workspace, ['add', '-A'])
  await sh(workspace, ['commit', '-q', '-m', 'My first'])
  await writeFiles(workspace, { 'two.txt': '2\n', 'staged.txt': 's\n', 'a.txt': null })
  await sh(workspace, ['add', 'staged.txt'])
  const look = async () => ({
    index: await readFile(join(workspace, '.git/index')),
    changedMs: (await stat(join(workspace, '.git/index'))).mtimeMs,
    head: await sh(workspace, ['rev-parse', 'HEAD']),
    status: await sh(workspace, ['status', '--porcelain'], { GIT_OPTIONAL_LOCKS: '0' }),
  })
  const before = await look()
  assert.equal((await guest.commit('checkpoint')).code, 0)
  const after = await look()
  assert.deepEqual(after, before)

  const second = await createGuest(t)
  await second.unpack(mirror, base, guest.checkpoint)
  assert.equal(await sh(second.workspace, ['log', '--format=%s']), 'My first\nFirst commit')
  const status = await sh(second.workspace, ['status', '--porcelain', '-uall'])
  assert.deepEqual(
    status
      .split('\n')
      .map((line) => line.trim())
      .toSorted(),
    ['?? staged.txt', '?? two.txt', 'D a.txt'],
  )
  assert.equal((await second.commit()).code, 0)
  const outcome = await second.collect(mirror, base)
  assert.ok(outcome.kind === 'collected')
  assert.equal(
    await sh(mirror.path, ['log', '--format=%s', `${base}..${outcome.commit}`]),
    'Do the task\nMy first',
  )
})

test('a workspace from a layer becomes the commit and keeps what was installed', async (t) => {
  const { workspace, guest, mirror, origin, base } = await start(t)
  await writeFiles(workspace, { 'ignored/node.js': 'installed\n', 'left-over [1].txt': 'by the set-up\n' })
  await writeFiles(workspace, { '.git/hooks/post-checkout': '#!/bin/sh\ntouch ../hooked\n' })
  const next = await origin.commit({ 'a.txt': 'newer\n', 'dir/b.txt': null, 'c.txt': 'c\n' })
  await mirror.fetchBranch('main', NEVER)
  await guest.unpack(mirror, next)
  assert.equal(await sh(workspace, ['rev-parse', 'HEAD']), next)
  assert.equal(await sh(workspace, ['status', '--porcelain']), '?? "left-over [1].txt"')
  assert.ok(!existsSync(join(workspace, 'dir/b.txt')))
  assert.ok(!existsSync(join(workspace, '.git/hooks')))
  assert.equal(await readFile(join(workspace, 'ignored/node.js'), 'utf8'), 'installed\n')
  const ignore = await guest.run(ignoreLeftOversCommand(guest))
  assert.equal(ignore.code, 0, ignore.stderr)
  assert.equal((await guest.commit()).code, NOTHING_CHANGED)
  await writeFiles(workspace, { 'real.txt': 'r\n' })
  assert.equal((await guest.commit()).code, 0)
  const outcome = await guest.collect(mirror, next)
  assert.ok(outcome.kind === 'collected')
  assert.deepEqual(outcome.paths, [{ path: 'real.txt', change: 'added' }])
  assert.notEqual(base, next)
})

test('a large history comes in shallow, and the result still fits', async (t) => {
  const origin = await createOrigin(t)
  for (let at = 0; at < 8; at++) await origin.commit({ [`f${at}`]: String(at) })
  const { mirrors, repository } = await createTestMirrors(t, {
    inputLimits: { shallowAboveBytes: -1, shallowCommits: 3 },
  })
  const mirror = mirrors.open(repository(origin.path))
  await mirror.fetch(NEVER)
  const base = await origin.tip()
  const guest = await createGuest(t)
  await guest.unpack(mirror, base)
  assert.equal(await sh(guest.workspace, ['rev-list', '--count', 'HEAD']), '3')
  await sh(guest.workspace, ['fsck', '--strict'])
  await writeFiles(guest.workspace, { 'new.txt': 'n\n', f3: null })
  await sh(guest.workspace, ['add', 'new.txt'])
  await sh(guest.workspace, ['commit', '-q', '-m', 'Mine'])
  assert.equal((await guest.commit()).code, 0)
  const outcome = await guest.collect(mirror, base)
  assert.ok(outcome.kind === 'collected', JSON.stringify(outcome))
  assert.deepEqual(outcome.paths, [
    { path: 'f3', change: 'deleted' },
    { path: 'new.txt', change: 'added' },
  ])
  await rm(join(guest.workspace, '.git'), { recursive: true })
  assert.equal((await guest.commit()).code, 0)
  assert.equal((await guest.collect(mirror, base)).kind, 'collected')
  await mkdir(join(guest.workspace, 'x'))
})
