/** Office: registered repositories, what addresses are taken, and their credentials. */
export { parseAddress, type AddressRules, type RepositoryAddress } from './address.ts'
export { checkBranchName } from './branch-name.ts'
export {
  createRepositories,
  findOrRegister,
  resolveName,
  type NamingRules,
  type Repositories,
  type RepositoryPatch,
  type RepositoryRequest,
  type ResolvedName,
} from './repositories.ts'
export { getCredential, openRepository, setCredential } from './credentials.ts'
export type { Credential, CredentialKind, OpenRepository, Repository } from './repository.ts'
