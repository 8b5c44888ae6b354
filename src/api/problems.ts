/** Errors as RFC 9457 problem details. The code is for programs, the detail is a sentence for people. */
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { hasZodFastifySchemaValidationErrors } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { isOutage } from '#db'
import { REFUSALS, Refusal, refuse, type RefusalCode } from '#lib/errors.ts'

export const problemSchema = z
  .object({
    type: z.string().describe('Names the kind of error: urn:flowforge:problem: and the code.'),
    title: z.string(),
    status: z.int(),
    detail: z.string().describe('What is wrong and what to do, for people.'),
    code: z.string().describe('A stable word for programs: docs/reference/errors.md lists them.'),
    requestId: z.string(),
    facts: z.record(z.string(), z.string()).optional().describe('What fills the sentence, for programs.'),
  })
  .meta({ id: 'Problem' })
export type Problem = z.output<typeof problemSchema>

export const BODY_LIMIT_BYTES = 1_536 * 1024

/** Answers every error, also those thrown by Fastify itself. */
export function answerProblems(app: FastifyInstance): void {
  app.setErrorHandler<FastifyError>((error, request, reply) =>
    sendProblem(request, reply, toRefusal(error, request)),
  )
  app.setNotFoundHandler((request, reply) => {
    const path = request.url.split('?')[0] ?? ''
    sendProblem(
      request,
      reply,
      refuse('not_found', { what: 'route', id: `${request.method} ${path.slice(0, 200)}` }),
    )
  })
}

function sendProblem(request: FastifyRequest, reply: FastifyReply, refusal: Refusal): void {
  if (refusal.code === 'internal')
    request.log.error({ err: refusal.cause, route: request.routeOptions.url }, 'request.failed')
  if (refusal.status === 401) reply.header('www-authenticate', 'Bearer realm="flowforge"')
  void reply
    .code(refusal.status)
    .type('application/problem+json')
    .serializer(JSON.stringify)
    .send(toProblem(refusal, request.id))
}

export function toProblem(refusal: Refusal, requestId: string): Problem {
  return {
    type: `urn:flowforge:problem:${refusal.code}`,
    title: titleOf(refusal.code),
    status: refusal.status,
    detail: refusal.message,
    code: refusal.code,
    requestId,
    facts: refusal.facts,
  }
}

/** job_not_found reads "Job not found". */
export function titleOf(code: RefusalCode): string {
  const words = code.replaceAll('_', ' ')
  return words.charAt(0).toUpperCase() + words.slice(1)
}

function toRefusal(error: FastifyError | Refusal, request: FastifyRequest): Refusal {
  if (error instanceof Refusal) return error
  if (hasZodFastifySchemaValidationErrors(error)) {
    const where =
      { body: '', params: '', querystring: 'query ', headers: 'header ' }[
        error.validationContext ?? 'body'
      ] ?? ''
    const problem = error.validation.map((issue) => `${where}${describeIssue(issue)}`).join(' ')
    return refuse('invalid_request', { problem }, error)
  }
  switch (error.code) {
    case 'FST_ERR_CTP_INVALID_MEDIA_TYPE':
      return refuse('media_type', { type: request.headers['content-type']?.slice(0, 100) ?? 'none' }, error)
    case 'FST_ERR_CTP_BODY_TOO_LARGE':
      return refuse('body_too_large', { limit: String(BODY_LIMIT_BYTES) }, error)
    case 'FST_ERR_CTP_EMPTY_JSON_BODY':
    case 'FST_ERR_CTP_INVALID_JSON_BODY':
    case 'FST_ERR_CTP_INVALID_CONTENT_LENGTH':
      return refuse('invalid_request', { problem: error.message }, error)
  }
  if (error instanceof SyntaxError && error.statusCode === 400)
    return refuse('invalid_request', { problem: `the body is not JSON: ${error.message}` }, error)
  if (error.statusCode !== undefined && error.statusCode >= 400 && error.statusCode < 500)
    return refuse('invalid_request', { problem: error.message }, error)
  if (isOutage(error)) return refuse('database_unavailable', { problem: error.message }, error)
  return refuse('internal', { requestId: request.id }, error)
}

/** `instancePath` is /variables/2; people read "variables.2". */
function describeIssue(issue: { readonly instancePath: string; readonly message?: string }): string {
  const field = issue.instancePath.slice(1).replaceAll('/', '.')
  const message = (issue.message ?? 'is not valid').replace(/^Invalid input: /, '').replace(/\.?$/, '.')
  return field === '' ? message : `${field}: ${message}`
}

/** The error answers of a route, for OpenAPI. */
export const problemResponses = {
  default: {
    description: 'A problem (RFC 9457).',
    content: { 'application/problem+json': { schema: problemSchema } },
  },
} as const

export const REFUSAL_CODES = Object.keys(REFUSALS) as readonly RefusalCode[]
