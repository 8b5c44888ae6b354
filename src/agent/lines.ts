import type { Readable } from 'node:stream'

/** One line of output, or the fact that a line was longer than allowed and was dropped. */
export type Line =
  | { readonly kind: 'line'; readonly text: string }
  | { readonly kind: 'too-long'; readonly bytes: number }

const NEWLINE = 0x0a

/**
 * Cuts a stream into lines, as UTF-8. A line longer than `limitBytes` is dropped as it comes, so that a hostile or
 * broken writer costs no memory. What follows the last newline is a line too.
 */
export async function* linesOf(stream: Readable, limitBytes: number): AsyncGenerator<Line> {
  let parts: Buffer[] = []
  let bytes = 0
  const take = (): Line => {
    const line: Line =
      bytes > limitBytes
        ? { kind: 'too-long', bytes }
        : { kind: 'line', text: Buffer.concat(parts).toString('utf8') }
    parts = []
    bytes = 0
    return line
  }
  const keep = (part: Buffer): void => {
    bytes += part.length
    if (bytes <= limitBytes) parts.push(part)
    else parts = []
  }
  for await (const chunk of untilClosed(stream)) {
    let from = 0
    for (let at = chunk.indexOf(NEWLINE); at !== -1; at = chunk.indexOf(NEWLINE, from)) {
      keep(chunk.subarray(from, at))
      yield take()
      from = at + 1
    }
    if (from < chunk.length) keep(chunk.subarray(from))
  }
  if (bytes > 0) yield take()
}

/** A stream that is destroyed from our side has ended; that is no error of the reader. */
export async function* untilClosed(stream: Readable): AsyncGenerator<Buffer> {
  try {
    yield* stream as AsyncIterable<Buffer>
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ERR_STREAM_PREMATURE_CLOSE') throw error
  }
}
