import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { Blobs } from './blobs.ts'

/** What each adapter of Blobs must do. */
export function blobsBehave(technology: string, create: () => Promise<Blobs>): void {
  const bytes = Buffer.from([0, 255, 10, 13, 0])

  test(`${technology}: bytes and files come back as they were`, async (t) => {
    const blobs = await create()
    const folder = await mkdtemp(join(tmpdir(), 'ff-blobs-'))
    t.after(() => rm(folder, { recursive: true }))
    await writeFile(join(folder, 'in'), bytes)
    for (const name of [await blobs.put(bytes), await blobs.putFile(join(folder, 'in'))]) {
      assert.deepEqual(await blobs.get(name), bytes)
      await blobs.getFile(name, join(folder, name))
      assert.deepEqual(await readFile(join(folder, name)), bytes)
    }
  })

  test(`${technology}: an existing file is not overwritten`, async (t) => {
    const blobs = await create()
    const folder = await mkdtemp(join(tmpdir(), 'ff-blobs-'))
    t.after(() => rm(folder, { recursive: true }))
    await writeFile(join(folder, 'mine'), 'mine')
    await assert.rejects(blobs.getFile(await blobs.put(bytes), join(folder, 'mine')))
    assert.equal(await readFile(join(folder, 'mine'), 'utf8'), 'mine')
  })

  test(`${technology}: the list has what was kept and not deleted`, async () => {
    const blobs = await create()
    assert.deepEqual(await Array.fromAsync(blobs.list()), [])
    const [kept, gone] = [await blobs.put(bytes), await blobs.put(bytes)]
    await blobs.delete(gone)
    await blobs.delete(gone)
    const list = await Array.fromAsync(blobs.list())
    assert.deepEqual(
      list.map((entry) => [entry.name, entry.bytes]),
      [[kept, bytes.length]],
    )
    assert.deepEqual([await blobs.has(kept), await blobs.has(gone)], [true, false])
    await assert.rejects(blobs.get(gone))
  })

  test(`${technology}: a file that cannot be read leaves nothing behind`, async () => {
    const blobs = await create()
    await assert.rejects(blobs.putFile('/nowhere/at/all'))
    assert.deepEqual(await Array.fromAsync(blobs.list()), [])
  })

  test(`${technology}: a name that storage did not give is refused`, async () => {
    const blobs = await create()
    const wrong = [
      '',
      '../../etc/passwd',
      '/etc/passwd',
      'a'.repeat(36),
      '00000000-0000-4000-8000-000000000000',
      '-x',
    ]
    for (const name of wrong) {
      await assert.rejects(async () => blobs.get(name), /is not the name of a blob/)
      await assert.rejects(async () => blobs.delete(name), /is not the name of a blob/)
      await assert.rejects(async () => blobs.getFile(name, '/tmp/x'), /is not the name of a blob/)
    }
  })
}
