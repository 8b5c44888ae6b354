import type { Principal } from '#tenants'
import type { Execution, Job, JobEvent, JobQuery, JobRequest } from './job.ts'

/** What the doors (API, command line) may ask of jobs. Every call checks the principal's scopes and sees its organization only. */
export type Jobs = {
  /** One transaction: repository, job row, first event, audit. `created` is false when the idempotency key was used before. */
  submit(principal: Principal, request: JobRequest): Promise<{ readonly job: Job; readonly created: boolean; readonly warnings: readonly string[] }>
  list(principal: Principal, query: JobQuery): Promise<{ readonly jobs: readonly Job[]; readonly nextBefore: number | null }>
  /** `name` is a number (12) or an id. */
  read(principal: Principal, name: string): Promise<Job>
  cancel(principal: Principal, name: string): Promise<Job>
  /** A paused job goes on; a failed or cancelled one is submitted again as a new job. */
  retry(principal: Principal, name: string): Promise<Job>
  tell(principal: Principal, name: string, text: string): Promise<void>
  approve(principal: Principal, name: string, options: { readonly commit?: string }): Promise<Job>
  reject(principal: Principal, name: string, options: { readonly reason?: string }): Promise<Job>
  /** Events after a number, oldest first. */
  events(principal: Principal, name: string, after: number, limit: number): Promise<readonly JobEvent[]>
  executions(principal: Principal, name: string): Promise<readonly Execution[]>
  /** The change as a unified diff: result against base, or the landed commit against what was there. */
  diff(principal: Principal, name: string): Promise<string>
}
