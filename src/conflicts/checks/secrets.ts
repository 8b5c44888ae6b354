/** Secrets in new lines, by secretlint and one rule for what has no fixed form. */
import { namesOf } from './language.ts'

/** Worth waking secretlint for: a long unbroken run, a key's armour, a password in an address. */
const WORTH_A_LOOK = /[\w+/=.-]{16,}|PRIVATE KEY|:\/\/[^/\s]*:[^/\s]*@/
const ASSIGNED =
  /(pass(word|wd|phrase)?|secret|token|api[-_]?key|access[-_]?key|private[-_]?key|credential)s?\w*['"]?\s*(:=|[:=])\s*['"`]([^'"`\s]{12,})['"`]/i
/** Forms that are a secret wherever they stand, also cut short or in prose, where secretlint wants the whole of it. */
const FIXED =
  /\b(AKIA|ASIA)[A-Z0-9]{16}\b|-----BEGIN ([A-Z]+ )*PRIVATE KEY|\bgh[pousr]_[A-Za-z0-9]{36}\b|\bgithub_pat_\w{22,}|\bglpat-[\w-]{20}|\bxox[abprs]-[\w-]{10,}|\bsk-(ant|proj|live)-[\w-]{20,}|\bAIza[\w-]{35}\b|\bnpm_[A-Za-z0-9]{36}\b/
const PLACEHOLDER =
  /example|changeme|placeholder|your[-_]|xxx+|\*{3,}|<[^>]+>|\$\{|dummy|test|foo|bar|secret|password|insert|redacted|process\.env|%\(|\{\{/i

export type Secret = { readonly says: string; readonly line: number }

type Lint = (text: string) => Promise<readonly { readonly says: string; readonly line: number }[]>
let lint: Promise<Lint> | undefined

/** `lines` are [line number, text]. The secret itself is never repeated. */
export async function findSecrets(lines: readonly (readonly [number, string])[]): Promise<readonly Secret[]> {
  const worth = lines.filter(([, text]) => WORTH_A_LOOK.test(text) || ASSIGNED.test(text))
  if (worth.length === 0) return []
  const found: Secret[] = []
  for (const [line, text] of worth) {
    if (FIXED.test(text)) {
      found.push({ says: 'a key or token is written into the file', line })
      continue
    }
    const value = ASSIGNED.exec(text)?.[4]
    if (value !== undefined && !PLACEHOLDER.test(value) && entropy(value) >= 3.2 && looksRandom(value))
      found.push({ says: 'a password or token is written into the code', line })
  }
  lint ??= loadSecretlint()
  const text = worth.map(([, one]) => one).join('\n')
  for (const { says, line } of await (await lint)(text)) found.push({ says, line: worth[line - 1]?.[0] ?? 1 })
  return found
}

async function loadSecretlint(): Promise<Lint> {
  const [{ lintSource }, { creator }] = await Promise.all([
    import('@secretlint/core'),
    import('@secretlint/secretlint-rule-preset-recommend'),
  ])
  return async (text) => {
    const { messages } = await lintSource({
      source: { content: text, filePath: 'new-lines.txt', ext: '.txt', contentType: 'text' },
      options: {
        config: { rules: [{ id: '@secretlint/secretlint-rule-preset-recommend', rule: creator }] },
        maskSecrets: true,
      },
    })
    return messages.map(({ ruleId, loc }) => ({
      says: `a secret is written into the file (${ruleId.replace('@secretlint/secretlint-rule-', '')})`,
      line: loc.start.line,
    }))
  }
}

function entropy(text: string): number {
  const counts = new Map<string, number>()
  for (const sign of text) counts.set(sign, (counts.get(sign) ?? 0) + 1)
  let bits = 0
  for (const times of counts.values()) bits -= (times / text.length) * Math.log2(times / text.length)
  return bits
}

/** Digits among letters; prose and identifiers have few. */
function looksRandom(text: string): boolean {
  const names = namesOf(text)
  return (
    /\d/.test(text) &&
    /[A-Za-z]/.test(text) &&
    names.every((name) => !/^[a-z]+([A-Z_][a-z]+)*$/.test(name) || name.length > 24)
  )
}
