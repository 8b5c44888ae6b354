/** T27: whatever a job uses up, only that job feels it. */
import assert from 'node:assert/strict'
import { statfsSync } from 'node:fs'
import type { TestContext } from 'node:test'
import { MIB, SMALL_LIMITS, shell, tryShell, type Bench } from './bench.ts'

export async function limitsHold(t: TestContext, bench: Bench): Promise<void> {
  const { guarantees } = bench.sandboxes
  await using neighbour = await bench.open()
  const neighbourIsWell = async (): Promise<void> => {
    assert.equal(await shell(neighbour, 'echo x > f && (echo ok | cat) && rm f'), 'ok\n')
  }

  await t.test(
    'a fork bomb meets a limit',
    bench.needs(guarantees.processLimit, 'no limit of processes'),
    async () => {
      await using sandbox = await bench.open()
      const forks =
        'for (1..500) { my $p = fork; defined $p or print("full"), exit 3; sleep(20), exit unless $p }'
      const bomb = await tryShell(sandbox, `perl -e '${forks}'`)
      assert.deepEqual([bomb.exitCode, bomb.stdout.toString()], [3, 'full'])
      const wild = tryShell(sandbox, 'perl -e "fork while 1"', 1500)
      for (let tries = 0; tries < 3; tries++) await neighbourIsWell()
      assert.equal((await wild).ended, 'timed-out')
      assert.equal(await shell(sandbox, 'echo usable'), 'usable\n')
    },
  )

  await t.test(
    'memory ends at its limit, and the end says so',
    bench.needs(guarantees.memoryLimit, 'no limit of memory'),
    async () => {
      await using sandbox = await bench.open()
      const eater = await tryShell(sandbox, 'perl -e \'my @a; push @a, "x" x 10_000_000 while 1\'')
      assert.deepEqual([eater.exitCode, eater.ended], [137, 'out-of-memory'])
      await neighbourIsWell()
      assert.equal(await shell(sandbox, 'echo usable'), 'usable\n')
    },
  )

  await t.test(
    'files in memory are counted as memory',
    bench.needs(guarantees.memoryLimit, 'no limit of memory'),
    async () => {
      await using sandbox = await bench.open()
      const filler = await tryShell(
        sandbox,
        'for d in /tmp /dev/shm $HOME; do head -c 2000M /dev/zero > $d/fill; done',
      )
      assert.notEqual(filler.exitCode, 0)
      await neighbourIsWell()
    },
  )

  await t.test(
    'the disk is full at its limit of bytes',
    bench.needs(guarantees.diskLimit === 'hard', `the limit of disk is ${guarantees.diskLimit}`),
    async () => {
      await using sandbox = await bench.open()
      const filler = await tryShell(
        sandbox,
        'for n in 1 2 3 4; do head -c 30M /dev/zero > /workspace/fill$n || exit 3; done',
      )
      assert.equal(filler.exitCode, 3)
      assert.match(filler.stderr.toString(), /No space left/)
      const shared = await tryShell(
        sandbox,
        'echo too much data > /state/x && echo more > /exchange/out/y && sync',
      )
      assert.ok(shared.exitCode !== 0 || statfsSync(bench.home).bavail > 0)
      await neighbourIsWell()
      await shell(sandbox, 'rm /workspace/fill*; echo room again > /workspace/x')
    },
  )

  await t.test(
    'the disk is full at its limit of files',
    bench.needs(guarantees.inodeLimit, 'no limit of files'),
    async () => {
      await using sandbox = await bench.open()
      const filler = await tryShell(sandbox, 'mkdir d; for n in $(seq 3000); do : > d/$n || exit 3; done')
      assert.equal(filler.exitCode, 3)
      assert.match(filler.stderr.toString(), /No space left/)
      await neighbourIsWell()
    },
  )

  await t.test(
    'a single file ends at its limit',
    bench.needs(bench.technology !== 'none', 'nothing is limited'),
    async () => {
      await using sandbox = await bench.open({ limits: { ...SMALL_LIMITS, fileBytes: 2 * MIB } })
      const big = await tryShell(sandbox, 'head -c 3M /dev/zero > /workspace/big; ls -l /workspace/big')
      assert.match(big.stdout.toString(), / 2097152 /)
    },
  )

  await t.test(
    'open files end at their limit',
    bench.needs(bench.technology !== 'none', 'nothing is limited'),
    async () => {
      await using sandbox = await bench.open()
      const opener = 'my @f; while (open(my $h, "<", "/dev/null")) { push @f, $h } print scalar @f'
      const count = Number(await shell(sandbox, `perl -e '${opener}'`))
      assert.ok(count > 200 && count < SMALL_LIMITS.openFiles, String(count))
      assert.notEqual((await tryShell(sandbox, 'ulimit -n 100000')).exitCode, 0)
    },
  )

  await t.test(
    'the processor is shared by quota',
    bench.needs(guarantees.cpuLimit, 'no limit of processor time'),
    async () => {
      await using sandbox = await bench.open({ limits: { ...SMALL_LIMITS, cpus: 0.2 } })
      const times = "perl -e 'my $e = time + 2; 1 while time < $e; my @t = times; print $t[0] + $t[1]'"
      const seconds = Number(await shell(sandbox, times))
      assert.ok(seconds < 1.2, `${seconds} s of processor time in 2 s`)
    },
  )
}
