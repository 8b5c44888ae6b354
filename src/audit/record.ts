import type { Transaction } from '#db'
import { newId, type OrganizationId } from '#lib/ids.ts'

/** Who did it: a principal fits. The audit log keeps the name as it was, so that a renamed key does not rewrite the past. */
export type Actor = {
  readonly kind: string
  readonly organizationId: OrganizationId
  readonly name: string
}

export type AuditEntry = {
  readonly principal: Actor
  /** A verb of a room: job.cancel, key.mint, repository.register. */
  readonly action: string
  /** What it was done to: "job 12", "repository web". */
  readonly subject?: string
  /** Facts before and after. Never a secret. */
  readonly before?: Readonly<Record<string, unknown>>
  readonly after?: Readonly<Record<string, unknown>>
  readonly outcome: 'done' | 'refused'
  /** The caller's network address. */
  readonly address?: string
  readonly requestId?: string
}

/** Appends to the audit log in the caller's transaction: what is not recorded did not happen. */
export async function recordAudit(trx: Transaction, entry: AuditEntry): Promise<void> {
  await trx
    .insertInto('audit_logs')
    .values({
      id: newId(),
      organization_id: entry.principal.organizationId,
      actor: `${entry.principal.kind}:${entry.principal.name}`,
      action: entry.action,
      subject: entry.subject ?? null,
      before: entry.before ? JSON.stringify(entry.before) : null,
      after: entry.after ? JSON.stringify(entry.after) : null,
      outcome: entry.outcome,
      address: entry.address ?? null,
      request_id: entry.requestId ?? null,
    })
    .execute()
}
