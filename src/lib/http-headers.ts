/** Headers that concern one connection only (RFC 9110 section 7.6.1) and are never passed on. */
const HOP_BY_HOP = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
])

/**
 * The headers of a message that may be passed on, as name and value by turns, in their order and spelling: all but
 * those of the connection, those the connection header names, and those the caller drops.
 */
export function endToEndHeaders(rawHeaders: readonly string[], drop: (name: string) => boolean): string[] {
  const pairs: [string, string][] = []
  for (let at = 0; at + 1 < rawHeaders.length; at += 2) pairs.push([rawHeaders[at]!, rawHeaders[at + 1]!])
  const named = new Set(
    pairs
      .filter(([name]) => name.toLowerCase() === 'connection')
      .flatMap(([, value]) => value.toLowerCase().split(','))
      .map((name) => name.trim()),
  )
  return pairs
    .filter(([name]) => {
      const lower = name.toLowerCase()
      return !HOP_BY_HOP.has(lower) && !named.has(lower) && !drop(lower)
    })
    .flat()
}
