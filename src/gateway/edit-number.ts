/** Changes one number of a JSON body and not a byte besides: `"max_tokens": 128000` to `"max_tokens": 4096`. */

const QUOTE = 0x22
const BACKSLASH = 0x5c

/** `body` is a valid JSON object without repeated keys. Undefined: it has no number under this key at its top. */
export function editTopNumber(body: Buffer, key: string, value: number): Buffer | undefined {
  let depth = 0
  let isKey = false
  for (let at = 0; at < body.length; at++) {
    switch (body[at]!) {
      case 0x7b: // {
      case 0x5b: // [
        depth++
        isKey = depth === 1
        break
      case 0x7d: // }
      case 0x5d: // ]
        depth--
        break
      case 0x2c: // ,
        isKey = depth === 1
        break
      case QUOTE: {
        const end = endOfString(body, at)
        if (isKey && (JSON.parse(body.toString('utf8', at, end + 1)) as string) === key)
          return replace(body, end + 1, value)
        isKey = false
        at = end
      }
    }
  }
  return undefined
}

/** From behind the key: a colon, space, and the number up to what ends it. */
function replace(body: Buffer, from: number, value: number): Buffer | undefined {
  let start = from
  while (' \t\n\r:'.includes(String.fromCharCode(body[start] ?? 0))) start++
  let end = start
  while (end < body.length && !' \t\n\r,}'.includes(String.fromCharCode(body[end] ?? 0))) end++
  if (!/^-?\d/.test(body.toString('latin1', start, end))) return undefined
  return Buffer.concat([body.subarray(0, start), Buffer.from(String(value)), body.subarray(end)])
}

function endOfString(body: Buffer, start: number): number {
  for (let end = body.indexOf(QUOTE, start + 1); end !== -1; end = body.indexOf(QUOTE, end + 1)) {
    let slashes = 0
    while (body[end - 1 - slashes] === BACKSLASH) slashes++
    if (slashes % 2 === 0) return end
  }
  return body.length
}
