/** What goes wrong outside, typed into the real command line: a sentence that says what to do, never a stack trace. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { chmod, cp, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { flowforge, freePort, ROOT, runToEnd, type Said } from '#test/command-line.ts'
import { git, startStory, type Story } from '#test/story.ts'

const isRoot = process.getuid?.() === 0
let story: Story
let folder: string
const endings: (() => Promise<void>)[] = []
before(async () => {
  story = await startStory({ after: (end) => void endings.push(end) })
  folder = await mkdtemp(join(tmpdir(), 'ff-bad-'))
  await chmod(folder, 0o755)
})
after(async () => {
  for (const end of endings.reverse()) await end()
  await rm(folder, { recursive: true, force: true })
})

const type = (...args: string[]): Promise<Said> =>
  flowforge(args, { FLOWFORGE_URL: story.running.apiUrl ?? '', FLOWFORGE_API_KEY: story.running.apiKey })
const command = (script: string): readonly string[] => ['--agent', 'command', '--command', script]

function saysWhatToDo({ code, stdout, stderr }: Said, sentence: RegExp, expected = 1): void {
  assert.match(stderr + stdout, sentence)
  assert.equal(code, expected, stderr)
  assert.doesNotMatch(stderr, /\n +at |fault of FlowForge/, 'no stack trace')
}

describe('submit refuses', { concurrency: 3 }, () => {
  test('a repository that is not there, and a folder that is none', async () => {
    await mkdir(join(folder, 'plain'))
    saysWhatToDo(
      await type('submit', join(folder, 'nowhere'), 'x', '--into', 'main', ...command('true')),
      /nowhere/,
    )
    saysWhatToDo(
      await type('submit', join(folder, 'plain'), 'x', '--into', 'main', ...command('true')),
      /not a git repository/,
    )
    saysWhatToDo(
      await type('submit', 'no-such-name', 'x', '--into', 'main', ...command('true')),
      /no repository no-such-name/,
    )
  })

  test('addresses that reach inside, and kinds of address that run programs', async () => {
    const port = await freePort()
    for (const [address, sentence] of [
      [`https://127.0.0.1:${port}/a.git`, /FLOWFORGE_ALLOWED_NETWORKS|private/],
      ['ext::sh -c touch% /tmp/x', /not taken/],
      ['file:///etc', /not taken/],
      ['--upload-pack=touch /tmp/x', /./],
    ] as const) {
      const said = await type('submit', '--into', 'main', ...command('true'), '--', address, 'x')
      saysWhatToDo(said, sentence)
    }
  })

  test('an empty repository and a branch that is not there, naming those that are', async () => {
    const empty = join(folder, 'empty.git')
    await git(folder, 'init', '--quiet', '--bare', empty)
    saysWhatToDo(
      await type('submit', empty, 'x', '--into', 'main', ...command('true')),
      /no commits yet. Push a first commit/,
    )
    const origin = await story.makeOrigin()
    saysWhatToDo(
      await type('submit', origin, 'x', '--into', 'next', ...command('true')),
      /has no branch next. It has: main/,
    )
    saysWhatToDo(
      await type('submit', origin, 'x', '--into', '--force', ...command('true')),
      /branch|option|argument/i,
      1,
    )
  })

  test('a task of 1 MB', async () => {
    const origin = await story.makeOrigin()
    const file = join(folder, 'task.md')
    await writeFile(file, 'x'.repeat(1024 * 1024))
    saysWhatToDo(
      await type('submit', origin, `@${file}`, '--into', 'main', ...command('true')),
      /The task has 1048576 bytes; at most 262144/,
    )
    saysWhatToDo(
      await type('submit', origin, `@${file}.gone`, '--into', 'main', ...command('true')),
      /task\.md\.gone/,
    )
  })
})

describe('a job meets', { concurrency: 3 }, () => {
  test('a protected branch: a person decides, and reads what the remote said', async () => {
    const origin = await story.makeOrigin()
    const hook = join(origin, 'hooks/pre-receive')
    await writeFile(
      hook,
      '#!/bin/sh\nwhile read -r old new ref; do [ "$ref" != refs/heads/main ] || { echo "main is protected: open a pull request" >&2; exit 1; }; done\n',
    )
    await chmod(hook, 0o755)
    const tip = await git(origin, 'rev-parse', 'main')
    const said = await type(
      'submit',
      origin,
      'x',
      '--into',
      'main',
      ...command('echo x > x.txt'),
      '--wait',
      '--json',
    )
    const job = JSON.parse(said.stdout) as {
      readonly state: string
      readonly cause: string
      readonly message: string
      readonly number: number
      readonly resultBranch: string
    }
    assert.deepEqual([said.code, job.state, job.cause], [2, 'needs_review', 'push_refused'])
    assert.match(job.message, /main is protected: open a pull request/)
    assert.equal(await git(origin, 'rev-parse', 'main'), tip)
    assert.equal(
      await git(origin, 'show', `${job.resultBranch}:x.txt`),
      'x',
      'the work is on a branch of its own',
    )
    assert.match((await type('show', String(job.number))).stdout, /main is protected/)
    await rm(hook)
    assert.equal((await type('approve', String(job.number))).code, 0)
    assert.equal((await story.settled(await story.client.readJob(String(job.number)))).state, 'succeeded')
  })

  test('binary output: it is kept as far as it is text, and prints safely', async () => {
    const origin = await story.makeOrigin()
    const script = String.raw`printf 'start \000 \377\376 \033[31mred\033]0;title\007 \302\233 😀 end\n'; head -c 300000 /dev/urandom; echo; printf 'a\000b\033[2J' >&2; exit 3`
    const said = await type('submit', origin, 'x', '--into', 'main', ...command(script), '--wait')
    assert.equal(said.code, 1, said.stderr)
    const [job] = (await story.client.listJobs({ limit: 200 })).jobs.filter(({ command: argv }) =>
      argv?.includes(script),
    )
    assert.ok(job)
    assert.deepEqual([job.state, job.cause], ['failed', 'agent_exit'])
    const number = String(job.number)
    for (const shown of [said, await type('log', number), await type('show', number), await type('jobs')]) {
      // oxlint-disable-next-line no-control-regex
      assert.doesNotMatch(shown.stdout, /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/)
    }
    const log = (await type('log', number, '--json')).stdout
    assert.match(log, /start/)
    assert.match(log, /red/)
    assert.match(log, /😀 end/)
  })

  test('a full disk in its sandbox: it fails with the words of its program, others go on', async () => {
    const origin = await story.makeOrigin()
    const said = await type(
      'submit',
      origin,
      'x',
      '--into',
      'main',
      ...command(
        'dd if=/dev/zero of=big bs=1M count=600 2>&1 | grep -o "No space left on device" >&2; exit 5',
      ),
      '--wait',
    )
    saysWhatToDo(said, /No space left on device/)
    assert.equal(
      (await type('submit', origin, 'y', '--into', 'main', ...command('echo y > y.txt'), '--wait')).code,
      0,
    )
  })

  test(
    'a full disk of FLOWFORGE_HOME: nothing is lost, it lands when there is space again',
    { skip: !isRoot && 'needs root to mount a small disk' },
    async (t) => {
      const own = await startStory(t)
      const blobs = join(own.home, 'blobs')
      await mkdir(blobs, { recursive: true, mode: 0o700 })
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k,mode=700', 'tmpfs', blobs])
      let mounted = true
      const unmount = (): void => {
        if (mounted) execFileSync('umount', ['-l', blobs])
        mounted = false
      }
      t.after(async () => unmount())
      const origin = await own.makeOrigin()
      const { job } = await own.client.submit({
        repository: origin,
        into: 'main',
        task: 'x',
        agent: 'command',
        command: ['sh', '-c', 'head -c 200000 /dev/urandom > big.bin'],
      })
      await own.reached(job, 'job.retry')
      const waiting = await own.client.readJob(job.id)
      assert.equal(waiting.cause, 'disk_full')
      assert.match(waiting.message ?? '', /No space is left on the disk of FLOWFORGE_HOME. Free some/)
      unmount()
      const ended = await own.settled(job)
      assert.equal(ended.state, 'succeeded', ended.message ?? '')
      assert.match(await git(origin, 'ls-tree', '-l', 'main', 'big.bin'), / 200000\t/)
    },
  )
})

describe('flowforge up says what is wrong with', { concurrency: 3 }, () => {
  const upWith = async (env: Readonly<Record<string, string>>): Promise<Said> => {
    const home = await mkdtemp(join(folder, 'home-'))
    await chmod(home, 0o755)
    return flowforge(['up'], {
      FLOWFORGE_HOME: home,
      FLOWFORGE_PORT: '0',
      FLOWFORGE_GATEWAY_PORT: '0',
      ...env,
    })
  }

  test('a database that is away, by address or by name', async () => {
    const port = await freePort()
    for (const host of ['127.0.0.1', 'localhost', 'no-such-host.invalid'])
      saysWhatToDo(
        await upWith({ FLOWFORGE_DATABASE_URL: `postgres://me:secret-word@${host}:${port}/flowforge` }),
        /The database cannot be reached: \w/,
      )
    const said = await upWith({
      FLOWFORGE_DATABASE_URL: `postgres://me:secret-word@127.0.0.1:${port}/flowforge`,
    })
    assert.ok(!said.stderr.includes('secret-word'), said.stderr)
  })

  test('settings: it names the key, the value and an example', async () => {
    saysWhatToDo(
      await upWith({ FLOWFORGE_PORT: 'abc' }),
      /FLOWFORGE_PORT=abc is not valid.*Example: FLOWFORGE_PORT=7420/s,
    )
    saysWhatToDo(
      await upWith({ FLOWFORGE_HOME: 'relative/path' }),
      /FLOWFORGE_HOME=relative\/path.*absolute/s,
    )
    saysWhatToDo(await upWith({ FLOWFORGE_MASTER_KEY: 'short' }), /master key cannot be used/)
  })

  test(
    'its home: a file, a full disk',
    { skip: !isRoot && 'needs root to mount a small disk' },
    async (t) => {
      const file = join(folder, 'file')
      await writeFile(file, '')
      saysWhatToDo(await upWith({ FLOWFORGE_HOME: file }), /The folder .*file cannot be used: /)
      saysWhatToDo(
        await upWith({ FLOWFORGE_HOME: join(file, 'below') }),
        /cannot be used: a part of its path is a file/,
      )
      const full = join(folder, 'full')
      await mkdir(full)
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=2m,mode=755', 'tmpfs', full])
      t.after(async () => void execFileSync('umount', ['-l', full]))
      saysWhatToDo(await upWith({ FLOWFORGE_HOME: full }), /No space|no space/)
    },
  )

  test('a machine without git', { skip: !isRoot && 'needs root to hide git' }, async () => {
    const home = await mkdtemp(join(folder, 'home-'))
    const hide =
      'for git in /usr/bin/git /usr/local/bin/git; do [ ! -e $git ] || mount --bind /dev/null "$(readlink -f $git)"; done; exec "$0" up'
    const said = await runToEnd('unshare', ['--mount', 'sh', '-c', hide, join(ROOT, 'bin/flowforge')], {
      FLOWFORGE_HOME: home,
    })
    saysWhatToDo(said, /git 2\.38 or newer is needed; none was found\. Install it: apt-get install git/)
  })

  test('an old Node, or none, where nothing is installed', async () => {
    const clone = join(folder, 'clone')
    await mkdir(join(clone, 'bin'), { recursive: true })
    await cp(join(ROOT, 'bin/flowforge'), join(clone, 'bin/flowforge'))
    const path = join(folder, 'path')
    await mkdir(path)
    for (const program of ['sh', 'dirname', 'readlink'])
      await symlink(`/usr/bin/${program}`, join(path, program))
    const start = (): Promise<Said> =>
      runToEnd('/bin/sh', [join(clone, 'bin/flowforge'), 'jobs'], { PATH: path })
    saysWhatToDo(await start(), /not installed yet. Run 'npm ci'/)
    await mkdir(join(clone, 'node_modules'))
    saysWhatToDo(await start(), /not installed yet. Run 'npm ci'/)
    await writeFile(join(path, 'node'), '#!/bin/sh\necho v20.20.2\n', { mode: 0o755 })
    saysWhatToDo(await start(), /needs Node 24 or newer; this is v20\.20\.2\. Run 'npm ci'/)
  })

  test('an API that is not there, and a key that is not good', async () => {
    const url = `http://127.0.0.1:${await freePort()}`
    saysWhatToDo(await flowforge(['jobs'], { FLOWFORGE_URL: url }), /flowforge up/, 69)
    saysWhatToDo(
      await flowforge(['jobs'], { FLOWFORGE_URL: story.running.apiUrl ?? '', FLOWFORGE_API_KEY: 'ff_wrong' }),
      /An API key is needed/,
    )
  })
})
