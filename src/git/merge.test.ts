import assert from 'node:assert/strict'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { AUTHOR, createOrigin, createTestMirrors, NEVER, scratchFolder, sh, type Files } from '#test/git.ts'
import { tidy } from './maintenance.ts'
import { createLog } from '#telemetry'

async function start(t: TestContext, files: Files) {
  const origin = await createOrigin(t, files)
  const { mirrors, repository } = await createTestMirrors(t)
  const mirror = mirrors.open(repository(origin.path))
  const base = await origin.tip()
  /** Two branches from the base, fetched. */
  const fork = async (ours: Files, theirs: Files) => {
    const target = await origin.commit(ours)
    await sh(origin.path, ['branch', 'theirs', base])
    const result = await origin.commit(theirs, { branch: 'theirs' })
    await mirror.fetch(NEVER)
    return { target, result }
  }
  return { origin, mirror, base, fork }
}

const lines = (...changed: readonly string[]) =>
  ['1', '2', '3', '4', '5', '6', '7', '8', '9']
    .map((line) => `${changed.find((one) => one.startsWith(line)) ?? line}\n`)
    .join('')

test('changes in different places merge clean, and the tree has both', async (t) => {
  const { mirror, fork } = await start(t, { 'f.txt': lines() })
  const { target, result } = await fork({ 'f.txt': lines('1 ours') }, { 'f.txt': lines('9 theirs') })
  const merged = await mirror.merge({ target, result })
  assert.ok(merged.kind === 'clean')
  assert.equal(await sh(mirror.path, ['show', `${merged.tree}:f.txt`]), lines('1 ours', '9 theirs').trimEnd())
  assert.equal(await sh(mirror.path, ['for-each-ref', 'refs/heads']), '', 'no ref was touched')
})

test('conflicts name their paths, strange ones too', async (t) => {
  const strange = 'a b\tü"\'.txt'
  const { mirror, fork } = await start(t, { [strange]: lines(), 'gone.txt': lines(), 'same.txt': lines() })
  const { target, result } = await fork(
    { [strange]: lines('1 ours'), 'gone.txt': null, 'same.txt': lines('5 same') },
    { [strange]: lines('1 theirs'), 'gone.txt': lines('5 theirs'), 'same.txt': lines('5 same') },
  )
  const merged = await mirror.merge({ target, result })
  assert.ok(merged.kind === 'conflicts')
  assert.deepEqual(merged.paths.toSorted(), [strange, 'gone.txt'].toSorted())
  assert.equal(merged.messages.length, 2)
  assert.ok(merged.messages.every((text) => text.startsWith('CONFLICT')))
})

test('attributes of the repository choose no merge driver (T14)', async (t) => {
  const { mirror, fork } = await start(t, {
    '.gitattributes': '* merge=evil\n*.union merge=union\n',
    'f.union': lines(),
  })
  const { target, result } = await fork({ 'f.union': lines('1 ours') }, { 'f.union': lines('1 theirs') })
  assert.equal((await mirror.merge({ target, result })).kind, 'conflicts')
})

test('a criss-cross history merges, an unrelated one does not, what is in is contained', async (t) => {
  const { origin, mirror, base } = await start(t, { 'f.txt': lines() })
  const { clone } = origin
  const side = async (branch: string, files: Files) => {
    await sh(origin.path, ['branch', branch, base])
    return origin.commit(files, { branch })
  }
  const one = await side('one', { 'f.txt': lines('1 one') })
  const two = await side('two', { 'f.txt': lines('9 two') })
  const cross = async (branch: string, into: string, from: string) => {
    await sh(clone, ['checkout', '-q', '-B', branch, into])
    await sh(clone, ['merge', '-q', '--no-edit', from])
    await sh(clone, ['push', '-q', '-f', 'origin', branch])
  }
  await cross('one', one, two)
  await cross('two', two, one)
  const target = await origin.commit({ 'f.txt': lines('1 one', '3 more', '9 two') }, { branch: 'one' })
  const result = await origin.commit({ 'f.txt': lines('1 one', '7 more', '9 two') }, { branch: 'two' })
  await sh(clone, ['checkout', '-q', '--orphan', 'unrelated'])
  await sh(clone, ['commit', '-q', '-m', 'Unrelated'])
  await sh(clone, ['push', '-q', 'origin', 'unrelated'])
  const unrelated = await sh(clone, ['rev-parse', 'HEAD'])
  await mirror.fetch(NEVER)
  const merged = await mirror.merge({ target, result })
  assert.ok(merged.kind === 'clean', JSON.stringify(merged))
  assert.equal(
    await sh(mirror.path, ['show', `${merged.tree}:f.txt`]),
    lines('1 one', '3 more', '7 more', '9 two').trimEnd(),
  )
  assert.deepEqual(await mirror.merge({ target, result: base }), { kind: 'contained' })
  assert.deepEqual(await mirror.merge({ target, result: unrelated }), { kind: 'unrelated' })
})

test('a landing commit is the same on every worker, whatever is in its words', async (t) => {
  const { origin, mirror, base } = await start(t, { f: 'f' })
  await mirror.fetch(NEVER)
  const { mirrors, repository } = await createTestMirrors(t)
  const other = mirrors.open(repository(origin.path))
  await other.fetch(NEVER)
  const request = {
    tree: await sh(mirror.path, ['rev-parse', `${base}^{tree}`]),
    parents: [base],
    message: '--amend $(touch x) `x`\n\n# not a comment\n"quotes" \u{1F600}\n\nFlowForge-Job: 12\n',
    author: { name: 'Ünï "Q" <x>', email: 'a@b' },
    date: new Date('2026-03-04T05:06:07.890Z'),
  }
  const id = await mirror.commitMerge(request)
  assert.equal(await other.commitMerge(request), id)
  assert.equal(await sh(mirror.path, ['log', '-1', '--format=%B', id]), request.message.trimEnd())
  assert.equal(
    await sh(mirror.path, ['log', '-1', '--format=%aI %cI %ae', id]),
    '2026-03-04T05:06:07+00:00 2026-03-04T05:06:07+00:00 a@b',
  )
})

test('a diff is cut off where it gets too long, and file ids tell what changed', async (t) => {
  const { mirror, fork } = await start(t, {
    'package.json': '{}\n',
    'packages/a/package.json': '{}\n',
    'dir/[x]*.txt': 'x\n',
  })
  const { target, result } = await fork(
    { 'big.txt': 'line\n'.repeat(10_000) },
    { 'package.json': '{"a":1}\n' },
  )
  assert.match(await mirror.diff(target, result, 1_000_000), /"a":1/)
  const cut = await mirror.diff(target, result, 500)
  assert.ok(cut.length < 600 && cut.includes('cut off after 500 bytes'))
  const names = { names: ['package.json'], paths: ['none', 'dir', 'dir/[x]*.txt', '*'] }
  const [before, after] = [await mirror.fileIds(target, names), await mirror.fileIds(result, names)]
  assert.deepEqual([...before.keys()].toSorted(), ['dir/[x]*.txt', 'package.json', 'packages/a/package.json'])
  assert.notEqual(before.get('package.json'), after.get('package.json'))
  assert.deepEqual(await mirror.changedPaths(target, result), [
    { path: 'big.txt', change: 'deleted' },
    { path: 'package.json', change: 'modified' },
  ])
})

test('many small packs are rolled up, and everything is still there', async (t) => {
  const { origin, mirror, base } = await start(t, { f: 'f' })
  await mirror.fetch(NEVER)
  const folder = await scratchFolder(t)
  const tree = await sh(mirror.path, ['rev-parse', `${base}^{tree}`])
  const { mirrors, repository } = await createTestMirrors(t)
  const other = mirrors.open(repository(origin.path))
  const kept: string[] = []
  for (let at = 0; at < 70; at++) {
    const commit = await mirror.commitMerge({
      tree,
      parents: [base],
      message: `${at}`,
      author: AUTHOR,
      date: new Date(1e12),
    })
    await mirror.writeBundle(commit, [base], join(folder, `${at}`))
    await other.restoreBundle(join(folder, `${at}`))
    kept.push(commit)
  }
  const place = { path: other.path, repository: repository(origin.path) }
  await tidy(place, createLog({ FLOWFORGE_LOG_LEVEL: 'silent' }, 'test'))
  const packs = (await readdir(join(other.path, 'objects/pack'))).filter((name) => name.endsWith('.pack'))
  assert.ok(packs.length < 10, `${packs.length} packs are left`)
  for (const commit of kept) assert.equal(await other.resolve(commit), commit)
  await sh(other.path, ['fsck', '--no-dangling'])
})
