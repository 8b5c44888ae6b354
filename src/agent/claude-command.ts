/** How Claude Code is called inside the sandbox: its command line and its environment, and why each part is there. */
import type { GuestCommand } from '#sandbox'
import { LOOPBACK_URL, throughLoopback } from './loopback-relay.ts'
import type { ModelRoute, Task } from './task.ts'

export const CLAUDE = '/opt/ff/claude'
/** Lies in /state: it survives with the checkpoints, so that another worker can resume the session. */
export const CLAUDE_CONFIG_DIR = '/state/claude'
export const MODEL_SOCKET = '/run/ff/model.sock'
/** The longest that a single Bash call may take; the watchdog waits longer than that while a tool runs. */
export const LONGEST_TOOL_MS = 600_000

/**
 * Tools that cannot work here: nobody is there to answer, the gateway refuses server-side fetches, no clock wakes a
 * job that has ended, and work in another work tree would not be collected.
 */
const DISALLOWED_TOOLS = [
  'AskUserQuestion',
  'WebFetch',
  'WebSearch',
  'CronCreate',
  'ScheduleWakeup',
  'EnterWorktree',
]

/** Given with --settings, which outranks everything in the repository and in the session's own folder. */
const SETTINGS = { disableAllHooks: true, enableAllProjectMcpServers: false }

const HOUSE_RULES = [
  'You run unattended as a FlowForge job in a sandbox; nobody can answer questions, so decide and go on.',
  'Work in /workspace. Leave your changes in the work tree or commit them on the current branch; FlowForge collects both.',
  'Do not push, do not switch branches, do not rewrite commits that were there before you. There is no network but what the sandbox allows.',
].join(' ')

export function claudeCommand(task: Task, route: ModelRoute = 'socket'): GuestCommand {
  const argv = argvFor(task)
  return {
    argv: route === 'socket' ? argv : throughLoopback(MODEL_SOCKET, argv),
    // Claude Code takes longer to start than the relay of the egress gate.
    network: 'background',
    // The job's variables first: they cannot replace what keeps the agent inside its lines.
    env: { ...task.variables, ...ENVIRONMENT, ...ROUTES[route], ...modelVariables(task.model) },
  }
}

function argvFor(task: Task): readonly string[] {
  return [
    CLAUDE,
    '-p',
    ...['--input-format', 'stream-json', '--output-format', 'stream-json'],
    '--verbose',
    '--include-partial-messages',
    '--replay-user-messages',
    task.resume === true ? '--resume' : '--session-id',
    task.sessionId,
    // The sandbox is the boundary, not a prompt that nobody would answer. Refused by Claude Code as root.
    ...['--permission-mode', 'bypassPermissions'],
    // Only the session's own folder: no hooks, env, apiKeyHelper, .mcp.json or CLAUDE.md of the repository. Without a
    // terminal there is no trust dialog, so all of these would run unasked.
    ...['--setting-sources', 'user'],
    '--strict-mcp-config',
    ...['--settings', JSON.stringify(SETTINGS)],
    ...['--disallowedTools', DISALLOWED_TOOLS.join(',')],
    ...['--append-system-prompt', systemPrompt(task)],
    ...(task.maxTurns === undefined ? [] : ['--max-turns', String(task.maxTurns)]),
    // One word, so that a name that begins with a dash is a name.
    ...(task.model === undefined ? [] : [`--model=${task.model}`]),
  ]
}

/** A job with a model of its own may call no other: its subagents and small side questions take the same. */
function modelVariables(model: string | undefined): Readonly<Record<string, string>> {
  if (model === undefined) return {}
  const isShort = !model.startsWith('claude-')
  return {
    CLAUDE_CODE_SUBAGENT_MODEL: model,
    // A short name is looked up in these, so it cannot be their value.
    ...(isShort ? {} : { ANTHROPIC_DEFAULT_HAIKU_MODEL: model }),
  }
}

const ROUTES: Readonly<Record<ModelRoute, Readonly<Record<string, string>>>> = {
  // Claude Code speaks to the socket itself, but only with an http address: with https it would do nothing but retry.
  socket: { ANTHROPIC_UNIX_SOCKET: MODEL_SOCKET, ANTHROPIC_BASE_URL: 'http://gateway.invalid' },
  loopback: { ANTHROPIC_UNIX_SOCKET: '', ANTHROPIC_BASE_URL: LOOPBACK_URL },
}

/**
 * Claude Code does not load CLAUDE.md with the settings above. It is given here instead, as it stands in the commit the
 * work begins from: what the agent writes into it during the run has no say in the next turn.
 */
function systemPrompt({ instructions }: Task): string {
  return instructions === undefined || instructions.trim() === ''
    ? HOUSE_RULES
    : `${HOUSE_RULES}\n\nThe repository's own instructions (CLAUDE.md):\n\n${instructions}`
}

const ENVIRONMENT: Readonly<Record<string, string>> = {
  CLAUDE_CONFIG_DIR,
  // Every child of the agent can read this, so it must be worth nothing. The socket is the job's identity.
  ANTHROPIC_AUTH_TOKEN: 'ff-placeholder',
  ANTHROPIC_API_KEY: '',
  DISABLE_AUTOUPDATER: '1',
  DISABLE_TELEMETRY: '1',
  DISABLE_ERROR_REPORTING: '1',
  CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1',
  CLAUDE_CODE_DISABLE_OFFICIAL_MARKETPLACE_AUTOINSTALL: '1',
  // Memory would be loaded whatever --setting-sources says, and must not travel from one job to the next.
  CLAUDE_CODE_DISABLE_AUTO_MEMORY: '1',
  // Background work would keep the process for up to ten minutes after its result.
  CLAUDE_CODE_DISABLE_BACKGROUND_TASKS: '1',
  CLAUDE_CODE_DISABLE_CRON: '1',
  CLAUDE_CODE_STARTUP_FAILURE_RESULTS: '1',
  // The gate waits out a restart of the gateway, so a few tries are enough: ten of them took three minutes.
  CLAUDE_CODE_MAX_RETRIES: '6',
  BASH_MAX_TIMEOUT_MS: String(LONGEST_TOOL_MS),
}
