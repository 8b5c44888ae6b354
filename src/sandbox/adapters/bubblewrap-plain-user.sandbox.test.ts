/**
 * The whole contract once more as a plain user. Root starts it here: the clone may lie in a folder that is closed to
 * others, so it is shown to that user at another place, in a mount namespace of its own.
 */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { chown, mkdtemp, mkdir, rm, chmod } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'

const CLONE = join(import.meta.dirname, '..', '..', '..')
const UID = 1_950_000_001
const SCRIPT = `
  mount --bind "$1" "$2/clone" &&
  exec setpriv --reuid=${UID} --regid=${UID} --clear-groups --inh-caps=-all \\
    env -i PATH="$PATH" HOME="$2" TMPDIR="$2" "$3" "$2/clone/src/sandbox/adapters/bubblewrap.sandbox.test.ts"`

const asRoot = process.getuid?.() === 0
const reason = 'this is a plain user: bubblewrap.sandbox.test.ts ran as one'

test(
  'bubblewrap as a plain user: sandboxes behave',
  { skip: asRoot ? false : reason, timeout: 240_000 },
  async () => {
    const scratch = await mkdtemp(join(tmpdir(), 'ff-user-'))
    try {
      await chmod(scratch, 0o755)
      await chown(scratch, UID, UID)
      await mkdir(join(scratch, 'clone'))
      const node = process.execPath.startsWith(CLONE)
        ? process.execPath.replace(CLONE, join(scratch, 'clone'))
        : process.execPath
      const { code, output } = await run('unshare', [
        '--mount',
        'sh',
        '-c',
        SCRIPT,
        'sh',
        CLONE,
        scratch,
        node,
      ])
      assert.equal(code, 0, output)
      const passed = Number(/^. pass (\d+)$/m.exec(output)?.[1])
      assert.ok(passed >= 40, `only ${passed} tests ran:\n${output}`)
    } finally {
      await rm(scratch, { recursive: true, force: true })
    }
  },
)

function run(file: string, args: readonly string[]): Promise<{ code: number | null; output: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, { stdio: ['ignore', 'pipe', 'pipe'] })
    let output = ''
    const listen = (chunk: Buffer): void => void (output += chunk.toString())
    child.stdout.on('data', listen)
    child.stderr.on('data', listen)
    child.on('error', reject)
    child.on('close', (code) => resolve({ code, output }))
  })
}
