/** Money is whole nano-dollars inside and a decimal string outside; it is never a floating-point number of dollars. */
const NANO = 1_000_000_000n

/** "2.50" for 2500000000: every digit that counts, and at least two. */
export function toUsd(nanoDollars: number | bigint): string {
  const nano = BigInt(nanoDollars)
  const whole = nano < 0n ? -nano : nano
  const fraction = (whole % NANO).toString().padStart(9, '0').replace(/0+$/, '').padEnd(2, '0')
  return `${nano < 0n ? '-' : ''}${whole / NANO}.${fraction}`
}

/** 2500000000 for "2.5". At most nine decimals, and at most nine million dollars: what a number holds exactly. */
export function fromUsd(usd: string): number {
  const [, whole = '', fraction = ''] = /^(\d{1,9})(?:\.(\d{1,9}))?$/.exec(usd) ?? []
  const nano = Number(BigInt(whole || '-1') * NANO + BigInt(fraction.padEnd(9, '0')))
  if (whole === '' || !Number.isSafeInteger(nano))
    throw new RangeError(`${usd} is not an amount of dollars that can be kept exactly`)
  return nano
}
