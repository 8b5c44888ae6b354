/**
 * `npm test`: everything. Checks first, then the tests by speed, then one closing line.
 *
 *   npm test                       all
 *   npm test -- unit db            only these kinds (checks, unit, db, sandbox, stories)
 *   npm test -- src/api            only files whose path contains this
 *   npm test -- unit --coverage    with the line coverage of src/
 *
 * A test whose technology is missing is skipped with its reason. With CI=true a skip that names bubblewrap or
 * PostgreSQL is a failure: there the technology must be.
 */
import { globSync } from 'node:fs'
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { cpus, tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { run } from 'node:test'
import { parseArgs } from 'node:util'
import { startEmbeddedPostgres } from '#db'
import { createLog } from '#telemetry'
import { runChecks } from './checks.ts'

type Kind = 'unit' | 'db' | 'sandbox' | 'stories'

/** Sandboxes get the machine for themselves: they measure limits. Stories mostly wait for leases to run out. */
const KINDS: Readonly<Record<Kind, { readonly timeoutMs: number; readonly concurrency: number }>> = {
  unit: { timeoutMs: 120_000, concurrency: Math.max(2, cpus().length) },
  db: { timeoutMs: 180_000, concurrency: 2 },
  sandbox: { timeoutMs: 300_000, concurrency: 1 },
  stories: { timeoutMs: 480_000, concurrency: 2 },
}

const tally = { passed: 0, failed: 0, skipped: 0 }
const failures: string[] = []
const skips = new Map<string, number>()

const root = join(import.meta.dirname, '..')
process.chdir(root)
// Every test file is a process of its own; what was stripped and compiled once is kept for all of them.
process.env['NODE_COMPILE_CACHE'] ??= join(root, 'node_modules', '.cache', 'compiled')
const { values: flags, positionals } = parseArgs({
  allowPositionals: true,
  options: { coverage: { type: 'boolean' } },
})
const kindsAsked = positionals.filter((word) => word === 'checks' || word in KINDS)
const pathsAsked = positionals.filter((word) => !kindsAsked.includes(word))
const isAsked = (kind: string): boolean =>
  kindsAsked.length > 0 ? kindsAsked.includes(kind) : pathsAsked.length === 0 || kind !== 'checks'

const began = performance.now()
if (isAsked('checks')) await runAllChecks()
const files = sortFiles()
const needsDatabase = (['db', 'sandbox', 'stories'] as const).some((kind) => files[kind].length > 0)
{
  await using _postgres = needsDatabase ? await startDatabase() : undefined
  for (const kind of Object.keys(KINDS) as Kind[])
    if (files[kind].length > 0) await runFiles(kind, files[kind])
}
close()

async function runAllChecks(): Promise<void> {
  await runChecks(({ name, passed, output, seconds }) => {
    console.log(`${passed ? '✓' : '✗'} ${name} (${seconds.toFixed(1)} s)`)
    if (passed) tally.passed += 1
    else fail(name, output)
  })
}

function sortFiles(): Readonly<Record<Kind, readonly string[]>> {
  const found = globSync(['src/**/*.test.ts', 'test/**/*.test.ts', 'bench/**/*.test.ts']).toSorted()
  const chosen = found.filter(
    (file) => pathsAsked.length === 0 || pathsAsked.some((path) => file.includes(path)),
  )
  const of = (kind: Kind): readonly string[] =>
    isAsked(kind) ? chosen.filter((file) => kindOf(file) === kind) : []
  return { unit: of('unit'), db: of('db'), sandbox: of('sandbox'), stories: of('stories') }
}

function kindOf(file: string): Kind {
  if (file.startsWith('test/stories/')) return 'stories'
  if (file.endsWith('.sandbox.test.ts')) return 'sandbox'
  return file.endsWith('.db.test.ts') ? 'db' : 'unit'
}

async function runFiles(kind: Kind, paths: readonly string[]): Promise<void> {
  // Coverage is of all files together; otherwise each file is a run of its own, so that one that hangs can be ended.
  if (flags.coverage === true && kind === 'unit') return runTogether(paths, KINDS.unit, true)
  const waiting = [...paths]
  const takeNext = async (): Promise<void> => {
    for (let path = waiting.shift(); path !== undefined; path = waiting.shift())
      await runTogether([path], KINDS[kind], false)
  }
  await Promise.all(Array.from({ length: KINDS[kind].concurrency }, takeNext))
}

async function runTogether(
  paths: readonly string[],
  { timeoutMs, concurrency }: (typeof KINDS)[Kind],
  coverage: boolean,
): Promise<void> {
  const tooLong = new AbortController()
  const timer = setTimeout(() => tooLong.abort(), timeoutMs * paths.length)
  const stream = run({
    files: paths.map((path) => join(root, path)),
    concurrency,
    timeout: timeoutMs,
    signal: tooLong.signal,
    ...(coverage && {
      coverage: true,
      coverageIncludeGlobs: ['src/**/*.ts'],
      coverageExcludeGlobs: ['**/*.test.ts'],
    }),
  })
  stream.on('test:pass', ({ name, file, skip, todo, details }) => {
    if (details.type === 'suite') return
    if (skip !== undefined || todo !== undefined) countSkip(name, file, String(skip ?? todo))
    else tally.passed += 1
  })
  stream.on('test:fail', ({ name, file, todo, details }) => {
    if (todo !== undefined) return countSkip(name, file, String(todo))
    // Ended by us below, and counted there.
    if (tooLong.signal.aborted) return
    // A suite fails with the tests inside it, which are counted themselves.
    if (details.type === 'suite' && details.error.cause !== undefined && isSubtestFailure(details.error))
      return
    fail(`${shorten(file)} › ${name}`, describeError(details.error))
  })
  stream.on('test:summary', ({ file, counts, duration_ms: ms }) => {
    if (file === undefined) return
    const mark = counts.passed + counts.skipped === counts.tests && counts.cancelled === 0 ? '✓' : '✗'
    const skipped = counts.skipped > 0 ? `, ${counts.skipped} skipped` : ''
    console.log(
      `${mark} ${shorten(file)}: ${counts.passed} of ${counts.tests}${skipped} (${(ms / 1000).toFixed(1)} s)`,
    )
  })
  if (coverage) {
    stream.on('test:coverage', ({ summary: { totals } }) => {
      console.log(
        `coverage of unit tests: ${totals.coveredLinePercent.toFixed(1)} % of lines, ${totals.coveredBranchPercent.toFixed(1)} % of branches`,
      )
    })
  }
  stream.resume()
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  stream.once('end', resolve)
  stream.once('error', reject)
  await promise
  clearTimeout(timer)
  if (tooLong.signal.aborted) fail(paths.join(' '), `did not end within ${timeoutMs / 1000} s`)
}

function countSkip(name: string, file: string | undefined, reason: string): void {
  const technology = /bubblewrap|bwrap|postgres/i.test(reason)
  if (process.env['CI'] === 'true' && technology)
    return fail(`${shorten(file)} › ${name}`, `skipped in CI: ${reason}`)
  tally.skipped += 1
  skips.set(reason, (skips.get(reason) ?? 0) + 1)
}

function fail(name: string, output: string): void {
  tally.failed += 1
  failures.push(`✗ ${name}\n${output.trimEnd().replaceAll(/^/gm, '    ')}`)
}

function isSubtestFailure(error: Error): boolean {
  return 'failureType' in error && error.failureType === 'subtestsFailed'
}

function describeError(error: Error): string {
  const cause = error.cause ?? error
  return cause instanceof Error ? (cause.stack ?? cause.message) : JSON.stringify(cause)
}

function shorten(file: string | undefined): string {
  return file === undefined ? '' : relative(root, file)
}

/** One server for all files of this run; test/support/database.ts finds it by this variable. */
async function startDatabase(): Promise<AsyncDisposable | undefined> {
  if (process.env['FLOWFORGE_TEST_POSTGRES']) return undefined
  const home = await mkdtemp(join(tmpdir(), 'flowforge-tests-'))
  // As root the server runs as another user, who must be able to enter.
  await chmod(home, 0o755)
  const log = createLog({ FLOWFORGE_LOG_LEVEL: 'warn' }, 'tests')
  // Nothing in it outlives the run, so it need not survive a power cut.
  const settings = { fsync: 'off', full_page_writes: 'off', synchronous_commit: 'off' }
  try {
    const server = await startEmbeddedPostgres({ home, log, settings })
    process.env['FLOWFORGE_TEST_POSTGRES'] = server.adminUrl
    return {
      async [Symbol.asyncDispose]() {
        await server.stop()
        await rm(home, { recursive: true, force: true })
      },
    }
  } catch (error) {
    // Every database test will say the same; the run goes on to the others.
    console.error('PostgreSQL could not be started:', error)
    await rm(home, { recursive: true, force: true })
    return undefined
  }
}

function close(): void {
  for (const [reason, count] of skips) console.log(`skipped ${count}: ${reason}`)
  for (const failure of failures) console.log(`\n${failure}`)
  console.log(`\nin ${((performance.now() - began) / 1000).toFixed(0)} s`)
  const ranNothing = tally.passed + tally.failed === 0
  if (ranNothing) console.log('No test ran.')
  console.log(`${tally.passed} passed, ${tally.failed} failed, ${tally.skipped} skipped`)
  process.exitCode = tally.failed > 0 || ranNothing ? 1 : 0
}
