/** Git on the host: mirrors, bundles in and out, merging, pushing. Outcomes are values. */
export { createMirrors, type MirrorsOptions } from './mirrors.ts'
export { createGitRecorder, type GitRecorder } from './store.ts'
export {
  commitCommand,
  ignoreLeftOversCommand,
  unpackCommand,
  GUEST_FAILED,
  NOTHING_CHANGED,
  type GuestFolders,
  type GuestGitCommand,
} from './guest.ts'
export { COLLECT_LIMITS } from './collect.ts'
export { parseAddress, type Address } from './address.ts'
export { branchNameProblem, isCommitId } from './names.ts'
export { gitVersion, requireGit, NEEDED_GIT } from './version.ts'
export { GitFailure } from './run-git.ts'
export type { GitOperation } from './operation.ts'
export type {
  ChangedPath,
  CollectLimits,
  CollectOutcome,
  CollectRequest,
  CommitMergeRequest,
  ContainsOutcome,
  FetchBranchOutcome,
  FetchOutcome,
  GitCredential,
  GitRepository,
  MergeOutcome,
  MergeRequest,
  Mirror,
  Mirrors,
  OnBehalfOf,
  PushOutcome,
  PushRequest,
  Unreachable,
} from './outcomes.ts'
export { RemoteAway } from './outcomes.ts'
