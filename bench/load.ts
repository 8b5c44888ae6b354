/**
 * What the platform itself costs when many jobs wait: 200 `command` jobs, queued at once, on whatever cores there are.
 *
 *   node_modules/.bin/node bench/load.ts [JOBS]
 */
import { readFileSync } from 'node:fs'
import pg from 'pg'
import { startStory, type Story } from '#test/story.ts'
import { median, percentile } from './figures.ts'

const JOBS = Number(process.argv[2] ?? 200)
/** Linux counts processor time in hundredths of a second. */
const TICKS_PER_SECOND = 100

const endings: (() => Promise<void>)[] = []
try {
  const story = await startStory({ after: (end) => void endings.push(end) })
  const origins = await Promise.all(Array.from({ length: 4 }, () => story.makeOrigin()))
  const database = new pg.Client({ connectionString: story.environment['FLOWFORGE_DATABASE_URL'] })
  await database.connect()
  const before = { ...(await writesOf(database)), cpu: cpuOf(story) }
  const began = performance.now()
  const jobs = await Promise.all(
    Array.from({ length: JOBS }, async (_, index) => {
      const { job } = await story.client.submit({
        repository: origins[index % origins.length] ?? '',
        into: 'main',
        task: 'Write a file',
        agent: 'command',
        command: ['sh', '-c', `echo ${index} > file-${index}.txt`],
      })
      return job
    }),
  )
  const accepted = performance.now()
  const ended = []
  let memory = 0
  for (const job of jobs) {
    ended.push(await story.settled(job, 600_000))
    memory = Math.max(memory, memoryOf(story))
  }
  const wallSeconds = (performance.now() - began) / 1000
  const after = { ...(await writesOf(database)), cpu: cpuOf(story) }
  await database.end()
  const seconds = ended.map(
    ({ createdAt, finishedAt }) => (Date.parse(finishedAt ?? '') - Date.parse(createdAt)) / 1000,
  )
  const states = Object.entries(Object.groupBy(ended, ({ state }) => state)).map(
    ([state, list]) => `${list?.length} ${state}`,
  )
  console.log(`jobs                  ${JOBS} on ${origins.length} repositories: ${states.join(', ')}`)
  console.log(
    `wall                  ${wallSeconds.toFixed(1)} s, ${(JOBS / wallSeconds).toFixed(1)} jobs/s; all accepted after ${((accepted - began) / 1000).toFixed(1)} s`,
  )
  console.log(
    `submit to succeeded   p50 ${median(seconds).toFixed(1)} s, p95 ${percentile(seconds, 95).toFixed(1)} s`,
  )
  console.log(
    `processor, platform   ${(((after.cpu - before.cpu) * 1000) / JOBS).toFixed(0)} ms a job (api, gateway, worker; without git, sandboxes and PostgreSQL)`,
  )
  console.log(
    `memory, platform      ${(memory / 1024).toFixed(0)} MiB at most (api, gateway and worker together)`,
  )
  console.log(
    `database              ${((after.rows - before.rows) / JOBS).toFixed(0)} rows written, ${((after.commits - before.commits) / JOBS).toFixed(0)} transactions, ${((after.wal - before.wal) / JOBS / 1024).toFixed(0)} KiB of WAL a job`,
  )
  for (const { number, state, cause, message } of ended.filter((job) => job.state !== 'succeeded')) {
    console.log(`job ${number} ${state}: ${cause}, ${message?.slice(0, 500)}`)
    process.exitCode = 1
    if (cause === 'internal')
      console.log(
        readFileSync(`${story.home}/logs/worker.log`, 'utf8')
          .split('\n')
          .filter((line) => line.includes('job.broke'))
          .join('\n')
          .slice(0, 3_000),
      )
  }
} finally {
  for (const end of endings.reverse()) await end()
}

async function writesOf(
  database: pg.Client,
): Promise<{ readonly rows: number; readonly commits: number; readonly wal: number }> {
  await database.query('select pg_stat_force_next_flush()')
  await new Promise((resolve) => setTimeout(resolve, 1_500))
  const { rows } = await database.query<{ rows: string; commits: string; wal: string }>(
    `select tup_inserted + tup_updated + tup_deleted as rows, xact_commit as commits, pg_current_wal_insert_lsn() - '0/0' as wal
     from pg_stat_database where datname = current_database()`,
  )
  const row = rows[0]
  return { rows: Number(row?.rows), commits: Number(row?.commits), wal: Number(row?.wal) }
}

function pidsOf(story: Story): readonly number[] {
  return Object.values(story.running.pids()).filter((pid) => pid !== undefined)
}

/** Seconds of user and system time of the roles themselves, not of what they started. */
function cpuOf(story: Story): number {
  return pidsOf(story).reduce((sum, pid) => {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const [user = 0, system = 0] = stat
      .slice(stat.lastIndexOf(')') + 2)
      .split(' ')
      .slice(11, 13)
      .map(Number)
    return sum + (user + system) / TICKS_PER_SECOND
  }, 0)
}

/** KiB resident. */
function memoryOf(story: Story): number {
  return pidsOf(story).reduce(
    (sum, pid) => sum + Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0),
    0,
  )
}
