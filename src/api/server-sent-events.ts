export type ServerSentEvent = { readonly event: string; readonly id?: string; readonly data: string }

/** Reads a stream of server-sent events (HTML standard, section 9.2.6). Ends with the stream; a broken one throws. */
export async function* readServerSentEvents(
  body: ReadableStream<Uint8Array>,
): AsyncGenerator<ServerSentEvent> {
  let rest = ''
  let event = 'message'
  let id: string | undefined
  let data: string[] = []
  for await (const chunk of body.pipeThrough(new TextDecoderStream())) {
    rest += chunk
    // A line may end with \r\n, and the chunk between the two: keep a last \r until more is there.
    const lines = rest.split(/\r\n|\n|\r(?!$)/)
    rest = lines.pop() ?? ''
    for (const line of lines) {
      if (line === '') {
        if (data.length > 0) yield { event, data: data.join('\n'), ...(id !== undefined && { id }) }
        event = 'message'
        data = []
        continue
      }
      const [, field = '', value = ''] = /^([^:]*)(?::\x20?(.*))?$/s.exec(line) ?? []
      if (field === 'event') event = value
      else if (field === 'data') data.push(value)
      else if (field === 'id') id = value
    }
  }
}
