/** The agent's own state (its transcript), packed inside the sandbox so that the host never walks a tree of the agent. */
import type { Sandbox } from '#sandbox'

const PACKED = 'session.tar.gz'
const LIMIT_BYTES = 256 * 1024 * 1024

/** GNU tar ends with 1 when a file changed while it was read: the session goes on, and a torn last line is skipped at resume. */
const PACK = [
  'cd /state && [ -d claude ] || exit 3',
  'rm -f "/exchange/out/$1"',
  'tar --exclude=claude/backups --exclude=claude/shell-snapshots --exclude=claude/debug --exclude=claude/cache -czf "/exchange/out/$1" claude',
].join('\n')
const UNPACK = 'rm -rf /state/claude && tar -xzf "/exchange/in/$1" -C /state --no-same-owner claude'

/** Writes the state of the session to a host file. Absent: the agent never started. */
export async function saveState(
  sandbox: Sandbox,
  hostFile: string,
  signal?: AbortSignal,
): Promise<'saved' | 'absent' | 'too-large'> {
  const options = signal === undefined ? {} : { signal }
  const { exitCode, stderr } = await sandbox.run(
    { argv: ['/bin/sh', '-c', PACK, 'sh', PACKED], network: false },
    options,
  )
  if (exitCode === 3) return 'absent'
  if (exitCode > 1)
    throw new Error(`the agent's state could not be packed (${exitCode}): ${stderr.toString()}`)
  const taken = await sandbox.take(PACKED, hostFile, LIMIT_BYTES)
  return taken === 'taken' ? 'saved' : taken
}

/** Puts a saved state back, before the agent starts. */
export async function restoreState(sandbox: Sandbox, hostFile: string, signal?: AbortSignal): Promise<void> {
  await sandbox.put(hostFile, PACKED)
  const options = signal === undefined ? {} : { signal }
  const { exitCode, stderr } = await sandbox.run(
    { argv: ['/bin/sh', '-c', UNPACK, 'sh', PACKED], network: false },
    options,
  )
  if (exitCode !== 0)
    throw new Error(`the agent's state could not be put back (${exitCode}): ${stderr.toString()}`)
}
