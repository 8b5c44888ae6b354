/** What people tell a running agent: taken from the database in order, each once, and given to the agent as it comes. */
import { inOrganization, type Databases } from '#db'
import type { Log } from '#telemetry'
import type { Claim } from './claim.ts'

export type Inbox = {
  readonly messages: AsyncIterable<string>
  /** Looks for messages that were not delivered yet. */
  look(): Promise<void>
  close(): void
}

export function createInbox(databases: Databases, claim: Claim, log: Log): Inbox {
  const waiting: string[] = []
  let wake: (() => void) | undefined
  let closed = false

  async function* messages(): AsyncGenerator<string> {
    for (;;) {
      const next = waiting.shift()
      if (next !== undefined) yield next
      else if (closed) return
      else await new Promise<void>((resolve) => (wake = resolve))
    }
  }

  async function look(): Promise<void> {
    if (claim.phase !== 'run' || closed) return
    try {
      const rows = await inOrganization(databases, claim.key.organizationId, (trx) =>
        trx
          .updateTable('job_messages')
          .set({ delivered_at: new Date() })
          .where('job_id', '=', claim.key.id)
          .where('delivered_at', 'is', null)
          // Fenced: a worker that was thought dead must not take what its successor is to hear.
          .where((where) =>
            where.exists(
              where
                .selectFrom('jobs')
                .select('jobs.id')
                .where('jobs.id', '=', claim.key.id)
                .where('jobs.current_execution', '=', claim.executionId),
            ),
          )
          .returning(['text', 'created_at'])
          .execute(),
      )
      rows.sort((a, b) => a.created_at.getTime() - b.created_at.getTime())
      waiting.push(...rows.map(({ text }) => text))
      wake?.()
    } catch (error) {
      log.warn({ error: String(error) }, 'inbox.database-away')
    }
  }

  return {
    messages: messages(),
    look,
    close() {
      closed = true
      wake?.()
    },
  }
}
