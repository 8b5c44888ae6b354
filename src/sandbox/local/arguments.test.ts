import assert from 'node:assert/strict'
import { test } from 'node:test'
import { bubblewrapArguments, encodeArguments, type GuestView } from './arguments.ts'

const VIEW: GuestView = {
  hostRoots: [{ path: '/bin', link: 'usr/bin' }, { path: '/lib64' }],
  hostEtc: ['/etc/ssl/certs'],
  ownFiles: { '/etc/passwd': '/home/ff/bin/1/etc/passwd' },
  programs: '/home/ff/bin/1/opt',
  sockets: '/run/flowforge/s/1',
  workspace: '/home/ff/sandboxes/1/disk/workspace',
  state: '/home/ff/sandboxes/1/disk/state',
  cache: '/home/ff/sandboxes/1/disk/cache',
  inbox: '/home/ff/sandboxes/1/in',
  outbox: '/home/ff/sandboxes/1/disk/out',
  toolchains: ['/usr/local/go'],
  environment: { HOME: '/home/agent', ODD: 'a b\n"$(c)"' },
  cwd: '/workspace',
  memoryBytes: 4 * 1024 ** 3,
}

test('a view renders to these options, in this order', () => {
  assert.equal(
    bubblewrapArguments(VIEW).join(' '),
    [
      '--unshare-user --uid 1000 --gid 1000 --unshare-ipc --unshare-pid --unshare-uts',
      '--unshare-cgroup-try --disable-userns --unshare-net --cap-drop ALL --die-with-parent --new-session --hostname sandbox --clearenv',
      '--ro-bind /usr /usr --symlink usr/bin /bin --ro-bind /lib64 /lib64 --perms 0755 --dir /etc',
      '--ro-bind-try /etc/ssl/certs /etc/ssl/certs --proc /proc --dev /dev',
      '--size 67108864 --perms 1777 --tmpfs /dev/shm --remount-ro /dev',
      '--size 1073741824 --perms 1777 --tmpfs /tmp --perms 0755 --dir /home',
      '--size 536870912 --perms 0700 --tmpfs /home/agent',
      '--perms 0755 --dir /opt --ro-bind /home/ff/bin/1/opt /opt/ff',
      '--perms 0755 --dir /run --ro-bind /run/flowforge/s/1 /run/ff',
      '--bind /home/ff/sandboxes/1/disk/workspace /workspace --bind /home/ff/sandboxes/1/disk/state /state',
      '--bind /home/ff/sandboxes/1/disk/cache /cache --perms 0755 --dir /exchange',
      '--ro-bind /home/ff/sandboxes/1/in /exchange/in --bind /home/ff/sandboxes/1/disk/out /exchange/out',
      '--ro-bind /home/ff/bin/1/etc/passwd /etc/passwd --ro-bind /usr/local/go /usr/local/go',
      '--chdir /workspace --remount-ro / --seccomp 3 --json-status-fd 5',
      '--setenv HOME /home/agent --setenv ODD a b\n"$(c)"',
    ].join(' '),
  )
})

test('a network namespace is left out only when the launcher says that there is one', () => {
  assert.ok(bubblewrapArguments(VIEW).includes('--unshare-net'))
  assert.ok(!bubblewrapArguments({ ...VIEW, networkIsMade: true }).includes('--unshare-net'))
})

test('only the disk, the outbox and memory can be written', () => {
  const options = bubblewrapArguments(VIEW)
  const writable = options.filter((_, index) => options[index - 2] === '--bind')
  assert.deepEqual(writable, ['/workspace', '/state', '/cache', '/exchange/out'])
})

test('options are separated by NUL, and none may hold one', () => {
  assert.equal(encodeArguments(['--dir', '/a b']).toString(), '--dir\0/a b\0')
  assert.throws(() => encodeArguments(['--setenv', 'A', 'b\0--bind\0/\0/x']), /NUL/)
})
