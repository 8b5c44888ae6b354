/** A worker for tests that kill it: opens a sandbox, starts processes in it, says so, and waits for its end. */
import { createLocalSandboxes } from '../adapters/bubblewrap.ts'
import { createSeatbeltSandboxes } from '../adapters/seatbelt.ts'
import { specification } from './bench.ts'

const EVERYTHING = [
  'memoryLimit',
  'processLimit',
  'cpuLimit',
  'diskLimit',
  'inodeLimit',
  'seccomp',
  'killsOrphans',
]

const [technology, home = '', id = '', mark = ''] = process.argv.slice(2)
const create = technology === 'seatbelt' ? createSeatbeltSandboxes : createLocalSandboxes
const sandboxes = await create({ home, allowWeaker: EVERYTHING })
const sandbox = await sandboxes.open(
  specification({ id }),
  { model: (_request, response) => void response.end() },
  new AbortController().signal,
)
await sandbox.start({
  argv: ['/bin/bash', '-c', `trap "" TERM; setsid sleep ${mark} & sleep ${mark}; sleep ${mark}`],
})
await sandbox.run({ argv: ['/bin/sh', '-c', 'sleep 0.2; ls -l /proc/self/fd > /exchange/out/fds'] })
process.stdout.write('holding\n')
setInterval(() => undefined, 1000)
