/**
 * What a job costs beside doing the same by hand, in one run on one machine:
 *
 *   bare   clone, `claude -p`, add, commit, push, by a shell script, without a sandbox
 *   job    submitted to FlowForge, from the accepted request to `succeeded`
 *
 * The model is scripted and answers at once, so that what is measured is everything but the model.
 *
 *   ./bin/node bench/job.ts [RUNS]
 */
import { execFile } from 'node:child_process'
import { chmod, mkdir, mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import type { Client } from '#api'
import { scriptedTask } from '#demo'
import { findClaude } from '#sandbox'
import { makeOrigin, startStory } from '#test/story.ts'
import { median, percentile } from './figures.ts'

const run = promisify(execFile)
const RUNS = Number(process.argv[2] ?? 20)

const task = (name: string): string =>
  scriptedTask('Write a file', {
    turns: [
      {
        text: 'I write it.',
        tools: [{ name: 'Write', input: { file_path: `{{cwd}}/${name}.txt`, content: 'hello\n' } }],
      },
      { text: 'It is written.' },
    ],
  })

const BARE = `set -e
git clone --quiet "$1" "$2"
cd "$2"
printf '%s' "$3" | "$4" -p --permission-mode bypassPermissions --output-format json --setting-sources user >/dev/null
git add --all
git -c user.name=Bench -c user.email=bench@localhost commit --quiet --message "Bare"
git push --quiet origin main
`

let claude: string | undefined
const endings: (() => Promise<void>)[] = []
const ending = { after: (end: () => Promise<void>) => void endings.push(end) }
try {
  const story = await startStory(ending)
  const mine = await makeOrigin(ending, { 'README.md': '# Sample\n' })
  const theirs = await makeOrigin(ending, { 'README.md': '# Sample\n' })
  await runBare(theirs, story.model.url, 'warm')
  await runJob(story.client, mine, 'warm')
  const bare: number[] = []
  const job: number[] = []
  const firstEvent: number[] = []
  for (let index = 0; index < RUNS; index += 1) {
    bare.push(await runBare(theirs, story.model.url, `bare${index}`))
    const measured = await runJob(story.client, mine, `job${index}`)
    job.push(measured.totalMs)
    firstEvent.push(measured.firstAgentEventMs)
  }
  const ratios = job.map((ms, index) => ms / (bare[index] ?? 1))
  console.log(`runs                       ${RUNS}, one after the other, bare and job in turn`)
  console.log(`bare                       median ${median(bare).toFixed(0)} ms`)
  console.log(`job                        median ${median(job).toFixed(0)} ms`)
  console.log(
    `job / bare                 ${(median(job) / median(bare)).toFixed(2)} (median of pairs ${median(ratios).toFixed(2)})`,
  )
  console.log(
    `submit to first agent event  p50 ${median(firstEvent).toFixed(0)} ms, p95 ${percentile(firstEvent, 95).toFixed(0)} ms`,
  )
} finally {
  for (const end of endings.reverse()) await end()
}

async function runBare(origin: string, modelUrl: string, name: string): Promise<number> {
  const directory = await mkdtemp(join(tmpdir(), 'ff-bare-'))
  const home = join(directory, 'home')
  await mkdir(home)
  const script = join(directory, 'bare.sh')
  await writeFile(script, BARE)
  await writeFile(join(home, '.gitconfig'), '[safe]\n\tdirectory = *\n')
  await chmod(directory, 0o777)
  await chmod(home, 0o777)
  await run('chmod', ['-R', 'a+rwX', dirname(origin)])
  const work = join(directory, 'work')
  // Claude Code refuses to skip permissions as root, as it should.
  const asUser =
    process.getuid?.() === 0 ? ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', '--'] : []
  const argv = [
    ...asUser,
    'sh',
    script,
    origin,
    work,
    task(name).replaceAll('{{cwd}}', work),
    await claudeForAll(),
  ]
  const began = performance.now()
  await run(argv[0] ?? 'sh', argv.slice(1), {
    env: {
      PATH: '/usr/local/bin:/usr/bin:/bin',
      HOME: home,
      ANTHROPIC_BASE_URL: modelUrl,
      ANTHROPIC_AUTH_TOKEN: 'bench',
      DISABLE_AUTOUPDATER: '1',
      DISABLE_TELEMETRY: '1',
      CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1',
    },
  })
  return performance.now() - began
}

/** The installation may lie below a folder that only root may enter. */
async function claudeForAll(): Promise<string> {
  if (claude === undefined) {
    const directory = await mkdtemp(join(tmpdir(), 'ff-claude-'))
    endings.push(async () => void (await run('rm', ['-rf', directory])))
    await chmod(directory, 0o755)
    claude = join(directory, 'claude')
    await run('cp', [findClaude() ?? '', claude])
    await chmod(claude, 0o755)
  }
  return claude
}

/** From the accepted request to the event that says `succeeded`, as a program that reads the events sees it. */
async function runJob(
  client: Client,
  origin: string,
  name: string,
): Promise<{ readonly totalMs: number; readonly firstAgentEventMs: number }> {
  const submitted = performance.now()
  const { job } = await client.submit({
    repository: origin,
    into: 'main',
    task: task(name).replaceAll('{{cwd}}', '/workspace'),
  })
  const accepted = performance.now()
  let firstAgentEventMs = 0
  let totalMs = 0
  for await (const event of client.followEvents(job.id)) {
    if (firstAgentEventMs === 0 && event.kind.startsWith('agent.'))
      firstAgentEventMs = performance.now() - submitted
    if (event.kind === 'job.succeeded') totalMs = performance.now() - accepted
  }
  if (totalMs === 0) throw new Error(`job ${job.number} did not succeed`)
  return { totalMs, firstAgentEventMs }
}
