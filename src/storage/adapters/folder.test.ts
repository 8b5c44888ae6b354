import assert from 'node:assert/strict'
import { chmod, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { blobsBehave } from '../blobs.contract.ts'
import { createFolderBlobs } from './folder.ts'

const folder = await mkdtemp(join(tmpdir(), 'ff-storage-'))
after(() => rm(folder, { recursive: true }))
let made = 0

blobsBehave('folder', async () => createFolderBlobs(join(folder, String(made++))))

test('blobs are readable by us alone, whatever the mode of the source was', async () => {
  const place = join(folder, 'modes')
  const blobs = createFolderBlobs(place)
  await writeFile(join(folder, 'open'), 'x')
  await chmod(join(folder, 'open'), 0o777)
  const names = [await blobs.putFile(join(folder, 'open')), await blobs.put(Buffer.from('x'))]
  for (const name of names) {
    assert.equal((await stat(join(place, name.slice(-2), name))).mode & 0o777, 0o600)
  }
  assert.equal((await stat(place)).mode & 0o777, 0o700)
  assert.deepEqual(await readdir(join(place, 'drafts')), [])
})
