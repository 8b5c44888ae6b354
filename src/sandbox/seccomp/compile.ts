/**
 * Compiles an OCI seccomp profile to a classic BPF program (struct sock_filter[]), without libseccomp.
 *
 *   1. another architecture: the process is killed; x32 calls: ENOSYS
 *   2. calls with rules on their arguments, one block each
 *   3. all others by binary search over ranges of equal action
 *   4. calls newer than our tables: ENOSYS, so that a new libc falls back instead of failing with EPERM
 */
import {
  SYSCALL_NUMBERS,
  type Architecture,
  type SeccompArgument,
  type SeccompProfile,
  type SeccompRule,
} from './profile.ts'

type Instruction = readonly [code: number, jumpTrue: number, jumpFalse: number, k: number]
type ConditionalRule = { readonly args: readonly SeccompArgument[]; readonly action: number }

/** AUDIT_ARCH_* of linux/audit.h. */
export const AUDIT_ARCHITECTURE = { x64: 0xc000003e, arm64: 0xc00000b7 } as const
export const ALLOW = 0x7fff0000
export const KILL_PROCESS = 0x80000000
export const errno = (number: number): number => 0x00050000 | (number & 0xffff)
const ENOSYS = 38
const MAXIMUM_INSTRUCTIONS = 4096

const FAILS = -1
const load = (offset: number): Instruction => [0x20, 0, 0, offset]
const ifEqual = (k: number, yes: number, no: number): Instruction => [0x15, yes, no, k >>> 0]
const ifAtLeast = (k: number, yes: number, no: number): Instruction => [0x35, yes, no, k >>> 0]
const jump = (k: number): Instruction => [0x05, 0, 0, k]
const and = (k: number): Instruction => [0x54, 0, 0, k >>> 0]
const answer = (k: number): Instruction => [0x06, 0, 0, k >>> 0]

export function compileSeccomp(profile: SeccompProfile, architecture: Architecture): Buffer {
  const { plain, conditional } = sortRules(profile, architecture)
  const fallback = actionOf(profile.defaultAction, profile.defaultErrnoRet)
  const program: Instruction[] = [
    load(4),
    ifEqual(AUDIT_ARCHITECTURE[architecture], 1, 0),
    answer(KILL_PROCESS),
    load(0),
  ]
  if (architecture === 'x64') program.push(ifAtLeast(0x40000000, 0, 1), answer(errno(ENOSYS)))
  for (const [number, rules] of conditional) {
    const otherwise = plain.get(number) ?? fallback
    const block = [...rules.flatMap(instructionsOf), answer(otherwise)]
    program.push(ifEqual(number, 1, 0), jump(block.length), ...block)
  }
  program.push(...search(rangesOf(plain, fallback, architecture)))
  if (program.length > MAXIMUM_INSTRUCTIONS)
    throw new Error(`the seccomp program has ${program.length} instructions; the kernel takes 4096`)
  return encode(program)
}

/** A later rule for the same call replaces an earlier one, except that an argument rule stays beside it. */
function sortRules(profile: SeccompProfile, architecture: Architecture) {
  const plain = new Map<number, number>()
  const conditional = new Map<number, ConditionalRule[]>()
  for (const rule of profile.syscalls) {
    const action = actionOf(rule.action, rule.errnoRet ?? profile.defaultErrnoRet)
    for (const number of numbersOf(rule, architecture)) {
      if (!rule.args?.length) plain.set(number, action)
      else conditional.set(number, [...(conditional.get(number) ?? []), { args: rule.args, action }])
    }
  }
  return { plain, conditional }
}

/** Names that an architecture does not have (open on arm64, for example) are left out. */
function numbersOf(rule: SeccompRule, architecture: Architecture): readonly number[] {
  const table = SYSCALL_NUMBERS[architecture]
  return rule.names.flatMap((name) => table[name] ?? [])
}

function actionOf(action: string, errorNumber: number): number {
  switch (action) {
    case 'SCMP_ACT_ALLOW':
      return ALLOW
    case 'SCMP_ACT_ERRNO':
      return errno(errorNumber)
    case 'SCMP_ACT_KILL_PROCESS':
      return KILL_PROCESS
    default:
      throw new Error(`the seccomp action ${action} is not supported`)
  }
}

/** All comparisons must hold, else the block falls out at its end. The arguments are 64 bits wide, the machine is 32. */
function instructionsOf(rule: ConditionalRule): readonly Instruction[] {
  const body = [...rule.args.flatMap(comparisonOf), answer(rule.action)]
  return body.map(([code, yes, no, k], index) => {
    const end = body.length - index - 1
    return [code, yes === FAILS ? end : yes, no === FAILS ? end : no, k]
  })
}

function comparisonOf(argument: SeccompArgument): readonly Instruction[] {
  const low = 16 + argument.index * 8
  const high = low + 4
  const [valueHigh, valueLow] = halves(argument.value)
  switch (argument.op) {
    case 'SCMP_CMP_EQ':
      return [load(high), ifEqual(valueHigh, 0, FAILS), load(low), ifEqual(valueLow, 0, FAILS)]
    case 'SCMP_CMP_MASKED_EQ': {
      const [wantedHigh, wantedLow] = halves(argument.valueTwo)
      return [
        load(high),
        and(valueHigh),
        ifEqual(wantedHigh, 0, FAILS),
        load(low),
        and(valueLow),
        ifEqual(wantedLow, 0, FAILS),
      ]
    }
    default:
      throw new Error(`the seccomp comparison ${argument.op} is not supported`)
  }
}

function halves(value: number): readonly [high: number, low: number] {
  return [Math.floor(value / 2 ** 32), value >>> 0]
}

type Range = { readonly from: number; readonly action: number }

function rangesOf(
  plain: ReadonlyMap<number, number>,
  fallback: number,
  architecture: Architecture,
): readonly Range[] {
  const known = Object.values(SYSCALL_NUMBERS[architecture])
  const newest = Math.max(...known)
  const ranges: Range[] = []
  for (let number = 0; number <= newest; number++) {
    const action = plain.get(number) ?? fallback
    if (ranges.at(-1)?.action !== action) ranges.push({ from: number, action })
  }
  ranges.push({ from: newest + 1, action: errno(ENOSYS) })
  return ranges
}

function search(ranges: readonly Range[]): readonly Instruction[] {
  const [only] = ranges
  if (ranges.length === 1 && only) return [answer(only.action)]
  const middle = ranges.length >> 1
  const left = search(ranges.slice(0, middle))
  const right = search(ranges.slice(middle))
  const from = ranges[middle]!.from
  // A conditional jump reaches 255 instructions; a plain one reaches all.
  if (left.length <= 255) return [ifAtLeast(from, left.length, 0), ...left, ...right]
  return [ifAtLeast(from, 0, 1), jump(left.length), ...left, ...right]
}

function encode(program: readonly Instruction[]): Buffer {
  const buffer = Buffer.alloc(program.length * 8)
  for (const [index, [code, yes, no, k]] of program.entries()) {
    buffer.writeUInt16LE(code, index * 8)
    buffer.writeUInt8(yes, index * 8 + 2)
    buffer.writeUInt8(no, index * 8 + 3)
    buffer.writeUInt32LE(k >>> 0, index * 8 + 4)
  }
  return buffer
}
