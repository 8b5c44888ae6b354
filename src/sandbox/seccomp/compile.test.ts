import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ALLOW, AUDIT_ARCHITECTURE, KILL_PROCESS, compileSeccomp, errno } from './compile.ts'
import { interpretSeccomp } from './interpret.ts'
import { SYSCALL_NUMBERS, seccompProfile, type Architecture } from './profile.ts'

const EPERM = errno(1)
const ENOSYS = errno(38)
const CLONE_NEWUSER = 0x10000000

function asks(architecture: Architecture, variant: 'default' | 'debugger' = 'default') {
  const program = compileSeccomp(seccompProfile(variant), architecture)
  return (name: string, ...args: (number | bigint)[]): number => {
    const number = SYSCALL_NUMBERS[architecture][name]
    assert.ok(number !== undefined, `${architecture} has no ${name}`)
    return interpretSeccomp(program, { architecture: AUDIT_ARCHITECTURE[architecture], number, args })
  }
}

for (const architecture of ['x64', 'arm64'] as const) {
  const ask = asks(architecture)

  test(`${architecture}: what programs need is allowed`, () => {
    const needed = ['read', 'openat', 'execve', 'mmap', 'futex', 'statx', 'rseq', 'prctl', 'seccomp', 'wait4']
    for (const name of [...needed, 'landlock_create_ruleset', 'fchmodat2', 'pidfd_open', 'memfd_create'])
      assert.equal(ask(name), ALLOW, name)
  })

  test(`${architecture}: what breaks out of sandboxes is denied`, () => {
    const denied =
      'mount umount2 pivot_root unshare setns ptrace bpf userfaultfd keyctl add_key request_key io_uring_setup ' +
      'io_uring_enter perf_event_open open_by_handle_at name_to_handle_at fsopen fsmount move_mount open_tree ' +
      'chroot kexec_load init_module reboot swapon syslog quotactl process_vm_readv process_vm_writev vmsplice ' +
      'pidfd_getfd kcmp sethostname settimeofday mount_setattr'
    for (const name of denied.split(' ')) assert.equal(ask(name), EPERM, name)
  })

  test(`${architecture}: clone makes processes and threads but no namespace`, () => {
    assert.equal(ask('clone', 0x01200011), ALLOW)
    for (const flag of [0x20000, 0x02000000, 0x04000000, 0x08000000, CLONE_NEWUSER, 0x20000000, 0x40000000])
      assert.equal(ask('clone', flag | 17), EPERM, flag.toString(16))
    assert.equal(ask('clone3'), ENOSYS)
  })

  test(`${architecture}: sockets are local, internet or route, nothing else`, () => {
    for (const family of [1, 2, 10]) assert.equal(ask('socket', family, 1, 0), ALLOW, String(family))
    assert.equal(ask('socket', 16, 3, 0), ALLOW)
    assert.equal(ask('socket', 16, 3, 12), EPERM)
    for (const family of [17, 38, 40]) assert.equal(ask('socket', family, 1, 0), EPERM, String(family))
  })

  test(`${architecture}: nobody types into a terminal, not even with high bits set`, () => {
    assert.equal(ask('ioctl', 0, 0x5401), ALLOW)
    for (const request of [0x5412, 0x541c, 0x1_0000_5412n, 0xffff_ffff_0000_541cn])
      assert.equal(ask('ioctl', 0, request), EPERM, request.toString(16))
  })

  test(`${architecture}: personality only reads and chooses harmless ones`, () => {
    assert.equal(ask('personality', 0xffffffff), ALLOW)
    assert.equal(ask('personality', 0x40000), EPERM)
  })

  test(`${architecture}: a debugger may trace, and nothing more`, () => {
    const debug = asks(architecture, 'debugger')
    assert.equal(debug('ptrace'), ALLOW)
    assert.equal(debug('personality', 0x40000), ALLOW)
    for (const name of ['mount', 'unshare', 'bpf', 'keyctl']) assert.equal(debug(name), EPERM, name)
    assert.equal(debug('clone', CLONE_NEWUSER), EPERM)
  })

  test(`${architecture}: a call newer than the tables does not exist`, () => {
    const program = compileSeccomp(seccompProfile('default'), architecture)
    const call = { architecture: AUDIT_ARCHITECTURE[architecture], number: 600 }
    assert.equal(interpretSeccomp(program, call), ENOSYS)
  })
}

test('foreign architectures are killed, x32 does not exist', () => {
  const program = compileSeccomp(seccompProfile('default'), 'x64')
  assert.equal(interpretSeccomp(program, { architecture: 0x40000003, number: 1 }), KILL_PROCESS)
  const x32 = { architecture: AUDIT_ARCHITECTURE.x64, number: 0x40000001 }
  assert.equal(interpretSeccomp(program, x32), ENOSYS)
})

test('every name in the profile is known on one of the architectures', () => {
  for (const { names } of seccompProfile('debugger').syscalls)
    for (const name of names)
      assert.ok(name in SYSCALL_NUMBERS.x64 || name in SYSCALL_NUMBERS.arm64, `${name} is unknown`)
})

test('a program longer than one conditional jump still finds its way', () => {
  const odd = Object.keys(SYSCALL_NUMBERS.x64).filter((_, index) => index % 2 === 1)
  const program = compileSeccomp(
    {
      defaultAction: 'SCMP_ACT_ERRNO',
      defaultErrnoRet: 1,
      syscalls: [{ names: odd, action: 'SCMP_ACT_ALLOW' }],
    },
    'x64',
  )
  for (const [name, number] of Object.entries(SYSCALL_NUMBERS.x64)) {
    const got = interpretSeccomp(program, { architecture: AUDIT_ARCHITECTURE.x64, number })
    assert.equal(got, odd.includes(name) ? ALLOW : EPERM, name)
  }
})
