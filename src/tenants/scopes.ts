import { refuse } from '#lib/errors.ts'

/** What a key may do, as one table: the scope and what it opens, in words that follow "This key may not". */
export const SCOPES = {
  'jobs:read': 'read jobs',
  'jobs:write': 'submit, cancel, retry and steer jobs',
  'jobs:approve': 'approve or reject what waits for review',
  'repositories:read': 'read repositories',
  'repositories:write': 'register repositories and set their credentials',
  'costs:read': 'see costs and budgets',
  'costs:write': 'set and remove budgets',
  'gateway:use': 'call models through the gateway',
  operator: 'use paths of this machine and administer this installation',
} as const satisfies Record<string, string>

export type Scope = keyof typeof SCOPES
export const ALL_SCOPES = Object.keys(SCOPES) as readonly Scope[]

export function isScope(text: string): text is Scope {
  return Object.hasOwn(SCOPES, text)
}

/** Throws the refusal `not_permitted` when the principal lacks the scope. */
export function requireScope(principal: { readonly scopes: readonly Scope[] }, scope: Scope): void {
  if (!principal.scopes.includes(scope)) throw refuse('not_permitted', { action: SCOPES[scope], scope })
}

export function hasScope(principal: { readonly scopes: readonly Scope[] }, scope: Scope): boolean {
  return principal.scopes.includes(scope)
}
