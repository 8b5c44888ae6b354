/** Errors in the shape of the Messages API: Claude Code and the SDKs read type, status and wording. */
import type { ServerResponse } from 'node:http'

/** Type, status, and whether a client may try again by itself. */
const ERRORS = {
  invalid_request_error: [400, false],
  authentication_error: [401, false],
  permission_error: [403, false],
  not_found_error: [404, false],
  request_too_large: [413, false],
  billing_error: [429, false],
  rate_limit_error: [429, true],
  api_error: [502, true],
  unavailable: [503, true],
  overloaded_error: [529, true],
} as const satisfies Record<string, readonly [status: number, retry: boolean]>

export type ErrorKind = keyof typeof ERRORS
export type ApiError = {
  readonly kind: ErrorKind
  readonly message: string
  readonly headers?: Readonly<Record<string, string>>
}

export function apiError(
  kind: ErrorKind,
  message: string,
  headers?: Readonly<Record<string, string>>,
): ApiError {
  return { kind, message, ...(headers === undefined ? {} : { headers }) }
}

export function sendError(
  response: ServerResponse,
  { kind, message, headers }: ApiError,
  requestId: string,
): void {
  if (response.headersSent || response.destroyed) return void response.destroy()
  const [status, retry] = ERRORS[kind]
  const type = kind === 'unavailable' ? 'api_error' : kind
  response.writeHead(status, {
    'content-type': 'application/json',
    'request-id': requestId,
    ...(retry ? {} : { 'x-should-retry': 'false' }),
    ...headers,
  })
  response.end(JSON.stringify({ type: 'error', error: { type, message }, request_id: requestId }))
}
