import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createOrigin, createTestMirrors, NEVER } from '#test/git.ts'

test('a file is read from the commit, never through a link, never beyond its limit', async (t) => {
  const files = { 'CLAUDE.md': 'Be brief.\n', 'link.md': { link: '/etc/passwd' }, 'dir/a.txt': 'a\n' }
  const origin = await createOrigin(t, files)
  const { mirrors, repository } = await createTestMirrors(t)
  const mirror = mirrors.open(repository(origin.path))
  await mirror.fetch(NEVER)
  const commit = await origin.tip()
  assert.equal(await mirror.readFile(commit, 'CLAUDE.md', 100), 'Be brief.\n')
  assert.equal(await mirror.readFile(commit, 'CLAUDE.md', 3), undefined)
  assert.equal(await mirror.readFile(commit, 'link.md', 100), '/etc/passwd', 'the text of the link itself')
  assert.equal(await mirror.readFile(commit, 'dir', 100), undefined)
  assert.equal(await mirror.readFile(commit, 'absent.md', 100), undefined)
  assert.equal(await mirror.readFile(commit, 'a\nb', 100), undefined)
})
