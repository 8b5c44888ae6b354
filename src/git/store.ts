import { inOrganization, type Databases } from '#db'
import { newId } from '#lib/ids.ts'
import type { GitOperation } from './operation.ts'

/** Settles when the row is written. */
export type GitRecorder = ((operation: GitOperation) => Promise<void>) & AsyncDisposable

/** Rows of one organization that come within this time share a transaction. */
const GATHER_MS = 15
const ROWS = 200

type Waiting = { readonly operation: GitOperation; readonly settle: (failure?: unknown) => void }

/** Writes git_operations. Disposing writes what waits. */
export function createGitRecorder(databases: Databases): GitRecorder {
  let waiting: Waiting[] = []
  let timer: NodeJS.Timeout | undefined
  let writing: Promise<void> = Promise.resolve()

  const flush = (): Promise<void> => {
    clearTimeout(timer)
    timer = undefined
    const batch = waiting
    waiting = []
    if (batch.length > 0) writing = Promise.all([writing, writeBatch(databases, batch)]).then(() => undefined)
    return writing
  }
  const record = (operation: GitOperation): Promise<void> => {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    waiting.push({ operation, settle: (failure) => (failure === undefined ? resolve() : reject(failure)) })
    if (waiting.length >= ROWS) void flush()
    else timer ??= setTimeout(() => void flush(), GATHER_MS)
    return promise
  }
  return Object.assign(record, { [Symbol.asyncDispose]: flush })
}

/** Never rejects: each row's own promise says how it went. */
async function writeBatch(databases: Databases, batch: readonly Waiting[]): Promise<void> {
  const organizations = Map.groupBy(batch, ({ operation }) => operation.organizationId)
  for (const [organizationId, rows] of organizations) {
    const failure = await inOrganization(databases, organizationId, async (trx) => {
      await trx
        .insertInto('git_operations')
        .values(rows.map(({ operation }) => rowOf(operation)))
        .execute()
    }).then(
      () => undefined,
      (error: unknown) => error ?? new Error('the row was not written'),
    )
    for (const { settle } of rows) settle(failure)
  }
}

function rowOf(operation: GitOperation) {
  return {
    occurred_at: operation.startedAt,
    id: newId(),
    organization_id: operation.organizationId,
    repository_id: operation.repositoryId,
    job_id: operation.jobId ?? null,
    execution_id: operation.executionId ?? null,
    operation: operation.operation,
    ref: operation.ref ?? null,
    before_commit: operation.before ?? null,
    after_commit: operation.after ?? null,
    outcome: operation.outcome,
    message: operation.message ?? null,
    duration_ms: operation.durationMs,
  }
}
