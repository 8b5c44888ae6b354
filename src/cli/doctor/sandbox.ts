import type { Config } from '#config'
import { missing, ok, warning, type Finding } from './finding.ts'
import { installCommand } from './packages.ts'

/** Which guarantees of the sandbox hold here; the sandbox itself finds out. */
export async function examineSandbox(config: Config): Promise<readonly Finding[]> {
  if (config.FLOWFORGE_SANDBOX === 'none')
    return [
      warning(
        'sandbox',
        'none: jobs run without any isolation',
        'Unset FLOWFORGE_SANDBOX unless this is an experiment.',
      ),
    ]
  const { inspectHost, namesOfMissing } = await import('#sandbox')
  const { problem, guarantees } = await inspectHost(config)
  if (guarantees === undefined)
    return [
      missing(
        'sandbox',
        problem ?? 'cannot be opened',
        process.platform === 'linux' ? installCommand('bubblewrap') : '',
      ),
    ]
  const { missing: lacking, technology, diskLimit, ...flags } = guarantees
  const held = Object.entries(flags).filter(([, holds]) => holds === true)
  return [
    ok('sandbox', technology),
    ok('guarantees', [...held.map(([name]) => name), `diskLimit (${diskLimit})`].join(', ')),
    ...lacking.map((sentence) => warning('weaker', sentence, '')),
    ...(lacking.length === 0
      ? []
      : [
          warning(
            'weaker',
            'jobs run only when you accept that',
            `export FLOWFORGE_ALLOW_WEAKER=${namesOfMissing(guarantees).join(',')}`,
          ),
        ]),
  ]
}
