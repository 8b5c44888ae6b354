/** What goes over the wire besides the schemas of the rooms: the answers of the REST API, as zod. */
import { z } from 'zod'
import { executionSchema, jobEventSchema, jobQuerySchema, jobRequestSchema, jobSchema } from '#jobs'

export const jobAnswer = jobSchema.meta({ id: 'Job' })
export const eventAnswer = jobEventSchema.meta({ id: 'JobEvent' })
export const executionAnswer = executionSchema.meta({ id: 'JobExecution' })

export const submitBody = jobRequestSchema
export const submission = z
  .object({
    job: jobAnswer,
    warnings: z
      .array(z.string())
      .describe('What is probably not meant, for example a variable that looks like a secret.'),
  })
  .meta({ id: 'Submission' })
export const jobList = z
  .object({
    jobs: z.array(jobAnswer),
    nextBefore: z
      .int()
      .nullable()
      .describe('Give it as `before` to get the next page. Null on the last page.'),
  })
  .meta({ id: 'JobList' })
export const eventList = z.object({ events: z.array(eventAnswer) }).meta({ id: 'JobEventList' })
export const executionList = z
  .object({ executions: z.array(executionAnswer) })
  .meta({ id: 'JobExecutionList' })

export const jobParams = z.strictObject({
  job: z
    .string()
    .regex(
      /^(\d{1,15}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})$/,
      'a job is named by its number (12) or its id',
    )
    .describe('The number of the job (12) or its id.'),
})
export const listQuery = jobQuerySchema

const flag = (unless: 'true' | 'false') =>
  z
    .enum(['true', 'false'])
    .default(unless)
    .transform((word) => word === 'true')
const eventNumber = z.coerce.number().int().min(0).max(Number.MAX_SAFE_INTEGER)
export const eventsQuery = z.strictObject({
  after: eventNumber.optional().describe('Only events with a larger number.'),
  follow: flag('true').describe(
    'true: server-sent events until the job has ended. false: what there is now, as JSON.',
  ),
  limit: z.coerce
    .number()
    .int()
    .min(1)
    .max(1000)
    .default(500)
    .describe('With follow=false: at most this many.'),
})
export const eventsHeaders = z.object({
  'last-event-id': eventNumber
    .optional()
    .describe('Where a reader that lost its connection goes on. Wins over `after`.'),
})
export const logQuery = z.strictObject({
  after: eventNumber.default(0).describe('Only what came after the event of this number.'),
  follow: flag('false').describe('Keep the answer open until the job has ended.'),
})

export const tellBody = z.strictObject({
  text: z.string().min(1).max(100_000).describe('What the running agent is to hear.'),
})
export const approveBody = z.strictObject({
  commit: z
    .string()
    .regex(/^[0-9a-f]{7,64}$/, 'it must be a commit id')
    .optional()
    .describe('The commit that was looked at: if the job stands elsewhere by now, nothing is approved.'),
})
export const rejectBody = z.strictObject({ reason: z.string().min(1).max(10_000).optional() })

export const health = z.object({ status: z.literal('ok'), version: z.string() }).meta({ id: 'Health' })
