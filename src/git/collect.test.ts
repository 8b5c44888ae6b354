import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { open, readdir, rm, symlink, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { deflateSync } from 'node:zlib'
import type { CollectLimits } from './outcomes.ts'
import { createOrigin, createTestMirrors, execute, NEVER, scratchFolder, sh, type Files } from '#test/git.ts'

/** A hostile sandbox: it may put any object it likes into the bundle. */
async function start(t: TestContext, files: Files = { 'a.txt': 'a\n', 'aux.c': 'old\n' }) {
  const origin = await createOrigin(t, files)
  const { mirrors, repository } = await createTestMirrors(t)
  const mirror = mirrors.open(repository(origin.path))
  const base = await origin.tip()
  await mirror.fetch(NEVER)
  const { clone } = origin
  const file = join(await scratchFolder(t), 'result.bundle')
  let at = 0

  const put = (args: readonly string[], input: string | Buffer): string => {
    const { status, stdout, stderr } = spawnSync('git', args, { cwd: clone, input })
    assert.equal(status, 0, stderr.toString())
    return stdout.toString().trim()
  }
  const object = (type: string, content: string | Buffer) =>
    put(['hash-object', '-w', '--literally', '-t', type, '--stdin'], content)
  const blob = (content: string | Buffer) => object('blob', content)
  /** A tree of any names and modes, on top of the files of the base. */
  const tree = (entries: readonly (readonly [mode: string, name: string | Buffer, id: string])[]) => {
    const sorted = [...entries].toSorted((a, b) => {
      const key = ([mode, name]: (typeof entries)[number]) =>
        Buffer.concat([Buffer.from(name as string), Buffer.from(mode === '40000' ? '/' : '')])
      return Buffer.compare(key(a), key(b))
    })
    return object(
      'tree',
      Buffer.concat(
        sorted.flatMap(([mode, name, id]) => [
          Buffer.from(`${mode} `),
          Buffer.from(name as string),
          Buffer.from([0]),
          Buffer.from(id, 'hex'),
        ]),
      ),
    )
  }
  const commit = (treeId: string, parents: readonly string[] = [base]) =>
    sh(clone, ['commit-tree', treeId, ...parents.flatMap((parent) => ['-p', parent]), '-m', 'x'])
  const bundle = async (id: string, ref = 'refs/heads/result', without = base) => {
    await rm(file, { force: true })
    await sh(clone, ['update-ref', ref, id])
    await sh(clone, ['bundle', 'create', '-q', file, ref, ...(without === '' ? [] : [`^${without}`])])
    await sh(clone, ['update-ref', '-d', ref])
  }
  /** As `bundle`, with a header that may say anything. */
  const bundleByHand = async (id: string, says = id, ...options: readonly string[]) => {
    const args = ['pack-objects', '--revs', '--stdout', '-q', ...options]
    const { stdout } = spawnSync('git', args, { cwd: clone, input: `${id}\n^${base}\n` })
    const header = `# v2 git bundle\n-${base}\n${says} refs/heads/result\n\n`
    await writeFile(file, Buffer.concat([Buffer.from(header), stdout]))
  }
  const collect = (limits?: Partial<CollectLimits>) =>
    mirror.collect({ file, base, keepAs: `results/${at++}`, ...(limits && { limits }) }, NEVER)
  const objects = () =>
    execute('sh', [
      '-c',
      `cd '${mirror.path}' && find objects flowforge/quarantine -type f | sort; git for-each-ref refs/flowforge`,
    ])
  /** The bundle must be refused for this reason, and nothing of it may stay. */
  const refused = async (why: RegExp, limits?: Partial<CollectLimits>) => {
    const before = await objects()
    const outcome = await collect(limits)
    assert.ok(outcome.kind === 'rejected', JSON.stringify(outcome))
    assert.match(outcome.problem, why)
    assert.deepEqual(await objects(), before, 'something stayed in the mirror')
  }
  const baseEntries = [
    ['100644', 'a.txt', blob('a\n')],
    ['100644', 'aux.c', blob('old\n')],
  ] as const
  return {
    origin,
    mirror,
    base,
    clone,
    file,
    blob,
    tree,
    commit,
    bundle,
    bundleByHand,
    collect,
    refused,
    baseEntries,
    object,
  }
}

test('a file that is no bundle, or a bundle of other refs, is refused', async (t) => {
  const { file, base, clone, bundle, collect, refused, commit, tree, blob, baseEntries } = await start(t)
  await writeFile(file, '')
  await refused(/not a git bundle/)
  await writeFile(file, `# v2 git bundle\n${'x'.repeat(100_000)}`)
  await refused(/header/)
  await writeFile(file, `# v2 git bundle\n-${base}\n${base} refs/heads/result\n\nnot a pack at all`)
  await refused(/no pack/)
  const good = await commit(tree([...baseEntries, ['100644', 'b', blob('b')]]))
  await bundle(good, 'refs/heads/main2')
  await refused(/refs\/heads\/result and nothing else/)
  await sh(clone, ['update-ref', 'refs/heads/result', good])
  await sh(clone, ['update-ref', 'refs/heads/evil', good])
  await rm(file)
  await sh(clone, ['bundle', 'create', '-q', file, 'refs/heads/result', 'refs/heads/evil', `^${base}`])
  await refused(/nothing else/)
  await bundle(good, 'refs/heads/result', '')
  await refused(/must build on the commit/)
  await bundle(good)
  const { size } = await open(file).then(async (handle) => {
    await using opened = handle
    return await opened.stat()
  })
  await refused(/bytes; at most/, { bundleBytes: size - 1 })
  await truncate(file, size - 30)
  await refused(/git does not accept/)
  await rm(file)
  await symlink('/etc/passwd', file)
  await assert.rejects(collect(), { code: 'ELOOP' }, 'a link is not followed')
})

test('a header that names what the pack does not hold, or no commit, is refused', async (t) => {
  const { bundleByHand, refused, commit, tree, blob, object, baseEntries } = await start(t)
  const content = blob('b')
  const good = await commit(tree([...baseEntries, ['100644', 'b', content]]))
  await bundleByHand(good, '1'.repeat(40))
  await refused(/does not hold the commit/)
  await bundleByHand(good, content)
  await refused(/does not hold the commit/)
  const tag = object('tag', `object ${good}\ntype commit\ntag t\ntagger T <t@t> 1 +0000\n\nx\n`)
  await bundleByHand(tag, tag)
  await refused(/does not hold the commit/)
})

test('a result that does not descend from the base is refused', async (t) => {
  const { base, bundleByHand, collect, refused, commit, tree, blob, baseEntries } = await start(t)
  const id = tree([baseEntries[0], ['100644', 'b', blob('b')]])
  const unrelated = await commit(id, [])
  await bundleByHand(unrelated)
  await refused(/does not descend/)
  await bundleByHand(await commit(id, [unrelated, base]))
  assert.equal((await collect()).kind, 'collected', 'a merge of both does')
})

test('a result that links what is not there is refused', async (t) => {
  const { bundleByHand, refused, commit, tree, blob, baseEntries } = await start(t)
  await bundleByHand(
    await commit(tree([...baseEntries, ['100644', 'b', blob('b')]])),
    undefined,
    '--filter=blob:none',
  )
  await refused(/git does not accept/)
})

test('trees with .git, dots, slashes, or hostile .gitmodules do not get through (T15, T16)', async (t) => {
  const { bundle, refused, commit, tree, blob, baseEntries } = await start(t)
  const evil = blob('[core]\n\tfsmonitor = touch /tmp/x\n')
  const inner = tree([['100644', 'config', evil]])
  for (const name of [
    '.git',
    '.GIT',
    'git~1',
    '.g\u200cit',
    '.git ',
    '.git.',
    '.git::$INDEX_ALLOCATION',
    '..',
    '.',
    'a/b',
  ])
    for (const entry of [
      ['40000', name, inner],
      ['100644', name, evil],
    ] as const) {
      await bundle(await commit(tree([...baseEntries, entry])))
      await refused(/git does not accept|git directory|leaves the work tree/)
    }
  const modules = [
    '[submodule "../../x"]\n\tpath = a\n\turl = https://example.com/x\n',
    '[submodule "a"]\n\tpath = a\n\turl = --upload-pack=touch\n',
    '[submodule "a"]\n\tpath = a\n\turl = ext::sh\n\tupdate = !touch\n',
    '[submodule "a"]\n\tpath = a\n\turl = https://example.com/x\n',
  ]
  for (const text of modules) {
    await bundle(await commit(tree([...baseEntries, ['100644', '.gitmodules', blob(text)]])))
    await refused(/git does not accept|gitmodules/)
  }
  await bundle(await commit(tree([...baseEntries, ['120000', '.gitmodules', blob('a.txt')]])))
  await refused(/git does not accept|gitmodules/)
  await bundle(await commit(tree([...baseEntries, ['160000', 'sub', 'a'.repeat(40)]])))
  await refused(/submodule/)
})

test('links out of the tree, names of Windows and names that fold together are refused (T16)', async (t) => {
  const { bundle, refused, collect, commit, tree, blob, baseEntries } = await start(t)
  const cases: readonly (readonly [RegExp, readonly (readonly [string, string | Buffer, string])[]])[] = [
    [/absolute/, [['120000', 'l', blob('/etc/passwd')]]],
    [/out of the work tree/, [['120000', 'l', blob('../x')]]],
    [/goes up again/, [['120000', 'l', blob('a/../../x')]]],
    [/git directory/, [['120000', 'l', blob('.git/config')]]],
    [/symbolic link/, [['120000', '.gitattributes', blob('a.txt')]]],
    [/target of 5000 bytes/, [['120000', 'l', blob('x'.repeat(5000))]]],
    [/Windows/, [['100644', 'con.txt', blob('x')]]],
    [/backslash|accept/, [['100644', 'a\\b', blob('x')]]],
    [/dot or a space/, [['100644', 'x.', blob('x')]]],
    [/ignores case/, [['100644', 'A.TXT', blob('x')]]],
    [
      /ignores case/,
      [
        ['40000', 'D', tree([['100644', 'x', blob('x')]])],
        ['40000', 'd', tree([['100644', 'y', blob('y')]])],
      ],
    ],
    [/control/, [['100644', 'a\nb', blob('x')]]],
    [/UTF-8/, [['100644', Buffer.from([0x78, 0xff]), blob('x')]]],
    [/longer/, [['100644', 'x'.repeat(2000), blob('x')]]],
  ]
  for (const [why, entries] of cases) {
    await bundle(await commit(tree([...baseEntries, ...entries])))
    await refused(why)
  }
  const changed = baseEntries.map(
    ([mode, name, id]) => [mode, name, name === 'aux.c' ? blob('new\n') : id] as const,
  )
  await bundle(await commit(tree([...changed, ['120000', 'l', blob('a.txt')]])))
  const outcome = await collect()
  assert.ok(outcome.kind === 'collected', JSON.stringify(outcome))
  assert.deepEqual(outcome.paths, [
    { path: 'aux.c', change: 'modified' },
    { path: 'l', change: 'added' },
  ])
})

test('what a later commit removes again is looked at too', async (t) => {
  const { base, bundle, refused, collect, commit, tree, blob, baseEntries } = await start(t)
  const bad = await commit(tree([...baseEntries, ['120000', 'l', blob('/etc')]]))
  const id = tree([...baseEntries, ['100644', 'b', blob('b')]])
  await bundle(await commit(id, [bad]))
  await refused(/absolute/)
  const one = await commit(tree([...baseEntries, ['100644', 'c', blob('c')]]))
  const merge = await commit(id, [one, await commit(id)])
  await bundle(merge)
  const outcome = await collect()
  assert.ok(outcome.kind === 'collected', JSON.stringify(outcome))
  assert.deepEqual(outcome.paths, [{ path: 'b', change: 'added' }])
  await bundle(await commit(tree(baseEntries), [one]))
  assert.deepEqual(await collect(), { kind: 'unchanged' })
  assert.notEqual(base, one)
})

test('too many files and files too large are refused, packed small or not (T17)', async (t) => {
  const { bundle, refused, commit, tree, blob, baseEntries, file, base } = await start(t)
  const many = Array.from({ length: 60 }, (_, at) => ['100644', `f${at}`, blob(`${at}`)] as const)
  await bundle(await commit(tree([...baseEntries, ...many])))
  await refused(/60 files; at most 50/, { files: 50 })
  await refused(/objects; at most 60/, { files: 3 })
  // 3 MB of zeros: 3 KB in the pack.
  await bundle(await commit(tree([...baseEntries, ['100644', 'zeros', blob(Buffer.alloc(3_000_000))]])))
  await refused(/3000000 bytes; at most 1000000/, { fileBytes: 1_000_000 })
  // A delta of 40 bytes that would be 800 MB: sixteen megabytes copied fifty times.
  const source = blob(Buffer.alloc(0x10000, 'x'))
  const size = 0x10000 * 12_000
  const instructions = Buffer.concat(Array.from({ length: 12_000 }, () => Buffer.from([0x80])))
  const bomb = deltaPack(source, 0x10000, size, instructions)
  const header = `# v2 git bundle\n-${base}\n${'2'.repeat(40)} refs/heads/result\n\n`
  await writeFile(file, Buffer.concat([Buffer.from(header), bomb]))
  const begun = performance.now()
  await refused(/too large/)
  assert.ok(performance.now() - begun < 20_000)
})

/** A pack of the source as a blob and one delta on it. */
function deltaPack(sourceId: string, sourceBytes: number, targetBytes: number, instructions: Buffer): Buffer {
  const varint = (value: number): Buffer => {
    const bytes: number[] = []
    for (let rest = value; ;) {
      const low = rest % 128
      rest = Math.floor(rest / 128)
      bytes.push(rest > 0 ? low | 0x80 : low)
      if (rest === 0) return Buffer.from(bytes)
    }
  }
  const entry = (type: number, size: number): Buffer => {
    const first = (type << 4) | (size & 15)
    const rest = Math.floor(size / 16)
    return rest === 0 ? Buffer.from([first]) : Buffer.concat([Buffer.from([first | 0x80]), varint(rest)])
  }
  const delta = Buffer.concat([varint(sourceBytes), varint(targetBytes), instructions])
  const head = Buffer.alloc(12)
  head.write('PACK')
  head.writeUInt32BE(2, 4)
  head.writeUInt32BE(2, 8)
  const body = Buffer.concat([
    head,
    entry(3, sourceBytes),
    deflateSync(Buffer.alloc(sourceBytes, 'x')),
    entry(7, delta.length),
    Buffer.from(sourceId, 'hex'),
    deflateSync(delta),
  ])
  return Buffer.concat([body, createHash('sha1').update(body).digest()])
}

test('a result names objects of the mirror only by what it builds on', async (t) => {
  const { base, bundle, collect, commit, tree, baseEntries, blob, mirror } = await start(t)
  const good = await commit(tree([...baseEntries, ['100644', 'b', blob('b')]]))
  await bundle(good)
  const outcome = await collect()
  assert.ok(outcome.kind === 'collected')
  assert.equal(await sh(mirror.path, ['rev-parse', 'refs/flowforge/results/0']), good)
  assert.deepEqual(await collect(), { ...outcome }, 'the same bundle again is the same result')
  assert.deepEqual(await readdir(join(mirror.path, 'flowforge', 'quarantine')), [])
  await sh(mirror.path, ['fsck', '--strict', '--no-dangling'])
  assert.notEqual(base, good)
})
