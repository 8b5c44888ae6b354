import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { appendFile, chmod, chown, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import {
  AUTHOR,
  createOrigin,
  createTestMirrors,
  execute,
  NEVER,
  scratchFolder,
  sh,
  writeFiles,
} from '#test/git.ts'

async function start(t: TestContext) {
  const origin = await createOrigin(t)
  const made = await createTestMirrors(t)
  const mirror = made.mirrors.open(made.repository(origin.path))
  /** A commit on top of another, as a landing would be. */
  const land = async (target: string, name = 'x', at = mirror) => {
    const tree = await sh(at.path, ['rev-parse', `${target}^{tree}`])
    return at.commitMerge({ tree, parents: [target], message: name, author: AUTHOR, date: new Date(1e12) })
  }
  return { origin, mirror, land, ...made }
}

/** A work tree of a person with main checked out. */
async function workTree(t: TestContext): Promise<string> {
  const folder = join(await scratchFolder(t), 'their work')
  await sh('/', ['init', '-q', '-b', 'main', folder])
  await writeFiles(folder, { 'a.txt': 'a\n' })
  await sh(folder, ['add', '-A'])
  await sh(folder, ['commit', '-q', '-m', 'First'])
  return folder
}

test('fetch answers the branches, the default one, and forgets what went', async (t) => {
  const { origin, mirror } = await start(t)
  const one = await origin.commit({ a: '1' }, { branch: 'topic/one' })
  await sh(origin.path, ['tag', 'v1', 'main'])
  const main = await origin.tip()
  assert.deepEqual(await mirror.fetch(NEVER), {
    kind: 'fetched',
    branches: new Map([
      ['main', main],
      ['topic/one', one],
    ]),
    defaultBranch: 'main',
  })
  assert.equal(await mirror.resolve('topic/one'), one)
  assert.equal(await mirror.resolve('v1'), main)
  assert.equal(await mirror.resolve(one), one)
  for (const name of ['nothing', 'f'.repeat(40), '--all', 'main^{tree}', 'a\nb', ''])
    assert.equal(await mirror.resolve(name), undefined, name)
  await mirror.keep(one, 'results/one')
  await sh(origin.path, ['branch', '-D', 'topic/one'])
  await sh(origin.path, ['branch', 'topic', 'main'])
  assert.deepEqual(
    await mirror.fetchBranch('topic', NEVER),
    { kind: 'fetched', commit: main },
    'a branch where a folder was',
  )
  assert.equal(await mirror.resolve('topic/one'), undefined)
  assert.equal(
    await sh(mirror.path, ['rev-parse', 'refs/flowforge/results/one']),
    one,
    'what we keep is not pruned',
  )
})

test('an empty repository, a missing branch and a missing repository are answers', async (t) => {
  const { origin, mirror, mirrors, repository, home } = await start(t)
  assert.deepEqual(await mirror.fetchBranch('nothing', NEVER), { kind: 'missing' })
  await sh(origin.clone, ['push', '-q', 'origin', 'main:refs/heads/x/refs/heads/nothing'])
  assert.deepEqual(await mirror.fetchBranch('nothing', NEVER), { kind: 'missing' })
  const folder = await scratchFolder(t)
  await sh(folder, ['init', '-q', '--bare', 'empty.git'])
  const empty = mirrors.open(repository(join(folder, 'empty.git')))
  assert.deepEqual(await empty.fetch(NEVER), { kind: 'fetched', branches: new Map() })
  assert.deepEqual(await empty.fetchBranch('main', NEVER), { kind: 'missing' })
  for (const address of [
    join(folder, 'none'),
    folder,
    join(home, 'mirrors'),
    'file:///etc',
    '--upload-pack=x',
    'ext::sh -c x',
  ]) {
    const outcome = await mirrors.open(repository(address)).fetch(NEVER)
    assert.ok(outcome.kind === 'unreachable' && !outcome.temporary, address)
  }
})

test('a push goes through only from the expected value, and never over history', async (t) => {
  const { origin, mirror, land } = await start(t)
  const base = await origin.tip()
  await mirror.fetch(NEVER)
  const landing = await land(base)
  const moved = await origin.commit({ b: 'b' })
  assert.deepEqual(await mirror.push({ commit: landing, branch: 'main', expectedOld: base }, NEVER), {
    kind: 'target-moved',
    actual: moved,
  })
  assert.equal(await origin.tip(), moved)
  const over = await mirror.push({ commit: landing, branch: 'main', expectedOld: moved }, NEVER)
  assert.equal(over.kind, 'refused', 'a commit that does not build on the branch')
  assert.deepEqual(await mirror.push({ commit: landing, branch: 'new/branch', expectedOld: null }, NEVER), {
    kind: 'pushed',
  })
  const other = await land(base, 'other')
  assert.deepEqual(await mirror.push({ commit: other, branch: 'new/branch', expectedOld: null }, NEVER), {
    kind: 'target-moved',
    actual: landing,
  })
  assert.deepEqual(await mirror.fetchBranch('main', NEVER), { kind: 'fetched', commit: moved })
  assert.equal(
    (await mirror.push({ commit: landing, branch: 'gone', expectedOld: base }, NEVER)).kind,
    'target-moved',
  )
})

test('of many workers that push at once exactly one wins', async (t) => {
  const { origin, mirror, land, mirrors, repository } = await start(t)
  await mirror.fetch(NEVER)
  const base = await origin.tip()
  const workers = await Promise.all(
    ['a', 'b', 'c', 'd', 'e'].map(async (name) => {
      const own = mirrors.open(repository(origin.path))
      await own.fetch(NEVER)
      return { own, commit: await land(base, name, own) }
    }),
  )
  const outcomes = await Promise.all(
    workers.map(({ own, commit }) => own.push({ commit, branch: 'main', expectedOld: base }, NEVER)),
  )
  assert.equal(outcomes.filter(({ kind }) => kind === 'pushed').length, 1, JSON.stringify(outcomes))
  assert.equal(outcomes.filter(({ kind }) => kind === 'target-moved').length, 4, JSON.stringify(outcomes))
})

test('a remote that talks and talks is left after a while, and nothing of it goes on', async (t) => {
  const origin = await createOrigin(t)
  const { mirrors, repository } = await createTestMirrors(t, { remoteLimitMs: 1500 })
  const mirror = mirrors.open(repository(origin.path))
  const old = await origin.tip()
  assert.equal((await mirror.fetchBranch('main', NEVER)).kind, 'fetched')
  const commit = await mirror.commitMerge({
    ...{ tree: await sh(mirror.path, ['rev-parse', `${old}^{tree}`]), parents: [old], message: 'x' },
    ...{ author: { name: 'A', email: 'a@localhost' }, date: new Date(0) },
  })
  const beats = join(origin.path, 'beats')
  await writeFiles(origin.path, {
    'hooks/pre-receive': `#!/bin/sh\nwhile :; do echo wait >&2; echo . >> '${beats}'; sleep 0.2; done\n`,
  })
  await chmod(join(origin.path, 'hooks', 'pre-receive'), 0o755)
  const outcome = await mirror.push({ commit, branch: 'main', expectedOld: old }, NEVER)
  assert.deepEqual(outcome, {
    kind: 'unreachable',
    problem: 'the server did not come to an end.',
    temporary: true,
  })
  const size = async () => (await stat(beats)).size
  const before = await size()
  await new Promise((resolve) => setTimeout(resolve, 600))
  assert.equal(await size(), before, 'the hook has ended')
  assert.equal(await origin.tip(), old)
})

test('a hook of the repository can refuse, and its words come without control characters', async (t) => {
  const { origin, mirror, land } = await start(t)
  await mirror.fetch(NEVER)
  const hook = join(origin.path, 'hooks', 'pre-receive')
  await writeFiles(origin.path, {
    'hooks/pre-receive': '#!/bin/sh\nprintf "main is \\033[31mprotected\\n" >&2\nexit 1\n',
  })
  await chmod(hook, 0o755)
  const base = await origin.tip()
  const outcome = await mirror.push({ commit: await land(base), branch: 'main', expectedOld: base }, NEVER)
  assert.deepEqual(outcome, { kind: 'refused', problem: 'pre-receive hook declined: main is [31mprotected' })
  assert.equal(await origin.tip(), base)
})

test('a branch that is checked out is updated when its work tree is clean', async (t) => {
  const { mirrors, repository, land } = await start(t)
  const folder = await workTree(t)
  const mirror = mirrors.open(repository(folder))
  const base = await sh(folder, ['rev-parse', 'HEAD'])
  await mirror.fetch(NEVER)
  const landing = await land(base, 'x', mirror)
  assert.deepEqual(await mirror.push({ commit: landing, branch: 'main', expectedOld: base }, NEVER), {
    kind: 'pushed',
  })
  assert.equal(await sh(folder, ['rev-parse', 'HEAD']), landing)
  assert.equal(await sh(folder, ['status', '--porcelain']), '')

  await writeFile(join(folder, 'a.txt'), 'changed\n')
  const next = await land(landing, 'y', mirror)
  const dirty = await mirror.push({ commit: next, branch: 'main', expectedOld: landing }, NEVER)
  assert.equal(dirty.kind, 'checked-out', JSON.stringify(dirty))
  assert.equal(await readFile(join(folder, 'a.txt'), 'utf8'), 'changed\n')
  await sh(folder, ['add', '-A'])
  assert.equal(
    (await mirror.push({ commit: next, branch: 'main', expectedOld: landing }, NEVER)).kind,
    'checked-out',
  )
  assert.equal(await sh(folder, ['rev-parse', 'HEAD']), landing)
  assert.deepEqual(await mirror.push({ commit: next, branch: 'other', expectedOld: null }, NEVER), {
    kind: 'pushed',
  })
})

test('the configuration of a path repository starts no program, and hooks in its work tree neither (T12, T13)', async (t) => {
  const { mirrors, repository, land } = await start(t)
  const folder = await workTree(t)
  const marker = join(folder, '..', 'marker')
  const script = join(folder, '..', 'evil')
  await writeFile(script, `#!/bin/sh\ntouch '${marker}'\nexec "$@"\n`)
  await chmod(script, 0o755)
  const evil = `"'${script}'"`
  for (const hook of [
    'pre-receive',
    'update',
    'post-receive',
    'post-update',
    'reference-transaction',
    'push-to-checkout',
  ]) {
    await writeFiles(folder, { [`.husky/${hook}`]: `#!/bin/sh\ntouch '${marker}'\n` })
    await chmod(join(folder, '.husky', hook), 0o755)
  }
  await sh(folder, ['add', '-A'])
  await sh(folder, ['commit', '-q', '-m', 'Hooks'])
  await appendFile(
    join(folder, '.git/config'),
    `[core]
\tfsmonitor = ${evil}
\thooksPath = ${folder}/.husky
\tsshCommand = ${evil}
\talternateRefsCommand = ${evil}
\tpager = ${evil}
[uploadpack]
\tpackObjectsHook = ${evil}
[credential]
\thelper = ${evil}
[remote "origin"]
\turl = ext::${script}
\tuploadpack = ${evil}
\tpromisor = true
[extensions]
\tpartialClone = origin
[protocol "ext"]
\tallow = always
[gc]
\tauto = 1
[alias]
\tupload-pack = !${evil}
\treceive-pack = !${evil}
`,
  )
  await rm(marker, { force: true })
  const mirror = mirrors.open(repository(folder))
  const fetched = await mirror.fetch(NEVER)
  assert.ok(fetched.kind === 'fetched', JSON.stringify(fetched))
  const base = fetched.branches.get('main')!
  assert.ok(!existsSync(marker), 'fetching started a program')
  const pushed = await mirror.push(
    { commit: await land(base, 'x', mirror), branch: 'main', expectedOld: base },
    NEVER,
  )
  assert.deepEqual(pushed, { kind: 'pushed' })
  assert.ok(!existsSync(marker), 'pushing started a program')
})

test('a mirror may vanish at any moment', async (t) => {
  const { origin, mirror, land } = await start(t)
  await mirror.fetch(NEVER)
  const base = await origin.tip()
  const folder = await scratchFolder(t)
  const vanish = () => rm(mirror.path, { recursive: true })

  const result = await land(base)
  await mirror.writeBundle(result, [base, 'f'.repeat(40)], join(folder, 'kept.bundle'))
  await vanish()
  await mirror.writeInputBundle(base, join(folder, 'in.bundle'), NEVER)
  assert.match(
    await sh(folder, ['bundle', 'list-heads', 'in.bundle']),
    new RegExp(`^${base} refs/heads/base$`),
  )
  await vanish()
  await mirror.restoreBundle(join(folder, 'kept.bundle'))
  assert.equal(await mirror.resolve(result), result)
  assert.equal((await mirror.merge({ target: base, result }, NEVER)).kind, 'clean')
  await vanish()
  assert.deepEqual(await mirror.fetchBranch('main', NEVER), { kind: 'fetched', commit: base })
  await vanish()
  assert.deepEqual(await mirror.remoteContains('main', base, NEVER), { kind: 'contained' })
  assert.deepEqual(await mirror.remoteContains('main', result, NEVER), { kind: 'absent' })
  await assert.rejects(mirror.merge({ target: base, result }, NEVER), 'what only we had must be restored')
  // Half deleted, as by an rm that was interrupted.
  await mirror.fetch(NEVER)
  await rm(join(mirror.path, 'objects'), { recursive: true })
  assert.deepEqual(await mirror.fetchBranch('main', NEVER), { kind: 'fetched', commit: base })
  await mirror.writeInputBundle(base, join(folder, 'in.bundle'), NEVER)
})

test('many workers may use one mirror from the first moment on', async (t) => {
  const { origin, mirrors, repository } = await start(t)
  for (const name of ['a', 'b', 'c']) await origin.commit({ [name]: name }, { branch: name })
  const shared = repository(origin.path)
  const main = await origin.tip()
  const folder = await scratchFolder(t)
  const outcomes = await Promise.all(
    Array.from({ length: 8 }, async (_, at) => {
      const mirror = mirrors.open(shared)
      const fetched = at % 2 === 0 ? await mirror.fetch(NEVER) : await mirror.fetchBranch('main', NEVER)
      await mirror.writeInputBundle(main, join(folder, `${at}.bundle`), NEVER)
      return fetched.kind
    }),
  )
  assert.deepEqual(new Set(outcomes), new Set(['fetched']))
  assert.equal((await readdir(join(mirrors.open(shared).path, '..'))).length, 1, 'no draft is left behind')
})

test('as root, what is written to a repository of somebody else stays theirs', async (t) => {
  if (process.getuid?.() !== 0) return t.skip('needs root')
  const { origin, mirror, land } = await start(t)
  const uid = 12_345
  await execute('chown', ['-R', `${uid}:${uid}`, origin.path])
  await chmod(join(origin.path, '..'), 0o755)
  await chown(join(origin.path, '..'), uid, uid)
  const fetched = await mirror.fetch(NEVER)
  assert.equal(fetched.kind, 'fetched', JSON.stringify(fetched))
  const base = await origin
    .tip()
    .catch(() => readFile(join(origin.path, 'refs/heads/main'), 'utf8').then((text) => text.trim()))
  const landing = await land(base)
  assert.deepEqual(await mirror.push({ commit: landing, branch: 'main', expectedOld: base }, NEVER), {
    kind: 'pushed',
  })
  const { stdout } = await execute('find', [origin.path, '!', '-uid', String(uid)])
  assert.equal(stdout, '')
  assert.equal((await stat(join(origin.path, 'refs/heads/main'))).uid, uid)
})

test('a shallow repository, a link to it and a linked work tree can be mirrored', async (t) => {
  const { origin, mirrors, repository, land } = await start(t)
  await origin.commit({ b: 'b' })
  const folder = await scratchFolder(t)
  await sh(folder, ['clone', '-q', '--depth=1', `file://${origin.path}`, 'shallow'])
  await symlink(join(folder, 'shallow'), join(folder, 'link'))
  const mirror = mirrors.open(repository(join(folder, 'link')))
  const tip = await origin.tip()
  assert.deepEqual(await mirror.fetchBranch('main', NEVER), { kind: 'fetched', commit: tip })
  await sh(origin.clone, ['worktree', 'add', '-q', '-b', 'linked', join(folder, 'linked')])
  const linked = mirrors.open(repository(join(folder, 'linked')))
  assert.equal((await linked.fetch(NEVER)).kind, 'fetched')
  const landing = await land(tip, 'x', linked)
  assert.deepEqual(await linked.push({ commit: landing, branch: 'linked', expectedOld: tip }, NEVER), {
    kind: 'pushed',
  })
  assert.equal(await sh(join(folder, 'linked'), ['rev-parse', 'HEAD']), landing)
})

test('an aborted operation ends its git and throws', async (t) => {
  const { origin, mirror } = await start(t)
  await mirror.fetch(NEVER)
  const base = await origin.tip()
  await writeFiles(origin.path, { 'hooks/pre-receive': '#!/bin/sh\nsleep 60\n' })
  await chmod(join(origin.path, 'hooks/pre-receive'), 0o755)
  const landing = await mirror.commitMerge({
    tree: await sh(mirror.path, ['rev-parse', `${base}^{tree}`]),
    parents: [base],
    message: 'x',
    author: AUTHOR,
    date: new Date(1e12),
  })
  const begun = performance.now()
  await assert.rejects(
    mirror.push({ commit: landing, branch: 'main', expectedOld: base }, AbortSignal.timeout(300)),
    { name: 'TimeoutError' },
  )
  assert.ok(performance.now() - begun < 10_000)
})
