/** The one seccomp profile, in the OCI shape that Docker and Kubernetes take too, and its variant for debuggers. */
import profile from './profile.json' with { type: 'json' }
import numbers from './syscall-numbers.json' with { type: 'json' }

export type SeccompProfile = {
  readonly defaultAction: string
  readonly defaultErrnoRet: number
  readonly syscalls: readonly SeccompRule[]
}

export type SeccompRule = {
  readonly names: readonly string[]
  readonly action: string
  readonly errnoRet?: number
  readonly args?: readonly SeccompArgument[]
}

export type SeccompArgument = {
  readonly index: number
  readonly value: number
  readonly valueTwo: number
  readonly op: string
}

export type Architecture = 'x64' | 'arm64'

/** Numbers of system calls by name, taken from the kernel's headers (asm/unistd_64.h, asm-generic/unistd.h) up to Linux 6.13. */
export const SYSCALL_NUMBERS: Readonly<Record<Architecture, Readonly<Record<string, number>>>> = numbers

/** gdb, dlv and strace need ptrace; gdb also switches address randomization off. Inside the sandbox only: its PID namespace is its own. */
const DEBUGGER: readonly SeccompRule[] = [
  { names: ['ptrace', 'process_vm_readv', 'process_vm_writev'], action: 'SCMP_ACT_ALLOW' },
  {
    names: ['personality'],
    action: 'SCMP_ACT_ALLOW',
    args: [{ index: 0, value: 0x40000, valueTwo: 0, op: 'SCMP_CMP_EQ' }],
  },
]

export function seccompProfile(variant: 'default' | 'debugger'): SeccompProfile {
  const base: SeccompProfile = profile
  return variant === 'default' ? base : { ...base, syscalls: [...base.syscalls, ...DEBUGGER] }
}
