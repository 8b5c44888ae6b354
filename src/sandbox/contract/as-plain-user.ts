/**
 * Runs a test file once more as a plain user, started by root: the clone may lie in a folder that is closed to others,
 * so it is shown to that user at another place, in a mount namespace of its own.
 */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { chmod, chown, mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'

const CLONE = join(import.meta.dirname, '..', '..', '..')
const UID = 1_950_000_001
const SCRIPT = `
  mount --bind "$1" "$2/clone" &&
  exec setpriv --reuid=${UID} --regid=${UID} --clear-groups --inh-caps=-all \\
    env -i PATH="$PATH" HOME="$2" TMPDIR="$2" "$3" "$2/clone/$4"`

export async function passesAsPlainUser(testFile: string, atLeast: number): Promise<void> {
  const scratch = await mkdtemp(join(tmpdir(), 'ff-user-'))
  try {
    await chmod(scratch, 0o755)
    await chown(scratch, UID, UID)
    await mkdir(join(scratch, 'clone'))
    const node = process.execPath.startsWith(CLONE)
      ? process.execPath.replace(CLONE, join(scratch, 'clone'))
      : process.execPath
    const args = ['--mount', 'sh', '-c', SCRIPT, 'sh', CLONE, scratch, node, relative(CLONE, testFile)]
    const { code, output } = await run('unshare', args)
    assert.equal(code, 0, output)
    const passed = Number(/^. pass (\d+)$/m.exec(output)?.[1])
    assert.ok(passed >= atLeast, `only ${passed} tests ran:\n${output}`)
  } finally {
    await rm(scratch, { recursive: true, force: true })
  }
}

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
