/**
 * What git can answer, as values. Exit codes and known messages of git are outcomes, not exceptions.
 *
 *   address   what people give: https or ssh URL, or (operator only) an absolute path
 *   mirror    a bare copy of a repository, ours alone: a cache that may vanish
 *   target    the branch a job lands on
 *   result    the commit that came out of a sandbox
 *   landing   the merge commit that is pushed
 */
import type { ExecutionId, JobId, OrganizationId, RepositoryId } from '#lib/ids.ts'
import type { Secret } from '#lib/secret.ts'

/** A repository as git needs to know it. */
export type GitRepository = {
  readonly id: RepositoryId
  readonly organizationId: OrganizationId
  readonly address: string
  readonly credential?: GitCredential
}

export type GitCredential =
  | { readonly kind: 'https_token'; readonly username: string; readonly token: Secret }
  | { readonly kind: 'ssh_key'; readonly key: Secret }

/** For whom an operation is recorded in git_operations. */
export type OnBehalfOf = { readonly jobId?: JobId; readonly executionId?: ExecutionId }

export type Mirrors = {
  /** Answers at once; the mirror is made or fetched on first use. */
  open(repository: GitRepository, onBehalfOf?: OnBehalfOf): Mirror
}

export type Mirror = {
  /** Path of the bare repository. */
  readonly path: string
  /** Fetches every branch to refs/remotes/origin/*. Keeps refs/flowforge/. */
  fetch(signal: AbortSignal): Promise<FetchOutcome>
  /** One branch's tip at the remote, fetched. Cheaper than fetch. */
  fetchBranch(branch: string, signal: AbortSignal): Promise<FetchBranchOutcome>
  /** Resolves a branch, tag or commit of the mirror to a commit id. */
  resolve(ref: string): Promise<string | undefined>
  /** Writes a bundle from which the sandbox makes its work tree: ref refs/heads/base at `commit`. Shallow when the history is large. */
  writeInputBundle(commit: string, file: string, signal: AbortSignal): Promise<void>
  /** Verifies a bundle that came out of a sandbox and brings its commit in, under refs/flowforge/. */
  collect(request: CollectRequest, signal: AbortSignal): Promise<CollectOutcome>
  /** Merges in the object database; touches no ref and no work tree. */
  merge(request: MergeRequest, signal?: AbortSignal): Promise<MergeOutcome>
  /** Makes the landing commit. The same request always gives the same id: dates and names are in it. */
  commitMerge(request: CommitMergeRequest): Promise<string>
  /** Writes refs/flowforge/NAME so that a commit is kept. */
  keep(commit: string, name: string): Promise<void>
  /** A bundle of `commit` without what `without` contains, for storage. */
  writeBundle(commit: string, without: readonly string[], file: string): Promise<void>
  /** Brings a bundle from our own storage back into the mirror. */
  restoreBundle(file: string): Promise<void>
  /** The object ids of files at these paths, and of files with these names in any folder: path to id. */
  fileIds(
    commit: string,
    wanted: { readonly paths: readonly string[]; readonly names: readonly string[] },
  ): Promise<ReadonlyMap<string, string>>
  /** The symbolic links of a commit: path to the text of the link. */
  readLinks(commit: string): Promise<ReadonlyMap<string, string>>
  /** The text of a file in a commit; undefined when it is absent, no regular file, or larger than `maxBytes`. */
  readFile(commit: string, path: string, maxBytes: number): Promise<string | undefined>
  changedPaths(from: string, to: string): Promise<readonly ChangedPath[]>
  diff(from: string, to: string, maxBytes: number): Promise<string>
  /** Pushes exactly `commit` to `branch`, only while the branch has the value `expectedOld` (null: must not exist). */
  push(request: PushRequest, signal: AbortSignal): Promise<PushOutcome>
  /** Asks the remote (not the mirror) whether the branch holds the commit. */
  remoteContains(branch: string, commit: string, signal: AbortSignal): Promise<ContainsOutcome>
}

export type FetchOutcome =
  | {
      readonly kind: 'fetched'
      readonly branches: ReadonlyMap<string, string>
      readonly defaultBranch?: string
    }
  | Unreachable
export type FetchBranchOutcome =
  | { readonly kind: 'fetched'; readonly commit: string }
  | { readonly kind: 'missing' }
  | Unreachable
/** `temporary`: worth another try (network, server); otherwise refused (rights, no such repository). */
export type Unreachable = {
  readonly kind: 'unreachable'
  readonly problem: string
  readonly temporary: boolean
}

export type CollectRequest = {
  readonly file: string
  /** The commit the work began from: it must be an ancestor of the result. */
  readonly base: string
  /** The result is kept as refs/flowforge/KEEP-AS. */
  readonly keepAs: string
  readonly limits?: Partial<CollectLimits>
}
export type CollectLimits = {
  readonly bundleBytes: number
  readonly fileBytes: number
  readonly files: number
  readonly pathBytes: number
}
export type CollectOutcome =
  | { readonly kind: 'collected'; readonly commit: string; readonly paths: readonly ChangedPath[] }
  | { readonly kind: 'unchanged' }
  | { readonly kind: 'rejected'; readonly problem: string }

export type ChangedPath = {
  readonly path: string
  readonly change: 'added' | 'modified' | 'deleted' | 'type-changed'
}

export type MergeRequest = { readonly target: string; readonly result: string }
export type MergeOutcome =
  | { readonly kind: 'clean'; readonly tree: string }
  | { readonly kind: 'contained' }
  | { readonly kind: 'conflicts'; readonly paths: readonly string[]; readonly messages: readonly string[] }
  | { readonly kind: 'unrelated' }

export type CommitMergeRequest = {
  readonly tree: string
  readonly parents: readonly string[]
  readonly message: string
  readonly author: { readonly name: string; readonly email: string }
  readonly date: Date
}

export type PushRequest = {
  readonly commit: string
  readonly branch: string
  readonly expectedOld: string | null
}
export type PushOutcome =
  | { readonly kind: 'pushed' }
  | { readonly kind: 'target-moved'; readonly actual?: string }
  | { readonly kind: 'refused'; readonly problem: string }
  /** The branch is checked out with changes of its own: git's updateInstead rule says no. */
  | { readonly kind: 'checked-out'; readonly problem: string }
  | Unreachable
export type ContainsOutcome = { readonly kind: 'contained' } | { readonly kind: 'absent' } | Unreachable

/** The mirror lacks what is needed and the remote, from which it could be filled again, cannot be reached: try later. */
export class RemoteAway extends Error {
  override readonly name = 'RemoteAway'
}
