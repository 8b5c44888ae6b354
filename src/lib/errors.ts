/**
 * Every refusal FlowForge can answer with: its code, its HTTP status, its sentence.
 *
 * A refusal is an answer to a caller who can do something about it; the sentence says what.
 * The table feeds REST errors, CLI messages and docs/reference/errors.md.
 */
export const REFUSALS = {
  invalid_request: [400, 'The request is not valid: {problem}'],
  not_authenticated: [
    401,
    'An API key is needed. Send it as "Authorization: Bearer ff_…"; `flowforge up` made one in {where}.',
  ],
  not_permitted: [403, 'This key may not {action}. It needs the scope {scope}.'],
  origin_refused: [403, 'Requests from the web page {origin} are not taken: this API is called by programs.'],
  host_refused: [
    421,
    'This server does not answer for the name {host}. Use its address, or name it in FLOWFORGE_HOST_NAMES.',
  ],
  media_type: [415, 'A body of type {type} is not taken. Send it as application/json.'],
  body_too_large: [413, 'The body of the request is too large; at most {limit} bytes are taken.'],
  too_many_streams: [429, 'Too many readers follow jobs at this moment ({limit}). Try again soon.'],
  not_found: [404, 'There is no {what} {id}.'],
  job_not_found: [404, 'There is no job {id}. `flowforge jobs` lists them.'],
  repository_not_found: [404, 'There is no repository {name}. `flowforge repositories` lists them.'],
  invalid_transition: [409, 'Job {id} is {state}; it cannot be moved to {to}.'],
  already_landing: [409, 'Job {id} has begun to land as {commit}; it can no longer be cancelled.'],
  already_final: [409, 'Job {id} has already ended as {state}.'],
  not_running: [409, 'Job {id} is {state}, so nothing is there to hear the message.'],
  not_in_review: [409, 'Job {id} is {state}; only a job in needs_review can be approved or rejected.'],
  review_moved: [
    409,
    'Job {id} now stands at {actual}, not at {expected}. Look at it again: `flowforge show {id}`.',
  ],
  idempotency_conflict: [409, 'The idempotency key {key} was used for another request.'],
  repository_exists: [409, 'A repository named {name} exists already, with another address.'],
  task_too_large: [
    413,
    'The task has {bytes} bytes; at most {limit} are taken. Put long material into a file of the repository.',
  ],
  repository_address: [422, 'The repository address {address} is not taken: {problem}'],
  repository_unreachable: [422, 'Git could not read {address}: {problem}'],
  repository_empty: [
    422,
    'The repository {address} has no commits yet. Push a first commit, then submit again.',
  ],
  branch_missing: [422, 'The repository {address} has no branch {branch}. It has: {branches}.'],
  branch_name: [422, 'The branch name {branch} is not valid for git: {problem}'],
  variable_reserved: [422, 'The variable {name} is reserved: FlowForge sets it inside the sandbox.'],
  tool_missing: [422, 'The program {tool} is not on this machine, so the job cannot run. {remedy}'],
  model_unavailable: [
    422,
    'No model is configured, so a Claude job cannot run. Set ANTHROPIC_API_KEY for the gateway (a Claude subscription cannot be used), or start with `npm start` for the scripted model.',
  ],
  model_not_permitted: [403, 'The model {model} is not permitted for this job. Permitted: {models}.'],
  sandbox_unavailable: [
    503,
    'No sandbox can be opened on this host: {problem} `flowforge doctor` says what to do.',
  ],
  database_unavailable: [503, 'The database cannot be reached: {problem}'],
  database_set_up: [500, 'The database cannot be set up: {problem}'],
  port_taken: [
    500,
    'Port {port} is in use by another program. Set {variable} to a free port, or end that program.',
  ],
  home_in_use: [
    500,
    'Another FlowForge (process {pid}) runs on {home}. Stop it first, or set FLOWFORGE_HOME to another folder.',
  ],
  home_unusable: [500, 'The folder {home} cannot be used: {problem}'],
  config_invalid: [500, '{key}={value} is not valid: {problem} Example: {example}'],
  node_too_old: [
    500,
    'FlowForge needs Node {needed} or newer; this is {actual}. Run `npm ci`, which brings its own.',
  ],
  git_missing: [500, 'git {needed} or newer is needed; {problem} {remedy}'],
  master_key: [500, 'The master key cannot be used: {problem}'],
  internal: [500, 'FlowForge failed at this request (id {requestId}); the log has the cause.'],
} as const satisfies Record<string, readonly [status: number, sentence: string]>

export type RefusalCode = keyof typeof REFUSALS
type Blanks<S extends string> = S extends `${string}{${infer Name}}${infer Rest}`
  ? Name | Blanks<Rest>
  : never
/** The values that fill the blanks of a refusal's sentence. The compiler asks for each. */
export type Facts<C extends RefusalCode> = { readonly [K in Blanks<(typeof REFUSALS)[C][1]>]: string }

export class Refusal extends Error {
  override readonly name = 'Refusal'
  readonly code: RefusalCode
  readonly status: number
  readonly facts: Readonly<Record<string, string>>

  constructor(code: RefusalCode, facts: Readonly<Record<string, string>>, cause?: unknown) {
    const [status, sentence] = REFUSALS[code]
    super(
      sentence.replaceAll(/\{(\w+)\}/g, (_, name: string) => facts[name] ?? ''),
      { cause },
    )
    this.code = code
    this.status = status
    this.facts = facts
  }
}

/** Makes a refusal to be thrown: `throw refuse('job_not_found', { id })`. */
export function refuse<C extends RefusalCode>(code: C, facts: Facts<C>, cause?: unknown): Refusal {
  return new Refusal(code, facts, cause)
}
