import type { ExecutionId, JobId, OrganizationId, RepositoryId } from '#lib/ids.ts'

export type OperationName =
  | 'fetch'
  | 'fetch-branch'
  | 'write-input'
  | 'collect'
  | 'merge'
  | 'commit-merge'
  | 'keep'
  | 'write-bundle'
  | 'restore-bundle'
  | 'push'
  | 'remote-contains'

/** One thing git did, as a row of git_operations. */
export type GitOperation = {
  readonly organizationId: OrganizationId
  readonly repositoryId: RepositoryId
  readonly jobId?: JobId
  readonly executionId?: ExecutionId
  readonly operation: OperationName
  readonly ref?: string
  readonly before?: string
  readonly after?: string
  /** The kind of the outcome; `done` for operations that have one only, `failed` when it threw. */
  readonly outcome: string
  readonly message?: string
  readonly startedAt: Date
  readonly durationMs: number
}
