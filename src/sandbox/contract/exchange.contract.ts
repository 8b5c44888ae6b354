/** Files over the border (T16): the guest lies about names, kinds and sizes. */
import assert from 'node:assert/strict'
import { readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { MIB, shell, tryShell, type Bench } from './bench.ts'

export async function exchangeBehaves(t: TestContext, bench: Bench): Promise<void> {
  await using sandbox = await bench.open()
  const host = join(bench.home, 'host-file')
  const taken = join(bench.home, 'taken')

  await t.test('a file goes in and comes out', async () => {
    await writeFile(host, 'from the host')
    await sandbox.put(host, 'file.txt')
    await shell(sandbox, 'cp /exchange/in/file.txt /exchange/out/back.txt')
    assert.equal(await sandbox.take('back.txt', taken, MIB), 'taken')
    assert.equal(await readFile(taken, 'utf8'), 'from the host')
  })

  await t.test(
    'the inbox cannot be written from inside',
    bench.needs(bench.sandboxes.guarantees.isolatedFilesystem, 'no file system of its own'),
    async () => {
      for (const script of [
        'echo x > /exchange/in/file.txt',
        'rm /exchange/in/file.txt',
        'touch /exchange/in/new',
      ])
        assert.notEqual((await tryShell(sandbox, script)).exitCode, 0, script)
    },
  )

  await t.test('links, pipes and directories in the outbox are not there', async () => {
    await writeFile(join(bench.home, 'secret'), 'secret')
    await shell(
      sandbox,
      `cd /exchange/out; ln -s /etc/shadow link; ln -s ${bench.home}/secret link2; ln -s . dir-link; mkfifo pipe; mkdir dir`,
    )
    for (const name of ['link', 'link2', 'dir-link', 'pipe', 'dir', 'nothing'])
      assert.equal(await sandbox.take(name, taken, MIB), 'absent', name)
  })

  await t.test('a file that is too large is not taken, sparse or not', async () => {
    await shell(
      sandbox,
      'dd if=/dev/zero of=/exchange/out/sparse bs=1 count=1 seek=41943039 2>/dev/null; head -c 2000 /dev/zero > /exchange/out/small',
    )
    assert.equal(await sandbox.take('sparse', taken, MIB), 'too-large')
    assert.equal(await sandbox.take('small', taken, 1999), 'too-large')
    assert.equal(await sandbox.take('small', taken, 2000), 'taken')
    assert.equal((await stat(taken)).size, 2000)
  })

  await t.test('a file that grows while it is read ends at the limit', async () => {
    const grower = await sandbox.start({
      argv: ['/bin/bash', '-c', 'while :; do head -c 100000 /dev/zero; done > /exchange/out/grow'],
    })
    await shell(sandbox, 'while [ ! -s /exchange/out/grow ]; do sleep 0.01; done')
    const answer = await sandbox.take('grow', taken, 10 * MIB)
    grower.kill()
    await grower.exited
    if (answer === 'taken') assert.ok((await stat(taken)).size <= 10 * MIB)
  })

  await t.test('hostile names are refused on both ways', async () => {
    for (const name of [
      '../x',
      'a/b',
      '/etc/passwd',
      '..',
      '.',
      '',
      '-rf',
      'a\0b',
      'a\nb',
      'x'.repeat(200),
    ]) {
      await assert.rejects(sandbox.put(host, name), /not a name/, JSON.stringify(name))
      await assert.rejects(sandbox.take(name, taken, MIB), /not a name/, JSON.stringify(name))
    }
  })
}
