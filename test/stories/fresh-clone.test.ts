/** From a clone below a folder that only its owner may enter, and under an old Node: the two commands of the README. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { tmpdir } from 'node:os'
import { test } from 'node:test'
import { freePort, processesOf, ROOT, runToEnd } from '#test/command-line.ts'
import { removeHome } from '#test/story.ts'

test('the demo runs from a clone in a private folder', { timeout: 240_000 }, async (t) => {
  // Beside this checkout: node_modules are hard links, which do not cross disks.
  const folder = await mkdtemp(join(dirname(ROOT), '.ff-clone-'))
  const home = await mkdtemp(join(tmpdir(), 'ff-story-'))
  await chmod(home, 0o755)
  t.after(async () => {
    await rm(folder, { recursive: true, force: true })
    await removeHome(home)
  })
  await chmod(folder, 0o700)
  const clone = join(folder, 'flowforge')
  await copyCheckout(clone)

  const said = await runToEnd(
    'node',
    ['scripts/with-node.mjs', 'src/main.ts', 'demo', '--exit'],
    {
      FLOWFORGE_HOME: home,
      FLOWFORGE_PORT: String(await freePort()),
      FLOWFORGE_GATEWAY_PORT: String(await freePort()),
    },
    clone,
    200_000,
  )
  assert.equal(said.code, 0, said.stdout.slice(-3000) + said.stderr.slice(-3000))
  assert.match(said.stdout, /scripted model, no key/)
  const landed = said.stdout.match(/^✔ #\d+ .*landed as [0-9a-f]{8}/gm) ?? []
  assert.ok(landed.length >= 4, said.stdout.slice(-3000))
  assert.doesNotMatch(said.stdout, /✘/)
  assert.deepEqual(processesOf(home), [], 'no process is left')
})

async function copyCheckout(target: string): Promise<void> {
  await mkdir(target, { recursive: true })
  const files = execFileSync('git', [
    '-C',
    ROOT,
    'ls-files',
    '-z',
    '--cached',
    '--others',
    '--exclude-standard',
  ])
  execFileSync(
    'tar',
    ['-C', ROOT, '--null', '--ignore-failed-read', '-T', '-', '-cf', join(target, '.files.tar')],
    { input: files, stdio: ['pipe', 'ignore', 'ignore'] },
  )
  execFileSync('tar', ['-C', target, '-xf', join(target, '.files.tar')])
  await rm(join(target, '.files.tar'))
  execFileSync('cp', ['-al', join(ROOT, 'node_modules'), join(target, 'node_modules')])
  // As an installation leaves it: nothing is to be downloaded here.
  const stamp = createHash('sha256')
    .update(await readFile(join(target, 'package-lock.json')))
    .digest('hex')
  const file = join(target, 'node_modules/.flowforge-installed')
  await rm(file, { force: true })
  await writeFile(file, stamp)
}
