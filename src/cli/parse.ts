/** How single values are typed on the command line. Each answers what to type instead. */
import { InvalidArgumentError } from 'commander'

const UNITS = { s: 1, m: 60, h: 3600 } as const

/** "90", "90s", "30m", "1h30m": seconds. */
export function parseDuration(text: string): number {
  const parts = [...text.matchAll(/(\d+)([smh])/g)]
  if (/^\d+$/.test(text)) return Number(text)
  if (parts.length === 0 || parts.map(([part]) => part).join('') !== text)
    throw new InvalidArgumentError('Type a time such as 90s, 30m or 1h30m.')
  return parts.reduce((sum, [, count, unit]) => sum + Number(count) * UNITS[unit as keyof typeof UNITS], 0)
}

export function parseCount(text: string): number {
  if (!/^-?\d{1,9}$/.test(text)) throw new InvalidArgumentError('Type a whole number.')
  return Number(text)
}

/** US dollars, kept as text: money never becomes a floating-point number. */
export function parseDollars(text: string): string {
  const bare = text.replace(/^\$/, '')
  if (!/^\d{1,9}(\.\d{1,9})?$/.test(bare))
    throw new InvalidArgumentError('Type an amount of US dollars such as 2.50.')
  return bare
}

/** For options that are given several times: --var A=1 --var B=2. */
export function collectPair(
  text: string,
  before: Readonly<Record<string, string>> = {},
): Record<string, string> {
  const at = text.indexOf('=')
  if (at < 1) throw new InvalidArgumentError('Type it as NAME=VALUE.')
  return { ...before, [text.slice(0, at)]: text.slice(at + 1) }
}

export function collect(text: string, before: readonly string[] = []): string[] {
  return [...before, text]
}

/** `12`, `#12` and a job's id all name a job. */
export function parseJob(text: string): string {
  const bare = text.replace(/^#/, '').toLowerCase()
  if (!/^(\d{1,15}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})$/.test(bare))
    throw new InvalidArgumentError(
      'A job is named by its number, such as 12, or its id. `flowforge jobs` lists them.',
    )
  return bare
}
