/** Money before a call: which budgets stand above it, what it can cost at most, and whether they have that. */
import { boundOf, type Accounts, type Owner, type Price, type Standing } from '#costs'
import type { Clock } from '#lib/clock.ts'
import type { Log } from '#telemetry'
import type { Principal } from '#tenants'
import { crowded, overBudget, warningHeaders } from './budget-words.ts'
import { editTopNumber } from './edit-number.ts'
import { apiError, type ApiError } from './errors.ts'
import type { Metrics } from './metrics.ts'
import type { Call } from './policy.ts'
import { sizeOf } from './size.ts'

type Tools = {
  readonly accounts: Accounts
  readonly prices: readonly Price[]
  readonly metrics: Metrics
  readonly clock: Clock
  readonly log: Log
}

export type Spender = {
  readonly id: string
  readonly occurredAt: Date
  readonly owner: Owner
  readonly call: Call
  readonly body: Buffer
  /** What the ledger is to know of the call if this process dies. */
  readonly facts: Readonly<Record<string, unknown>>
  /** An upstream is open: what is granted is sent in the same turn. */
  readonly isSentAtOnce: boolean
  readonly signal: AbortSignal
}

export type Room =
  | {
      readonly kind: 'open'
      readonly body: Buffer
      /** Said to the client: name and value by turns. */
      readonly headers: readonly string[]
      /** Undefined: no hard budget, nothing is reserved. */
      readonly reservedNano: number | undefined
    }
  | { readonly kind: 'closed'; readonly error: ApiError }
  | { readonly kind: 'gone' }

/** With this much output a call is not cut so short that it must be made again. */
const COMFORTABLE_TOKENS = 16_384

export function ownerOf(principal: Principal): Owner {
  const { organizationId } = principal
  return principal.kind === 'job'
    ? {
        organizationId,
        jobId: principal.jobId,
        ...(principal.repositoryId === undefined ? {} : { repositoryId: principal.repositoryId }),
      }
    : {
        organizationId,
        apiKeyId: principal.keyId,
        ...(principal.userId === undefined ? {} : { userId: principal.userId }),
      }
}

/** Answers at once, without the database, for a call that no hard budget stands above. */
export async function makeRoom(
  { accounts, prices, metrics, clock, log }: Tools,
  spender: Spender,
): Promise<Room> {
  const { owner, body } = spender
  let standings: readonly Standing[]
  try {
    standings = accounts.book.knownAbove(owner) ?? (await accounts.book.above(owner))
  } catch (error) {
    log.warn({ error: String(error) }, 'gateway.budgets_unknown')
    return closed(apiError('unavailable', 'The budgets cannot be read just now.', { 'retry-after': '2' }))
  }
  const open = { kind: 'open', body, headers: warningHeaders(standings), reservedNano: undefined } as const
  if (!standings.some(({ hard }) => hard)) return open

  const sized = sizeOf(spender.call, body.length)
  if (sized.kind === 'boundless')
    return closed(
      apiError(
        'invalid_request_error',
        `Under a hard budget a call must have a limit to its cost, and this one has none: ${sized.why}.`,
      ),
    )
  const { fixedNano, nanoPerOutputToken } = boundOf(sized.size, spender.occurredAt, prices)
  const costOf = (tokens: number): number => fixedNano + tokens * nanoPerOutputToken
  const askedAt = performance.now()
  const reply = await accounts.reservations.reserve({
    ...{ id: spender.id, occurredAt: spender.occurredAt, owner, standings },
    wantedNano: costOf(sized.maxTokens),
    comfortableNano: costOf(Math.min(sized.maxTokens, Math.max(COMFORTABLE_TOKENS, sized.leastTokens))),
    leastNano: costOf(sized.leastTokens),
    isSentAtOnce: spender.isSentAtOnce,
    facts: spender.facts,
    signal: spender.signal,
  })
  metrics.reserved(performance.now() - askedAt, reply.kind)
  switch (reply.kind) {
    case 'gone':
      return reply
    case 'refused':
      return closed(overBudget(reply.standing, clock.now()))
    case 'crowded':
      return closed(crowded(reply.standing))
    case 'unavailable':
      return closed(
        apiError(
          'unavailable',
          'Money cannot be reserved just now, and a hard budget stands above this call.',
          {
            'retry-after': '2',
          },
        ),
      )
    case 'granted': {
      const tokens = Math.floor((reply.nano - fixedNano) / nanoPerOutputToken)
      if (tokens >= sized.maxTokens) return { ...open, reservedNano: reply.nano }
      const edited = editTopNumber(body, 'max_tokens', tokens)
      if (edited === undefined) {
        accounts.reservations.release(spender.id)
        throw new Error('a number that was read is not in the body')
      }
      metrics.lowered()
      log.info({ call: spender.id, from: sized.maxTokens, to: tokens }, 'gateway.max_tokens_lowered')
      const headers = [...open.headers, 'x-flowforge-max-tokens', String(tokens)]
      return { ...open, body: edited, headers, reservedNano: reply.nano }
    }
  }
}

function closed(error: ApiError): Room {
  return { kind: 'closed', error }
}
