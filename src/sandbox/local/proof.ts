/** Proves that bubblewrap can do here what sandboxes need, and says what is in the way when it cannot. */
import { existsSync, readFileSync } from 'node:fs'
import { refuse } from '#lib/errors.ts'
import { runProgram } from './programs.ts'

const NEEDED = [
  ...['--unshare-user', '--uid', '1000', '--gid', '1000', '--unshare-ipc', '--unshare-pid', '--unshare-net'],
  ...['--unshare-uts', '--disable-userns', '--ro-bind', '/', '/', '--proc', '/proc', '--dev', '/dev'],
  ...['--tmpfs', '/tmp', '--', 'true'],
]
/** Nobody's user stands for a sandbox's own one, when we are root. */
const AS_ANOTHER = ['--reuid=65534', '--regid=65534', '--clear-groups', '--no-new-privs', '--', 'bwrap']

export async function proveBubblewrap(): Promise<void> {
  if (process.platform !== 'linux')
    throw refuse('sandbox_unavailable', { problem: 'bubblewrap works on Linux only.' })
  try {
    if (process.getuid?.() === 0) await runProgram('setpriv', [...AS_ANOTHER, ...NEEDED])
    else await runProgram('bwrap', NEEDED)
  } catch (error) {
    throw refuse('sandbox_unavailable', { problem: explain(error) }, error)
  }
}

function explain(error: unknown): string {
  const text = String(error)
  if (!isOnPath('bwrap'))
    return 'bubblewrap is not installed. Install it: `sudo apt-get install -y bubblewrap` (Fedora: `dnf install bubblewrap`).'
  if (text.includes('--disable-userns'))
    return 'this bubblewrap is older than 0.8, which cannot forbid nested user namespaces. Install a newer one.'
  if (setting('/proc/sys/user/max_user_namespaces') === '0')
    return 'user namespaces are switched off. Switch them on: `sudo sysctl -w user.max_user_namespaces=15000`.'
  if (setting('/proc/sys/kernel/unprivileged_userns_clone') === '0')
    return 'user namespaces are switched off for plain users. Switch them on: `sudo sysctl -w kernel.unprivileged_userns_clone=1`.'
  if (setting('/proc/sys/kernel/apparmor_restrict_unprivileged_userns') === '1')
    return (
      'AppArmor forbids user namespaces to plain users (Ubuntu 24.04). Allow them to bubblewrap: ' +
      "`printf 'abi <abi/4.0>,\\ninclude <tunables/global>\\nprofile bwrap /usr/bin/bwrap flags=(unconfined) { userns, }\\n' " +
      '| sudo tee /etc/apparmor.d/bwrap && sudo apparmor_parser -r /etc/apparmor.d/bwrap`.'
    )
  if (text.includes("Can't mount proc"))
    return 'this container hides parts of /proc, so none can be mounted. Start it with `--security-opt systempaths=unconfined`.'
  if (text.includes('No permissions to create'))
    return 'this container forbids new namespaces. Start it with a seccomp profile that allows them (docs/operate).'
  return `bubblewrap fails: ${text.slice(0, 500)}`
}

function isOnPath(name: string): boolean {
  return ['/usr/local/bin', '/usr/bin', '/bin'].some((directory) => existsSync(`${directory}/${name}`))
}

function setting(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').trim()
  } catch {
    return undefined
  }
}
