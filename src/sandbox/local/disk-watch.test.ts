import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { findExcess } from './disk-watch.ts'

test('bytes and files are counted, links are not followed', async () => {
  const root = mkdtempSync(join(tmpdir(), 'ff-disk-'))
  try {
    mkdirSync(join(root, 'a/b'), { recursive: true })
    writeFileSync(join(root, 'a/b/file'), Buffer.alloc(100_000, 1))
    symlinkSync('/usr', join(root, 'a/usr'))
    assert.equal(await findExcess(root, { diskBytes: 200_000, inodes: 10 }), undefined)
    assert.equal(await findExcess(root, { diskBytes: 50_000, inodes: 10 }), 'more than 50000 bytes')
    assert.equal(await findExcess(root, { diskBytes: 200_000, inodes: 3 }), 'more than 3 files')
    assert.equal(await findExcess(join(root, 'gone'), { diskBytes: 1, inodes: 1 }), undefined)
  } finally {
    rmSync(root, { recursive: true })
  }
})
