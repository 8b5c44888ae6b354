import { refuse } from '#lib/errors.ts'

/** PostgreSQL keeps no NUL character, and no program takes one as an argument: it is refused where it comes in. */
export function refuseNul(value: unknown): void {
  if (typeof value === 'string') {
    if (value.includes('\0')) throw refuse('invalid_request', { problem: 'a text holds a NUL character.' })
  } else if (typeof value === 'object' && value !== null) {
    for (const [key, part] of Object.entries(value)) {
      refuseNul(key)
      refuseNul(part)
    }
  }
}
