/** `npm run check`: the fast half of `npm test`, before a commit. */
import { runChecks } from './checks.ts'

const results = await runChecks(({ name, passed, output, seconds }) => {
  console.log(`${passed ? '✓' : '✗'} ${name} (${seconds.toFixed(1)} s)${passed ? '' : `\n${output}`}`)
})
process.exitCode = results.every(({ passed }) => passed) ? 0 : 1
