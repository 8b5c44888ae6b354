/** Cuts text into words, numbers, runs of spaces, line feeds and single other characters. Joining gives back the text. */
const TOKEN = /[\p{L}\p{N}_$]+|[ \t]+|\r?\n|[\s\S]/gu

export function tokens(text: string): string[] {
  return text.match(TOKEN) ?? []
}
