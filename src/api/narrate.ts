/**
 * Events told to people: one line each, the same in the log, in `flowforge watch` and in docs/reference/events.md.
 * Readers ignore kinds they do not know; here such a kind is told with its facts.
 */
import { toPrintable, toPrintableLine } from '#lib/printable.ts'
import type { JobEvent } from '#jobs'

type Facts = Readonly<Record<string, unknown>>
type Kind = { readonly meaning: string; readonly facts: string; readonly tell: (facts: Facts) => string }

export const EVENT_KINDS: Readonly<Record<string, Kind>> = {
  'job.submitted': kind(
    'The job was accepted and waits for a place.',
    'by',
    (f) => `waits for a place${given(', submitted by ', f['by'])}`,
  ),
  'job.running': kind(
    'A worker has the job: a try begins.',
    'attempt, execution',
    (f) => `runs (try ${text(f['attempt'])})`,
  ),
  'job.merging': kind('The merge lane has the job.', 'attempt, execution', () => 'is in the merge lane'),
  'job.recovered': kind(
    'The worker died; another one goes on.',
    'phase, lost',
    (f) => `goes on after a lost worker (${text(f['phase'])})`,
  ),
  'job.result': kind(
    'The work came home as a commit.',
    'commit, base, summary',
    (f) => `came home as ${short(f['commit'])}${given(': ', f['summary'])}`,
  ),
  'job.retry': kind(
    'The same phase is tried again later.',
    'cause, message, delayMs',
    (f) => `is tried again in ${seconds(f['delayMs'])}: ${text(f['message'])}`,
  ),
  'job.paused': kind('The job waits for a person: `flowforge retry` lets it go on.', 'cause, message', (f) =>
    text(f['message']),
  ),
  'job.resumed': kind('A person let a paused job go on.', 'by', (f) => `goes on${given(', says ', f['by'])}`),
  'job.told': kind(
    'A person told the agent something; it is on its way.',
    'by, text',
    (f) => `${text(f['by'])} says: ${text(f['text'])}`,
  ),
  'job.needs_review': kind('A person must look: `flowforge review`.', 'cause, message, reasons', (f) =>
    text(f['message']),
  ),
  'job.approved': kind(
    'A person approved; the merge lane runs again.',
    'by, commit',
    (f) => `approved${given(' by ', f['by'])}`,
  ),
  'job.cancelling': kind(
    'Somebody asked to cancel; what runs is being ended.',
    'by',
    (f) => `is being cancelled${given(' by ', f['by'])}`,
  ),
  'job.succeeded': kind(
    'The work is on the target branch.',
    'commit, branch',
    (f) => `landed on ${text(f['branch'])} as ${short(f['commit'])}`,
  ),
  'job.failed': kind('The job ended without landing.', 'cause, message', (f) => text(f['message'])),
  'job.cancelled': kind('The job was cancelled.', 'message', (f) => text(f['message'])),
  'setup.started': kind('The set-up command runs.', 'command', (f) => text(f['command'])),
  'setup.ended': kind('The set-up command ended.', 'command, exitCode, output', (f) =>
    exit(f['exitCode'], f['output']),
  ),
  'setup.reused': kind(
    'What an earlier job set up is there already: the command does not run.',
    'key',
    () => 'is reused from an earlier job',
  ),
  'setup.kept': kind('What set-up made is kept for later jobs.', 'key', () => 'is kept for later jobs'),
  'sandbox.egress': kind(
    'The sandbox asked for something outside.',
    'verdict, target, method, reason',
    (f) => `${text(f['verdict'])} ${text(f['method'])} ${text(f['target'])}${given(': ', f['reason'])}`,
  ),
  'checkpoint.saved': kind('The work so far is kept.', 'commit', () => 'the work so far is kept'),
  'checkpoint.failed': kind('The work so far could not be kept; the agent goes on.', 'problem', (f) =>
    text(f['problem']),
  ),
  'run.collected': kind(
    'What the agent committed was verified and taken.',
    'commit, paths, files',
    (f) => `${text(f['files'])} files changed, ${short(f['commit'])}`,
  ),
  'check.started': kind('A check runs on the merged tree.', 'check', (f) => text(f['check'])),
  'check.ended': kind(
    'A check ended.',
    'check, exitCode, output',
    (f) => `${text(f['check'])}: ${exit(f['exitCode'], f['exitCode'] === 0 ? '' : f['output'])}`,
  ),
  'land.merged': kind(
    'The merge with the newest target is clean.',
    'target, commit',
    (f) => `merged with ${short(f['target'])} as ${short(f['commit'])}`,
  ),
  'land.conflicts': kind(
    'The merge has conflicts.',
    'target, paths, messages',
    (f) => `conflicts with ${short(f['target'])} in ${list(f['paths'])}`,
  ),
  'land.resolved': kind(
    'The conflict engine resolved a conflicted file, with proof.',
    'path, conflict, rung, reason, checks',
    (f) =>
      `resolved ${text(f['path'])} (${text(f['conflict'])}) by ${text(f['rung'])}: ${checksOf(f['checks'])}`,
  ),
  'land.declined': kind(
    'The conflict engine could not prove a file; a person decides.',
    'path, conflict, rung, reason, checks',
    (f) => `declined ${text(f['path'])} (${text(f['conflict'])}): ${text(f['reason'])}`,
  ),
  'land.written': kind(
    'The landing is written down; from here it is pushed, whatever dies.',
    'commit, branch, expectedOld',
    (f) => `pushes ${short(f['commit'])}`,
  ),
  'land.target_moved': kind(
    'Somebody else pushed meanwhile; the lane begins again.',
    'branch, absent',
    (f) => `${text(f['branch'])} moved meanwhile`,
  ),
  'land.branch_kept': kind(
    'The result is kept on a branch of its own.',
    'branch, commit',
    (f) => `kept on ${text(f['branch'])}`,
  ),
  'agent.started': kind(
    'The agent runs.',
    'sessionId, model, version',
    (f) => `started${given(' with ', f['model'])}`,
  ),
  'agent.text': kind('The agent says something.', 'text', (f) => text(f['text'])),
  'agent.thinking': kind('The agent thinks aloud.', 'text', (f) => text(f['text'])),
  'agent.tool': kind(
    'The agent uses a tool.',
    'tool, summary, toolUseId',
    (f) => `${text(f['tool'])}: ${text(f['summary'])}`,
  ),
  'agent.tool_result': kind(
    'The tool answered.',
    'toolUseId, isError, text',
    (f) => `${f['isError'] === true ? 'error: ' : ''}${text(f['text'])}`,
  ),
  'agent.retry': kind(
    'The model did not answer; the agent asks again.',
    'attempt, status, delayMs',
    (f) => `asks the model again in ${seconds(f['delayMs'])} (answer ${text(f['status'])})`,
  ),
  'agent.notice': kind('Something worth knowing about the agent.', 'text', (f) => text(f['text'])),
  'agent.output': kind('A command wrote something.', 'stream, text', (f) => text(f['text'])),
  'agent.heard': kind('A message of a person reached the agent.', 'text', (f) => text(f['text'])),
}

/** One line for people. Control characters of jobs are made visible, so it may go to a terminal. */
export function narrate(event: JobEvent): string {
  const known = EVENT_KINDS[event.kind]
  const line = known
    ? known.tell(event.facts)
    : Object.entries(event.facts)
        .map(([name, fact]) => `${name}=${text(fact)}`)
        .join(' ')
  return `${toPrintableLine(event.kind)} ${toPrintable(line).replaceAll('\n', '\n    ')}`.trimEnd()
}

function kind(meaning: string, facts: string, tell: Kind['tell']): Kind {
  return { meaning, facts, tell }
}

function text(fact: unknown): string {
  if (fact === undefined || fact === null) return ''
  return typeof fact === 'string' ? fact : JSON.stringify(fact)
}

function given(before: string, fact: unknown): string {
  return typeof fact === 'string' && fact !== '' ? `${before}${fact}` : ''
}

function list(fact: unknown): string {
  return Array.isArray(fact) ? fact.slice(0, 10).map(text).join(', ') : text(fact)
}

function exit(code: unknown, output: unknown): string {
  return `${code === 0 ? 'passed' : `ended with ${text(code)}`}${given('\n', typeof output === 'string' ? output.trimEnd() : '')}`
}

/** "syntax passed, security passed, semantics passed". */
function checksOf(fact: unknown): string {
  if (!Array.isArray(fact)) return ''
  return fact
    .map((check: Record<string, unknown>) => `${text(check['layer'])} ${text(check['outcome'])}`)
    .join(', ')
}

function short(fact: unknown): string {
  return text(fact).slice(0, 12)
}

function seconds(fact: unknown): string {
  return typeof fact === 'number' ? `${Math.ceil(fact / 1000)} s` : 'a while'
}
