/** Which upstreams there are, from the configuration. */
import { readFileSync } from 'node:fs'
import { z } from 'zod'
import type { Config } from '#config'
import { refuse } from '#lib/errors.ts'
import { Secret } from '#lib/secret.ts'
import type { Target } from './upstream.ts'

type Settings = Pick<Config, 'FLOWFORGE_UPSTREAM_URL' | 'ANTHROPIC_API_KEY'> &
  Partial<Pick<Config, 'FLOWFORGE_UPSTREAMS_FILE'>>

const fileSchema = z
  .array(z.strictObject({ url: z.url({ protocol: /^https?$/ }), key: z.string().min(1).optional() }))
  .min(1)
  .max(100)

export function readTargets(config: Settings): readonly Target[] {
  const file = config.FLOWFORGE_UPSTREAMS_FILE
  const targets = file === undefined ? fromVariables(config) : fromFile(file)
  if (targets.some(({ key }) => key?.reveal().startsWith('sk-ant-oat') === true))
    throw refuse('config_invalid', {
      key: file === undefined ? 'ANTHROPIC_API_KEY' : 'FLOWFORGE_UPSTREAMS_FILE',
      value: '[secret]',
      problem: 'it is the token of a Claude subscription, which may not serve others.',
      example: 'ANTHROPIC_API_KEY=sk-ant-api…',
    })
  return targets
}

function fromVariables(config: Settings): readonly Target[] {
  const url = new URL(config.FLOWFORGE_UPSTREAM_URL)
  const keys = (config.ANTHROPIC_API_KEY?.reveal() ?? '')
    .split(',')
    .map((key) => key.trim())
    .filter(Boolean)
  return keys.length === 0 ? [{ url, key: undefined }] : keys.map((key) => ({ url, key: new Secret(key) }))
}

function fromFile(file: string): readonly Target[] {
  try {
    return fileSchema
      .parse(JSON.parse(readFileSync(file, 'utf8')))
      .map(({ url, key }) => ({ url: new URL(url), key: key === undefined ? undefined : new Secret(key) }))
  } catch (error) {
    // The error of the parser could hold a key: what is wrong is said without what stands there.
    const problem =
      error instanceof z.ZodError
        ? error.issues.map(({ path, message }) => `${path.join('.')}: ${message}.`).join(' ')
        : error instanceof SyntaxError
          ? 'it is not JSON.'
          : `${String(error)}.`
    throw refuse('config_invalid', {
      ...{ key: 'FLOWFORGE_UPSTREAMS_FILE', value: file, problem },
      example: '[{"url": "https://api.anthropic.com", "key": "sk-ant-…"}]',
    })
  }
}
