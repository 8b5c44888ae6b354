/**
 * What a call may ask of the model's side. A sandbox has no network; a request that makes the upstream fetch an address
 * or send data somewhere would be one. The policy is data, the check is one walk over the body.
 */
import { z } from 'zod'
import type { Principal } from '#tenants'
import { apiError, type ApiError } from './errors.ts'

export type CallPolicy = {
  /** Model ids or the short names opus, sonnet, haiku, fable. Empty: any. */
  readonly models: readonly string[]
  /** Tools that run at the model's side: web search and fetch, code execution, remote MCP servers. */
  readonly serverTools: boolean
  /** Images and documents that the upstream would fetch by address, or take from its file store. */
  readonly remoteSources: boolean
}

export function policyFor(principal: Principal): CallPolicy {
  switch (principal.kind) {
    case 'job':
      return { models: principal.models, serverTools: false, remoteSources: false }
    case 'key':
      return { models: [], serverTools: true, remoteSources: true }
  }
}

/** Only these may be called: they are what Claude Code needs, and what the meter understands. */
export const ENDPOINTS: Readonly<Record<string, 'POST' | 'GET'>> = {
  '/v1/messages': 'POST',
  '/v1/messages/count_tokens': 'POST',
  '/v1/models': 'GET',
}

export const callSchema = z.looseObject({
  model: z.string().min(1).max(200),
  stream: z.boolean().optional(),
})
export type Call = z.output<typeof callSchema>

/** Answers the refusal, or undefined when the call may pass. */
export function checkCall(call: Call, policy: CallPolicy): ApiError | undefined {
  for (const model of [call.model, ...modelsWithin(call)])
    if (!isPermitted(model, policy.models))
      return apiError(
        'permission_error',
        `The model ${model} is not permitted for this job. Permitted: ${policy.models.join(', ')}.`,
      )
  if (!policy.serverTools) {
    for (const key of ['mcp_servers', 'container']) if (!isEmpty(call[key])) return refused(`"${key}"`)
    for (const type of toolTypes(call['tools']))
      if (!LOCAL_TOOL.test(type)) return refused(`a tool of type ${type.slice(0, 100)}`)
  }
  const found = findForbidden([call['messages'], call['system']], policy)
  return found === undefined ? undefined : refused(found)
}

function refused(what: string): ApiError {
  return apiError(
    'permission_error',
    `This job may not use ${what}: it would reach out of the sandbox by way of the model's side.`,
  )
}

/** Tools that the client runs itself, or that only rearrange the request. What is not known here is refused. */
const LOCAL_TOOL = /^(custom|(bash|text_editor|memory|computer|browser_toolset|tool_search_tool\w*)_\d{8})$/
const SERVER_TOOL = /^(web_search|web_fetch|code_execution|advisor)_\d{8}$|^mcp_/

function toolTypes(tools: unknown): readonly string[] {
  if (!Array.isArray(tools)) return []
  return tools.map((tool: unknown) => {
    const type = isObject(tool) ? (tool['type'] ?? 'custom') : 'unreadable'
    return typeof type === 'string' ? type : 'unreadable'
  })
}

/** Models that would answer besides the main one: fallbacks, and an advisor among the tools. */
function modelsWithin(call: Call): readonly string[] {
  return [call['fallbacks'], call['tools']]
    .flatMap((list) => (Array.isArray(list) ? list : []))
    .map((one: unknown) => (isObject(one) ? one['model'] : undefined))
    .filter((model) => typeof model === 'string')
}

function isPermitted(model: string, permitted: readonly string[]): boolean {
  const name = plainName(model)
  return (
    permitted.length === 0 ||
    permitted.some((one) => {
      const allowed = plainName(one)
      return allowed === name || (SHORT_NAMES.has(allowed) && name.startsWith(`claude-${allowed}-`))
    })
  )
}

const SHORT_NAMES = new Set(['opus', 'sonnet', 'haiku', 'fable'])

/** Without the mark of a longer context and the date of a snapshot. */
function plainName(model: string): string {
  return model.replace(/\[1m\]$/, '').replace(/-20\d{6}$/, '')
}

/**
 * Walks over messages and system for blocks that reach out, wherever they hide. What a tool was called with is left
 * out: that is the agent's own data, which the upstream hands back and never acts on.
 */
function findForbidden(roots: readonly unknown[], policy: CallPolicy): string | undefined {
  const left: unknown[] = [...roots]
  while (left.length > 0) {
    const value = left.pop()
    if (Array.isArray(value)) for (const part of value) left.push(part)
    else if (isObject(value)) {
      const { type } = value
      if (!policy.remoteSources && (type === 'url' || type === 'file' || type === 'container_upload'))
        return `a source of type "${type}"`
      if (!policy.remoteSources && value['file_id'] !== undefined) return 'a "file_id"'
      if (!policy.serverTools && typeof type === 'string' && SERVER_TOOL.test(type)) return `"${type}"`
      for (const [key, part] of Object.entries(value))
        if (typeof part === 'object' && !(key === 'input' && type === 'tool_use')) left.push(part)
    }
  }
  return undefined
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isEmpty(value: unknown): boolean {
  return value === undefined || value === null || (Array.isArray(value) && value.length === 0)
}
