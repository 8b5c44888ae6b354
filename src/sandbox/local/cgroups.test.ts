import assert from 'node:assert/strict'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { DEFAULT_LIMITS } from '../sandbox.ts'
import { createCgroups, findHierarchies } from './cgroups.ts'

const LIMITS = { ...DEFAULT_LIMITS, memoryBytes: 1000, processes: 7, cpus: 1.5 }

/** The files of a hierarchy, without the kernel behind them: it shows what is written where. */
function withRoot(run: (root: string) => void): void {
  const root = mkdtempSync(join(tmpdir(), 'ff-cgroup-'))
  try {
    run(root)
  } finally {
    rmSync(root, { recursive: true })
  }
}

test('version 1: one group in each hierarchy, each with its limit', () => {
  withRoot((root) => {
    const roots = { memory: join(root, 'memory'), pids: join(root, 'pids'), cpu: join(root, 'cpu') }
    const cgroups = createCgroups({ version: 'v1', roots })
    assert.deepEqual([cgroups.memory, cgroups.processes, cgroups.cpu], [true, true, true])
    cgroups.create('job', LIMITS)
    const read = (path: string): string => readFileSync(join(root, path), 'utf8')
    assert.equal(read('memory/flowforge/job/memory.limit_in_bytes'), '1000')
    assert.equal(read('pids/flowforge/job/pids.max'), '7')
    assert.equal(read('cpu/flowforge/job/cpu.cfs_quota_us'), '150000')
  })
})

test('version 2: one group with all limits, and no swap', () => {
  withRoot((root) => {
    mkdirSync(join(root, 'job'))
    writeFileSync(join(root, 'job', 'memory.swap.max'), 'max')
    const cgroups = createCgroups({ version: 'v2', root, controllers: ['memory', 'pids', 'cpu'] })
    cgroups.create('job', LIMITS)
    const read = (file: string): string => readFileSync(join(root, 'job', file), 'utf8')
    assert.equal(read('memory.max'), '1000')
    assert.equal(read('memory.swap.max'), '0')
    assert.equal(read('pids.max'), '7')
    assert.equal(read('cpu.max'), '150000 100000')
  })
})

test('deaths for want of memory are read from either version', () => {
  withRoot((root) => {
    const cgroups = createCgroups({ version: 'v2', root, controllers: ['memory'] })
    const group = cgroups.create('job', LIMITS)
    assert.equal(group.oomKills(), 0)
    writeFileSync(join(root, 'job', 'memory.events'), 'low 0\nmax 12\noom 3\noom_kill 2\n')
    assert.equal(group.oomKills(), 2)
    rmSync(join(root, 'job', 'memory.events'))
    writeFileSync(join(root, 'job', 'memory.oom_control'), 'oom_kill_disable 0\nunder_oom 0\noom_kill 5\n')
    assert.equal(group.oomKills(), 5)
  })
})

test('without a hierarchy nothing is limited and nothing is made', () => {
  const cgroups = createCgroups({ version: 'none' })
  assert.deepEqual([cgroups.memory, cgroups.processes, cgroups.cpu], [false, false, false])
  assert.equal(cgroups.create('job', LIMITS).oomKills(), 0)
})

test('hierarchies of version 1 are used as far as they may be written', () => {
  withRoot((root) => {
    mkdirSync(join(root, 'pids'))
    writeFileSync(join(root, 'pids', 'cgroup.procs'), '')
    const mounts = [
      `30 1 0:1 / ${root}/pids rw - cgroup cgroup rw,pids`,
      `31 1 0:2 / ${root}/gone rw - cgroup cgroup rw,memory`,
    ]
    assert.deepEqual(findHierarchies(mounts.join('\n')), {
      version: 'v1',
      roots: { pids: join(root, 'pids') },
    })
    assert.ok(existsSync(join(root, 'pids', 'flowforge')))
  })
})
