/** The real Claude Code, in a real sandbox, through the model gate, against the scripted model. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, test, type TestContext } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { scriptedTask, startScriptedModel, type ScriptInput } from '#demo'
import { newId } from '#lib/ids.ts'
import { Secret } from '#lib/secret.ts'
import {
  createLocalSandboxes,
  DEFAULT_LIMITS,
  findClaude,
  type Sandbox,
  type SandboxLimits,
  type Sandboxes,
} from '#sandbox'
import { createLog } from '#telemetry'
import {
  createModelGate,
  restoreState,
  runCommand,
  runTask,
  saveState,
  type AgentEvent,
  type Task,
  type TaskOutcome,
  type Watchdog,
} from './index.ts'

const claudeBinary = findClaude()
const skip = claudeBinary === undefined ? 'the Claude Code binary is not installed' : false
const log = createLog({ FLOWFORGE_LOG_LEVEL: 'silent' }, 'test')
const allowWeaker = [
  'memoryLimit',
  'processLimit',
  'cpuLimit',
  'diskLimit',
  'inodeLimit',
  'ownUserPerSandbox',
]
const home = makeHome()
const model = await startScriptedModel()
const sandboxes = await createLocalSandboxes({ home, allowWeaker, ...(claudeBinary ? { claudeBinary } : {}) })
after(async () => {
  await sandboxes[Symbol.asyncDispose]()
  await model.close()
  rmSync(home, { recursive: true, force: true })
})

function makeHome(): string {
  const folder = mkdtempSync('/tmp/ff-agent-')
  chmodSync(folder, 0o755)
  return folder
}

async function open(
  t: TestContext,
  limits: Partial<SandboxLimits> = {},
  from: Sandboxes = sandboxes,
  gatewayUrl = model.url,
): Promise<Sandbox> {
  const spec = {
    id: newId(),
    limits: { ...DEFAULT_LIMITS, diskBytes: 512 * 1024 ** 2, inodes: 20_000, ...limits },
    egress: { allow: [] },
    toolchains: [],
    seccomp: 'default',
  } as const
  const gate = createModelGate({ gatewayUrl, token: new Secret('job-token'), log, patienceMs: 2000 })
  const sandbox = await from.open(spec, { model: gate }, new AbortController().signal)
  t.after(() => sandbox[Symbol.asyncDispose]())
  return sandbox
}

type Run = {
  readonly task?: Partial<Task>
  readonly messages?: AsyncIterable<string>
  readonly watchdog?: Partial<Watchdog>
  readonly signal?: AbortSignal
  readonly onEvent?: (event: AgentEvent) => void
  readonly modelRoute?: 'socket' | 'loopback'
}

async function run(sandbox: Sandbox, script: ScriptInput, options: Run = {}) {
  const events: AgentEvent[] = []
  const outcome = await runTask(
    { text: scriptedTask('Do it.', script), sessionId: crypto.randomUUID(), variables: {}, ...options.task },
    {
      sandbox,
      onEvent: (event) => {
        events.push(event)
        options.onEvent?.(event)
      },
      messages: options.messages ?? silence(),
      ...(options.modelRoute ? { modelRoute: options.modelRoute } : {}),
      ...(options.watchdog ? { watchdog: options.watchdog } : {}),
    },
    options.signal ?? new AbortController().signal,
  )
  return { outcome, events }
}

/** Nobody says anything, and the iteration never ends by itself: as with a worker's. */
async function* silence(): AsyncGenerator<string> {
  yield* await new Promise<string[]>(() => undefined)
}

const bash = (command: string) => ({ name: 'Bash', input: { command } })
const textOf = (events: readonly AgentEvent[], kind: AgentEvent['kind']): string =>
  events
    .filter((event) => event.kind === kind)
    .map((event) => ('text' in event ? event.text : ''))
    .join('\n')
const causeOf = (outcome: TaskOutcome): string =>
  [
    'cause' in outcome ? `${outcome.kind} ${outcome.cause}` : outcome.kind,
    'message' in outcome ? outcome.message : '',
  ].join(': ')

async function read(sandbox: Sandbox, command: string): Promise<string> {
  const { stdout, stderr } = await sandbox.run({ argv: ['/bin/sh', '-c', command] })
  return stdout.toString() + stderr.toString()
}

test('a task is done, and told as it goes', { skip }, async (t) => {
  const sandbox = await open(t)
  const write = { name: 'Write', input: { file_path: '/workspace/hello.txt', content: 'hello\n' } }
  const { outcome, events } = await run(sandbox, {
    turns: [
      { thinking: 'A file.', text: 'I write it.', tools: [write] },
      { tools: [bash('cat hello.txt; id -u')] },
      { text: 'Done.' },
    ],
  })
  assert.equal(outcome.kind, 'done', causeOf(outcome))
  assert.equal(outcome.kind === 'done' && outcome.summary, 'Done.')
  assert.deepEqual(
    events.map((event) => event.kind),
    [
      'agent.started',
      'agent.thinking',
      'agent.text',
      'agent.tool',
      'agent.tool_result',
      'agent.tool',
      'agent.tool_result',
      'agent.text',
    ],
  )
  assert.match(textOf(events, 'agent.tool_result'), /hello\n1000/)
  assert.equal(await read(sandbox, 'cat hello.txt'), 'hello\n')
  assert.ok('usage' in outcome && outcome.usage && outcome.usage.estimatedNanoDollars > 0)
  assert.equal(model.requests.at(-1)?.headers.authorization, 'Bearer job-token')
})

test('the model is reached by the loopback relay as well', { skip }, async (t) => {
  const { outcome } = await run(
    await open(t),
    { turns: [{ tools: [bash('true')] }, { text: 'By relay.' }] },
    { modelRoute: 'loopback', task: { model: 'claude-sonnet-5-5' } },
  )
  assert.equal(outcome.kind === 'done' && outcome.summary, 'By relay.', causeOf(outcome))
  assert.equal(JSON.parse(model.requests.at(-1)?.body ?? '{}').model, 'claude-sonnet-5-5')
})

test('T1: the sandbox holds no credential but a word that opens nothing', { skip }, async (t) => {
  const look =
    'env; cat /proc/*/environ /proc/*/cmdline 2>/dev/null | tr "\\0" "\\n"; find / -xdev -name "*.sock" 2>/dev/null; cat ~/.claude* /state/claude/.claude.json 2>/dev/null'
  const { events } = await run(await open(t), { turns: [{ tools: [bash(look)] }, { text: 'x' }] })
  const seen = textOf(events, 'agent.tool_result')
  assert.match(seen, /ff-placeholder/)
  assert.doesNotMatch(seen, /job-token|sk-ant|ffj_/)
})

test('T19: nothing that a repository brings for Claude Code is run or believed', { skip }, async (t) => {
  const sandbox = await open(t)
  const trap = (name: string): string => `touch /workspace/TRAPPED-${name}`
  const hook = (name: string) => [{ matcher: '*', hooks: [{ type: 'command', command: trap(name) }] }]
  const settings = {
    hooks: Object.fromEntries(
      ['SessionStart', 'UserPromptSubmit', 'PreToolUse', 'PostToolUse', 'Stop', 'SessionEnd'].map((name) => [
        name,
        hook(name),
      ]),
    ),
    env: { ANTHROPIC_BASE_URL: 'http://127.0.0.1:9', ANTHROPIC_UNIX_SOCKET: '', TRAPPED_ENV: 'yes' },
    apiKeyHelper: trap('apiKeyHelper'),
    awsAuthRefresh: trap('awsAuthRefresh'),
    awsCredentialExport: trap('awsCredentialExport'),
    otelHeadersHelper: trap('otelHeadersHelper'),
    statusLine: { type: 'command', command: trap('statusLine') },
    permissions: { defaultMode: 'plan', deny: ['Bash'] },
    enableAllProjectMcpServers: true,
    enabledMcpjsonServers: ['trap'],
    model: 'claude-trap-1',
  }
  const files: Record<string, string> = {
    '.claude/settings.json': JSON.stringify(settings),
    '.claude/settings.local.json': JSON.stringify(settings),
    '.mcp.json': JSON.stringify({ mcpServers: { trap: { command: '/bin/sh', args: ['-c', trap('mcp')] } } }),
    '.claude/skills/trap/SKILL.md': `---\nname: trap\ndescription: always\nallowed-tools: Bash\n---\n!\`${trap('skill')}\``,
    '.claude/commands/trap.md': `!\`${trap('command')}\``,
    '.claude/agents/trap.md': '---\nname: trap\ndescription: TRAPPED-AGENT\n---\nx',
    'CLAUDE.md': 'TRAPPED-MEMORY',
  }
  for (const [path, text] of Object.entries(files)) {
    const file = join(home, 'hostile')
    writeFileSync(file, text)
    await sandbox.put(file, 'hostile')
    await read(sandbox, `mkdir -p "$(dirname ${path})" && cp /exchange/in/hostile ${path}`)
  }
  const before = model.requests.length
  const { outcome, events } = await run(sandbox, {
    turns: [{ tools: [bash('echo "env:$TRAPPED_ENV"')] }, { text: 'Done.' }],
  })
  assert.equal(outcome.kind, 'done', causeOf(outcome))
  assert.match(textOf(events, 'agent.tool_result'), /^env:$/m)
  assert.doesNotMatch(await read(sandbox, 'ls -a /workspace'), /TRAPPED/)
  const asked = model.requests
    .slice(before)
    .map(({ body }) => body)
    .join('\n')
  assert.doesNotMatch(asked, /TRAPPED-AGENT|TRAPPED-MEMORY|claude-trap-1/)
})

test(
  'T22: Claude Code does not run as root without a sandbox',
  { skip: skip || (process.getuid?.() !== 0 && 'needs root') },
  async (t) => {
    const folder = mkdtempSync('/tmp/ff-agent-root-')
    t.after(() => rmSync(folder, { recursive: true }))
    const { stdout, status } = spawnSync(
      claudeBinary!,
      ['-p', 'x', '--output-format', 'stream-json', '--verbose', '--permission-mode', 'bypassPermissions'],
      {
        env: { HOME: folder, PATH: '/usr/bin:/bin', CLAUDE_CODE_STARTUP_FAILURE_RESULTS: '1' },
        cwd: folder,
        input: '',
      },
    )
    assert.notEqual(status, 0)
    assert.match(stdout.toString(), /bypass_root/)
  },
)

test('a person is heard while the agent works', { skip }, async (t) => {
  const working = Promise.withResolvers<void>()
  async function* messages(): AsyncGenerator<string> {
    await working.promise
    yield 'Use tabs.'
    yield* silence()
  }
  const { outcome, events } = await run(
    await open(t),
    { turns: [{ tools: [bash('sleep 2')] }, { text: 'You said: {{heard}}' }] },
    { messages: messages(), onEvent: (event) => event.kind === 'agent.tool' && working.resolve() },
  )
  assert.equal(outcome.kind === 'done' && outcome.summary, 'You said: Use tabs.')
  assert.equal(textOf(events, 'agent.heard'), 'Use tabs.')
})

test('a cancelled agent ends at once, with what it started', { skip }, async (t) => {
  const sandbox = await open(t)
  const cancel = new AbortController()
  let cancelledAt = 0
  const { outcome } = await run(
    sandbox,
    { turns: [{ tools: [bash('setsid sleep 300 & sleep 300')] }, { text: 'x' }] },
    {
      signal: cancel.signal,
      onEvent: (event) => {
        if (event.kind !== 'agent.tool') return
        setTimeout(() => {
          cancelledAt = Date.now()
          cancel.abort()
        }, 300)
      },
    },
  )
  assert.deepEqual(outcome, { kind: 'cancelled' })
  assert.ok(Date.now() - cancelledAt < 4000, `${Date.now() - cancelledAt} ms`)
  assert.doesNotMatch(await read(sandbox, 'cat /proc/[0-9]*/cmdline | tr "\\0" " "'), /sleep 300/)
})

test('a model that falls silent is found by the watchdog', { skip }, async (t) => {
  const { outcome } = await run(
    await open(t),
    { turns: [{ text: 'x', hangMs: 60_000 }] },
    { watchdog: { silenceMs: 1500, graceMs: 500 } },
  )
  assert.equal(outcome.kind, 'hung')
})

const endings: readonly (readonly [string, ScriptInput['turns'][number], RegExp])[] = [
  [
    'a refusal for money pauses',
    {
      status: 429,
      always: true,
      errorType: 'billing_error',
      errorMessage: 'Used up.',
      errorHeaders: { 'x-should-retry': 'false' },
    },
    /^over-budget: .*Used up/,
  ],
  [
    'a model that is not permitted fails',
    { status: 403, always: true, errorMessage: 'Not for you.' },
    /^failed not-permitted: .*Not for you/,
  ],
  ['an overloaded model is worth another try', { status: 529, always: true }, /^interrupted gateway/],
  ['a bad request fails', { status: 400, always: true, errorMessage: 'Odd.' }, /^failed api-error: .*Odd/],
]
for (const [what, turn, expected] of endings)
  test(what, { skip }, async (t) => {
    const { outcome } = await run(await open(t), { turns: [turn] })
    assert.match(causeOf(outcome), expected)
  })

test('errors that pass are overcome', { skip }, async (t) => {
  const { outcome, events } = await run(await open(t), {
    turns: [
      { status: 503, tools: [bash('true')] },
      { cut: true, text: 'Done.' },
    ],
  })
  assert.equal(outcome.kind, 'done', causeOf(outcome))
  assert.ok(events.some((event) => event.kind === 'agent.retry'))
})

test('too many turns fail with that cause', { skip }, async (t) => {
  const turns = Array.from({ length: 9 }, () => ({ tools: [bash('true')] }))
  const { outcome } = await run(await open(t), { turns }, { task: { maxTurns: 2 } })
  assert.match(causeOf(outcome), /^failed max-turns/)
})

test('a gateway that stays away is told apart from a failure of the agent', { skip }, async (t) => {
  const sandbox = await open(t, {}, sandboxes, 'http://127.0.0.1:1')
  assert.match(causeOf((await run(sandbox, { turns: [{ text: 'x' }] })).outcome), /^interrupted gateway/)
})

test(
  'an agent that eats the memory is told so',
  { skip: skip || (!sandboxes.guarantees.memoryLimit && 'no memory limit here') },
  async (t) => {
    const sandbox = await open(t, { memoryBytes: 48 * 1024 ** 2 })
    const { outcome } = await run(sandbox, { turns: [{ text: 'x' }] })
    assert.match(causeOf(outcome), /^interrupted out-of-memory/)
  },
)

test(
  'an agent whose disk is full is told so',
  { skip: skip || (sandboxes.guarantees.diskLimit !== 'hard' && 'no hard disk limit here') },
  async (t) => {
    const sandbox = await open(t, { diskBytes: 32 * 1024 ** 2 })
    const fill = 'head -c 100M /dev/zero > /workspace/fill; echo filled'
    const { outcome, events } = await run(sandbox, {
      turns: [{ tools: [bash(fill)] }, { tools: [bash('echo more')] }, { text: 'Done.' }],
    })
    assert.match(textOf(events, 'agent.tool_result'), /No space left/)
    assert.ok(['done', 'failed'].includes(outcome.kind), causeOf(outcome))
    if (outcome.kind === 'failed') assert.equal(outcome.cause, 'disk-full')
  },
)

test('a task that begins with a slash is a task, not a command of Claude Code', { skip }, async (t) => {
  const text = `/clear ${scriptedTask('', { turns: [{ text: 'Heard as it stands.' }] })}`
  const { outcome } = await run(await open(t), { turns: [] }, { task: { text } })
  assert.equal(outcome.kind === 'done' && outcome.summary, 'Heard as it stands.')
})

test('a session goes on in another sandbox where it was cut off', { skip }, async (t) => {
  const first = await open(t)
  const script: ScriptInput = {
    turns: [
      { tools: [bash('echo one >> log.txt')] },
      { tools: [bash('echo two >> log.txt; sleep 300')] },
      { tools: [bash('echo three >> log.txt')] },
      { text: 'All done.' },
    ],
  }
  const sessionId = crypto.randomUUID()
  const cut = new AbortController()
  let tools = 0
  await run(first, script, {
    task: { sessionId },
    signal: cut.signal,
    onEvent: (event) => {
      if (event.kind === 'agent.tool' && ++tools === 2) setTimeout(() => cut.abort(), 500)
    },
  })
  const file = join(home, `${sessionId}.tar.gz`)
  assert.equal(await saveState(first, file), 'saved')

  const second = await open(t)
  await restoreState(second, file)
  const { outcome, events } = await run(second, script, {
    task: { sessionId, resume: true, text: 'not used' },
  })
  assert.equal(outcome.kind === 'done' && outcome.summary, 'All done.', causeOf(outcome))
  assert.ok(!textOf(events, 'agent.notice').includes('begins anew'))
  assert.match(await read(second, 'cat log.txt'), /three\n$/)
  assert.doesNotMatch(await read(second, 'cat log.txt'), /one/)
})

test('a session that cannot be found begins anew', { skip }, async (t) => {
  const sandbox = await open(t)
  assert.equal(await saveState(sandbox, join(home, 'none.tar.gz')), 'absent')
  const { outcome, events } = await run(sandbox, { turns: [{ text: 'Anew.' }] }, { task: { resume: true } })
  assert.equal(outcome.kind === 'done' && outcome.summary, 'Anew.', causeOf(outcome))
  assert.match(textOf(events, 'agent.notice'), /begins anew/)
})

/** Programs in Claude Code's place that misbehave as it is known to: what is tested is who watches it. */
const stubborn = 'trap "" INT TERM; while :; do sleep 1; done'
const result = '{"type":"result","subtype":"success","is_error":false,"result":"Told."}'
const misbehaving: readonly (readonly [string, string, RegExp])[] = [
  ['does not end after its result', `read task; echo '${result}'; ${stubborn}`, /^done/],
  ['says nothing and hears no signal', stubborn, /^hung/],
  ['dies of a signal', 'kill -KILL $$', /^interrupted sandbox/],
  [
    'writes nonsense and ends',
    'head -c 3000000 /dev/zero; echo; echo "no json"; echo oops >&2; exit 3',
    /^failed exit: .*code 3.*oops/,
  ],
]
for (const [what, program, expected] of misbehaving)
  test(`an agent that ${what} is ended and told apart`, async (t) => {
    const folder = makeHome()
    const path = join(folder, 'fake-claude')
    writeFileSync(path, `#!/bin/sh\n${program}\n`, { mode: 0o755 })
    const own = await createLocalSandboxes({ home: folder, claudeBinary: path, allowWeaker })
    t.after(async () => {
      await own[Symbol.asyncDispose]()
      rmSync(folder, { recursive: true, force: true })
    })
    const started = Date.now()
    const { outcome } = await run(
      await open(t, {}, own),
      { turns: [] },
      { watchdog: { silenceMs: 800, afterResultMs: 300, graceMs: 300 } },
    )
    assert.match(causeOf(outcome), expected)
    assert.ok(Date.now() - started < 8000)
  })

async function command(
  sandbox: Sandbox,
  line: string,
  signal = new AbortController().signal,
  text = 'The task.',
) {
  const events: AgentEvent[] = []
  const outcome = await runCommand(
    ['/bin/sh', '-c', line],
    { text, sessionId: '', variables: { GREETING: 'hi' } },
    { sandbox, onEvent: (event) => events.push(event), messages: silence() },
    signal,
  )
  return { outcome, events, output: textOf(events, 'agent.output') }
}

test('any program can be the agent: it gets the task, its output is kept, its exit code counts', async (t) => {
  const sandbox = await open(t)
  const good = await command(sandbox, 'cat; echo; echo "$GREETING $FLOWFORGE_TASK"; echo err >&2; echo last')
  assert.deepEqual(good.outcome, { kind: 'done', summary: 'last' })
  assert.match(good.output, /The task\.\nhi The task\.\n/)
  assert.match(good.output, /err/)
  assert.match(causeOf((await command(sandbox, 'exit 7')).outcome), /^failed exit: .*code 7/)
  const flood = await command(sandbox, 'yes 0123456789 | head -c 20000000')
  assert.ok(flood.output.length < 5_000_000)
  assert.match(textOf(flood.events, 'agent.notice'), /bytes of output were not kept/)
})

test('a long task in any script fits into the environment, and is whole on standard input', async (t) => {
  const sizes = await command(
    await open(t),
    'wc -c; printf %s "$FLOWFORGE_TASK" | wc -c',
    undefined,
    '漢'.repeat(85_000),
  )
  assert.equal(sizes.output, '255000\n120000\n')
})

test('a program is ended when its job is', async (t) => {
  const stop = new AbortController()
  void sleep(300).then(() => stop.abort())
  const started = Date.now()
  assert.deepEqual((await command(await open(t), 'sleep 300', stop.signal)).outcome, { kind: 'cancelled' })
  assert.ok(Date.now() - started < 3000)
})
