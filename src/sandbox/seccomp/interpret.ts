/** Runs a compiled seccomp program as the kernel would, so that tests can ask it about any call. */

export type SystemCall = {
  readonly architecture: number
  readonly number: number
  readonly args?: readonly (number | bigint)[]
}

/** Answers the program's action (SECCOMP_RET_*). */
export function interpretSeccomp(program: Buffer, call: SystemCall): number {
  const data = Buffer.alloc(64)
  data.writeUInt32LE(call.number >>> 0, 0)
  data.writeUInt32LE(call.architecture >>> 0, 4)
  for (const [index, arg] of (call.args ?? []).entries())
    data.writeBigUInt64LE(BigInt.asUintN(64, BigInt(arg)), 16 + index * 8)
  let accumulator = 0
  for (let at = 0; ;) {
    const code = program.readUInt16LE(at * 8)
    const yes = program.readUInt8(at * 8 + 2)
    const no = program.readUInt8(at * 8 + 3)
    const k = program.readUInt32LE(at * 8 + 4)
    at++
    switch (code) {
      case 0x20:
        accumulator = data.readUInt32LE(k)
        break
      case 0x15:
        at += accumulator === k ? yes : no
        break
      case 0x35:
        at += accumulator >= k ? yes : no
        break
      case 0x05:
        at += k
        break
      case 0x54:
        accumulator = (accumulator & k) >>> 0
        break
      case 0x06:
        return k
      default:
        throw new Error(`unknown instruction ${code} at ${at - 1}`)
    }
  }
}
