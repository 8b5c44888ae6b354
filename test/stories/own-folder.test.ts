/** A repository that is a folder of the operator's own, with the target branch checked out in it. */
import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { commitFiles, git, startStory } from '#test/story.ts'

test('a checked-out target branch is updated when it is clean, and left alone when it is not', async (t) => {
  const story = await startStory(t)
  const folder = await mkdtemp(join(tmpdir(), 'ff-origin-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  await git(folder, 'init', '--quiet', '--initial-branch', 'main')
  await commitFiles(folder, { 'a.txt': 'a\n', 'b.txt': 'b\n' }, 'Begin')
  const submit = async (script: string) => {
    const { job } = await story.client.submit({
      repository: folder,
      into: 'main',
      task: script,
      agent: 'command',
      command: ['sh', '-c', script],
    })
    return story.settled(job)
  }

  const clean = await submit('echo new > new.txt; echo changed > a.txt')
  assert.equal(clean.state, 'succeeded', clean.message ?? '')
  assert.equal(await readFile(join(folder, 'new.txt'), 'utf8'), 'new\n', 'the work tree has the file')
  assert.equal(await readFile(join(folder, 'a.txt'), 'utf8'), 'changed\n')
  assert.equal(await git(folder, 'status', '--porcelain'), '', 'index, work tree and branch agree')
  assert.equal(await git(folder, 'rev-parse', 'HEAD'), clean.landedCommit)

  await writeFile(join(folder, 'b.txt'), 'mine, not committed\n')
  const before = await git(folder, 'rev-parse', 'main')
  const waiting = await submit('echo second > second.txt')
  assert.deepEqual([waiting.state, waiting.cause], ['needs_review', 'checked_out'])
  assert.equal(await git(folder, 'rev-parse', 'main'), before)
  assert.equal(await readFile(join(folder, 'b.txt'), 'utf8'), 'mine, not committed\n')

  // The sentence names the command that takes the work; a person types it.
  const command = /git merge (\S+?)\.?(?=[\s.])/.exec(waiting.message ?? '')
  assert.ok(command?.[1], waiting.message ?? '')
  await git(folder, '-c', 'user.name=T', '-c', 'user.email=t@localhost', 'merge', '--quiet', command[1])
  assert.equal(await readFile(join(folder, 'second.txt'), 'utf8'), 'second\n')
  await story.client.approve(waiting.id, waiting.resultCommit ?? '')
  const ended = await story.settled(waiting)
  assert.equal(ended.state, 'succeeded', 'what was taken by hand is on the branch')

  // Or it is made clean, and approved.
  await writeFile(join(folder, 'b.txt'), 'again\n')
  const third = await submit('echo third > third.txt')
  assert.equal(third.cause, 'checked_out')
  await git(folder, 'checkout', '--quiet', '--', 'b.txt')
  await story.client.approve(third.id, third.resultCommit ?? '')
  assert.equal((await story.settled(third)).state, 'succeeded')
  assert.equal(await readFile(join(folder, 'third.txt'), 'utf8'), 'third\n')
})
