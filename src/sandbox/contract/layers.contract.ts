/** Layers: saved once, opened many times, each change private. */
import assert from 'node:assert/strict'
import { readFile, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { MIB, SMALL_LIMITS, shell, tryShell, type Bench } from './bench.ts'

export async function layersBehave(t: TestContext, bench: Bench): Promise<void> {
  const layer = join(bench.home, 'layer')
  {
    await using maker = await bench.open()
    await shell(
      maker,
      `mkdir -p deps/sub; echo one > deps/sub/a; echo '#!/bin/sh' > deps/run; chmod 750 deps/run; ln -s sub/a deps/link
       ln deps/sub/a deps/hard; git init -q . && git add -A && git -c user.name=a -c user.email=a@b commit -qm base
       mkdir -p /cache/npm; echo cached > /cache/npm/x; head -c 20M /dev/zero > deps/large; echo private > /state/s; ln -s /etc/shadow deps/out`,
    )
    await maker.saveLayer(layer)
  }

  await t.test('a layer holds workspace and cache, links as links, and not the state', async () => {
    assert.equal(await readFile(join(layer, 'workspace/deps/sub/a'), 'utf8'), 'one\n')
    assert.equal(await readFile(join(layer, 'cache/npm/x'), 'utf8'), 'cached\n')
    await assert.rejects(stat(join(layer, 'state')))
    assert.ok((await stat(join(layer, 'workspace/deps/large'))).isFile())
  })

  const gnu = bench.needs(process.platform === 'linux', 'stat and touch are not those of GNU')
  await t.test(
    'sandboxes that start from it own everything in it and change only their own',
    gnu,
    async () => {
      await using one = await bench.open({ layer })
      await using two = await bench.open({ layer })
      const script = `
      cd /workspace && [ "$(cat deps/link)" = one ] && [ "$(stat -c %a deps/run)" = 750 ] && [ "$(cat /cache/npm/x)" = cached ] &&
      git status --porcelain && echo two > deps/sub/a && chmod 700 deps/run && touch -d 2001-01-01 deps/hard && mv deps/sub deps/moved &&
      rm deps/large && echo new > /cache/npm/y && mkdir deps/sub && git status --porcelain | head -1 && cat deps/moved/a`
      for (const sandbox of [one, two]) assert.match(await shell(sandbox, script), /two\n$/)
      assert.equal(await readFile(join(layer, 'workspace/deps/sub/a'), 'utf8'), 'one\n')
      assert.equal((await stat(join(layer, 'workspace/deps/large'))).size, 20 * MIB)
    },
  )

  const hard = bench.needs(
    bench.sandboxes.guarantees.diskLimit === 'hard',
    'a layer is copied and no limit is hard',
  )
  await t.test('what is below a layer does not count, what is written on it does', hard, async () => {
    await using sandbox = await bench.open({ layer, limits: { ...SMALL_LIMITS, diskBytes: 16 * MIB } })
    const filler = await tryShell(sandbox, 'ls -l deps/large && head -c 30M /dev/zero > fill')
    assert.match(filler.stderr.toString(), /No space left/)
  })

  await rm(layer, { recursive: true, force: true })
}
