/**
 * Collects the true resolutions of a repository: every file that conflicted in a past merge, its three versions and
 * what people committed. Reads objects only; writes one JSON line for each file.
 *
 *   node bench/validators/collect.ts REPOSITORY… --out FOLDER [--limit MERGES]
 *
 * The newest 40 % of each repository's conflicted merges are marked `held-out`: rules are tuned on the others.
 */
import { execFile, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { createWriteStream, mkdirSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { parseArgs } from 'node:util'

/** One true resolution, as stored. Contents are text: files that are not UTF-8 are left out. */
export type Sample = {
  readonly repository: string
  readonly merge: string
  readonly date: string
  readonly set: 'tuning' | 'held-out'
  readonly path: string
  readonly base: string | null
  readonly ours: string
  readonly theirs: string
  readonly human: string
}

type Stages = { readonly path: string; base?: string; ours?: string; theirs?: string }

const LARGEST_BYTES = 400_000

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { out: { type: 'string' }, limit: { type: 'string', default: '4000' } },
})
if (values.out === undefined || positionals.length === 0)
  throw new Error('usage: collect.ts REPOSITORY… --out FOLDER [--limit MERGES]')
mkdirSync(values.out, { recursive: true })
for (const repository of positionals) await collect(repository, values.out, Number(values.limit))

async function collect(repository: string, folder: string, limit: number): Promise<void> {
  const name = basename(repository) === 'repo' ? basename(dirname(repository)) : basename(repository)
  const listed = await git(repository, [
    'log',
    '--all',
    '--min-parents=2',
    '--max-parents=2',
    '--format=%H %P %cs',
  ])
  const merges = listed.trim().split('\n').filter(Boolean)
  // An even sample over the whole history, so that old and new merges both count.
  const step = Math.max(1, merges.length / limit)
  const chosen = Array.from(
    { length: Math.min(limit, merges.length) },
    (_, i) => merges[Math.floor(i * step)],
  )
  const blobs = openBlobs(repository)
  const found: Omit<Sample, 'set'>[] = []
  const seen = new Set<string>()
  const queue = chosen.values()
  const work = async (): Promise<void> => {
    for (const line of queue) {
      const [merge = '', ours = '', theirs = '', date = ''] = (line ?? '').split(' ')
      for (const stages of await conflicts(repository, ours, theirs)) {
        if (!stages.ours || !stages.theirs) continue
        const [base, oursText, theirsText, human] = await Promise.all([
          stages.base ? blobs.read(stages.base) : null,
          blobs.read(stages.ours),
          blobs.read(stages.theirs),
          blobs.read(`${merge}:${stages.path}`),
        ])
        if (base === undefined || oursText === undefined || theirsText === undefined || human === undefined)
          continue
        const key = createHash('sha256')
          .update([base ?? '', oursText, theirsText, human].join('\0'))
          .digest('hex')
        if (seen.has(key)) continue
        seen.add(key)
        found.push({
          repository: name,
          merge,
          date,
          path: stages.path,
          base: base ?? null,
          ours: oursText,
          theirs: theirsText,
          human,
        })
      }
    }
  }
  await Promise.all([work(), work(), work()])
  blobs.close()
  found.sort((a, b) => (a.date < b.date ? -1 : a.date > b.date ? 1 : a.merge < b.merge ? -1 : 1))
  const dates = [...new Map(found.map((sample) => [sample.merge, sample.date])).values()]
  const border = dates[Math.floor(dates.length * 0.6)] ?? '9999'
  const out = createWriteStream(join(folder, `${name}.jsonl`))
  for (const sample of found)
    out.write(`${JSON.stringify({ ...sample, set: sample.date >= border ? 'held-out' : 'tuning' })}\n`)
  await new Promise((done) => out.end(done))
  console.log(`${name}: ${found.length} files, held out from ${border}`)
}

async function conflicts(repository: string, ours: string, theirs: string): Promise<readonly Stages[]> {
  const text = await git(repository, ['merge-tree', '--write-tree', '--no-messages', '-z', ours, theirs])
  const files = new Map<string, Stages>()
  for (const record of text.split('\0').slice(1)) {
    const match = /^(\d+) ([0-9a-f]+) ([123])\t([^]*)$/.exec(record)
    if (!match || !match[1]?.startsWith('100')) continue
    const [, , id = '', stage, path = ''] = match
    const stages = files.get(path) ?? { path }
    stages[stage === '1' ? 'base' : stage === '2' ? 'ours' : 'theirs'] = id
    files.set(path, stages)
  }
  return [...files.values()]
}

/** Git's answer; empty when git refuses (unrelated histories, missing objects). Exit code 1 means conflicts. */
function git(repository: string, args: readonly string[]): Promise<string> {
  return new Promise((done) => {
    execFile('git', ['-C', repository, ...args], { maxBuffer: 1 << 28, timeout: 60_000 }, (error, stdout) =>
      done(error && error.code !== 1 ? '' : stdout),
    )
  })
}

/** One resident `git cat-file --batch`: answers in order. */
function openBlobs(repository: string): {
  read(name: string): Promise<string | undefined>
  close(): void
} {
  const child = spawn('git', ['-C', repository, 'cat-file', '--batch'], { stdio: ['pipe', 'pipe', 'ignore'] })
  const waiting: ((content: string | undefined) => void)[] = []
  let pending = Buffer.alloc(0)
  child.stdout.on('data', (chunk: Buffer) => {
    pending = Buffer.concat([pending, chunk])
    for (;;) {
      const end = pending.indexOf(10)
      if (end < 0) return
      const header = pending.subarray(0, end).toString()
      const size = /^[0-9a-f]+ \w+ (\d+)$/.exec(header)?.[1]
      if (size === undefined) {
        pending = pending.subarray(end + 1)
        waiting.shift()?.(undefined)
        continue
      }
      if (pending.length < end + 2 + Number(size)) return
      const content = pending.subarray(end + 1, end + 1 + Number(size))
      pending = pending.subarray(end + 2 + Number(size))
      const isText = content.length <= LARGEST_BYTES && !content.includes(0)
      const text = content.toString('utf8')
      waiting.shift()?.(isText && !text.includes('�') ? text : undefined)
    }
  })
  return {
    read: (name) =>
      new Promise((done) => {
        if (name.includes('\n')) return done(undefined)
        waiting.push(done)
        child.stdin.write(`${name}\n`)
      }),
    close: () => child.stdin.end(),
  }
}
