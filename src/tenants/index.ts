/** Office: organizations, and who asks. */
export type { JobPrincipal, KeyId, KeyPrincipal, Principal } from './principal.ts'
export { ALL_SCOPES, hasScope, isScope, requireScope, SCOPES, type Scope } from './scopes.ts'
export { createAuthenticator, type Authenticator } from './authenticate.ts'
export {
  mintApiKey,
  mintJobToken,
  revokeApiKey,
  type JobTokenRequest,
  type KeyRequest,
  type MintedKey,
} from './keys.ts'
export { ensureFirstOrganization, type KeyFile } from './first-organization.ts'
export { deleteExpiredJobTokens } from './store.ts'
