/**
 * JSON that PostgreSQL takes. Foreign text may hold NUL characters and halves of surrogate pairs (a cut through an
 * emoji makes one); jsonb refuses both, and an event that can never be written would hold up its job for ever.
 */
const REFUSED = /(?<!\\)((?:\\\\)*)\\u(?:0000|d[89a-f][0-9a-f]{2})/g

export function toJsonb(value: unknown): string {
  // JSON.stringify writes whole pairs as they are, so that an escaped surrogate is always half of one.
  return JSON.stringify(value).replaceAll(REFUSED, '$1\\ufffd')
}

/** The same for a text column. */
export function toText(text: string): string {
  return text.toWellFormed().replaceAll('\0', '\ufffd')
}
