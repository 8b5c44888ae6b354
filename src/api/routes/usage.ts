import { z } from 'zod'
import { REPORT_KEYS, toUsd, usageReport, type UsageSums } from '#costs'
import { problemResponses } from '../problems.ts'
import type { App } from '../server.ts'
import type { ApiTools } from '../tools.ts'

const DAY_MS = 86_400_000
const time = z.iso.datetime({ offset: true }).or(z.iso.date())

const query = z.strictObject({
  by: z.enum(REPORT_KEYS).default('model'),
  since: time.optional().describe('A day or a time; 30 days ago by default.'),
  until: time.optional().describe('Up to but without this time; now by default.'),
})

const sums = {
  costUsd: z.string().describe('Every digit of it.'),
  calls: z.int(),
  inputTokens: z.int(),
  outputTokens: z.int(),
  cacheReadTokens: z.int(),
  cacheWriteTokens: z.int(),
  savedUsd: z.string().describe('What answers from the cache would have cost.'),
  estimatedUsd: z
    .string()
    .describe('The part of the cost that is not exact: broken off, or a model without a price.'),
  simulated: z.boolean().describe('Some of it was answered by the scripted model.'),
}
const usageAnswer = z
  .object({
    since: z.iso.datetime(),
    until: z.iso.datetime(),
    by: z.enum(REPORT_KEYS),
    ...sums,
    rows: z
      .array(
        z.object({
          key: z.string().nullable().describe('A model, an id or a day; null: it has none.'),
          ...sums,
        }),
      )
      .describe('The dearest first, at most 1000.'),
  })
  .meta({ id: 'UsageReport' })
export type UsageAnswer = z.output<typeof usageAnswer>
export type UsageQuery = z.input<typeof query>

/** What model calls cost, summed up from the ledger. */
export function usageRoutes(app: App, { databases }: ApiTools): void {
  app.get(
    '/usage',
    {
      schema: {
        operationId: 'readUsage',
        summary: 'Sum up what model calls cost',
        tags: ['costs'],
        querystring: query,
        response: { 200: usageAnswer, ...problemResponses },
      },
    },
    async ({ principal, query: { by, since, until } }) => {
      const end = until === undefined ? new Date() : new Date(until)
      const start = since === undefined ? new Date(end.getTime() - 30 * DAY_MS) : new Date(since)
      const report = await usageReport(databases, principal, { by, since: start, until: end })
      return {
        since: report.since.toISOString(),
        until: report.until.toISOString(),
        by: report.by,
        ...toAnswer(report.total),
        rows: report.rows.map((row) => ({ key: row.key, ...toAnswer(row) })),
      }
    },
  )
}

function toAnswer({ nanoDollars, savedNano, estimatedNano, ...sum }: UsageSums) {
  const { calls, inputTokens, outputTokens, cacheReadTokens, cacheWriteTokens, simulated } = sum
  return {
    ...{ calls, inputTokens, outputTokens, cacheReadTokens, cacheWriteTokens, simulated },
    costUsd: toUsd(nanoDollars),
    savedUsd: toUsd(savedNano),
    estimatedUsd: toUsd(estimatedNano),
  }
}
