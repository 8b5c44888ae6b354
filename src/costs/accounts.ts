/** What a gateway needs of this room, put together: the ledger, the book of budgets, reservations and their holder. */
import type { Databases, Listener } from '#db'
import { systemClock, type Clock } from '#lib/clock.ts'
import type { Log } from '#telemetry'
import { createBook, type Book } from './book.ts'
import { createHolder, type Holder } from './holder.ts'
import { createLedger, type Ledger } from './ledger.ts'
import { createSpool } from './spool.ts'
import { createReservations, type Reservations } from './reservations.ts'

export type Accounts = AsyncDisposable & {
  readonly ledger: Ledger
  readonly book: Book
  readonly reservations: Reservations
  readonly holder: Holder
}

export async function createAccounts(options: {
  readonly databases: Databases
  readonly listener: Pick<Listener, 'listen'>
  readonly log: Log
  readonly clock?: Clock
  /** Where calls are kept while the database is away; without one they are kept in memory. */
  readonly spoolFolder?: string
  /** How long a gateway that is not seen keeps its reservations. */
  readonly leaseMs?: number
  /** How long a call waits for money that calls under way hold. */
  readonly patienceMs?: number
}): Promise<Accounts> {
  const { databases, log, clock = systemClock } = options
  let reservations: Reservations | undefined
  const wake = (): void => reservations?.wake()
  const book = await createBook(databases, options.listener, clock, log)
  const ledger = createLedger(databases, log, {
    onWritten: (calls) => {
      for (const call of calls) book.add(call, call.nanoDollars)
      wake()
    },
    ...(options.spoolFolder === undefined ? {} : { spool: createSpool(options.spoolFolder, log) }),
  })
  const holder = await createHolder(databases, log, wake, options.leaseMs)
  reservations = createReservations({
    ...{ databases, book, clock, log, holderId: holder.id },
    ...(options.patienceMs === undefined ? {} : { patienceMs: options.patienceMs }),
  })
  const unheard = await options.listener.listen('flowforge_budgets', wake)
  return {
    ledger,
    book,
    reservations,
    holder,
    async [Symbol.asyncDispose]() {
      unheard()
      await reservations[Symbol.asyncDispose]()
      await ledger.close()
      await holder[Symbol.asyncDispose]()
      await book[Symbol.asyncDispose]()
    },
  }
}
