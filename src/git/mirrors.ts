/** The door's main thing: mirrors, each operation recorded. */
import { readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { isUuid } from '#lib/ids.ts'
import { createHostGuard, type HostGuard } from '#lib/networks.ts'
import type { Log } from '#telemetry'
import { collect } from './collect.ts'
import { fetchAll, fetchBranch, remoteContains } from './fetch.ts'
import { INPUT_LIMITS, writeInputBundle, type InputLimits } from './input-bundle.ts'
import { commitMerge, diff, merge } from './merge.ts'
import { tidy } from './maintenance.ts'
import { ensureMirror } from './mirror-directory.ts'
import { keptAs } from './names.ts'
import type { GitOperation, OperationName } from './operation.ts'
import { RemoteAway, type GitRepository, type Mirror, type Mirrors, type OnBehalfOf } from './outcomes.ts'
import { fileIds, readFile, readLinks, resolve, withCommits, writeRef, type Place } from './place.ts'
import { push } from './push.ts'
import { changedPaths } from './raw-changes.ts'
import type { RemoteContext } from './remote.ts'
import { restoreBundle, writeBundle } from './storage-bundle.ts'

export type MirrorsOptions = {
  /** FLOWFORGE_HOME; mirrors are below it. */
  readonly home: string
  /** Writes a row of git_operations. A push waits for it, everything else does not. */
  readonly recorder: (operation: GitOperation) => Promise<void>
  readonly log: Log
  /** Private networks that repositories may be in, as CIDR blocks. */
  readonly allowedNetworks?: readonly string[]
  /** Instead of the check by DNS and allowedNetworks. */
  readonly checkHost?: HostGuard
  /** A file of certificates to trust instead of the system's. */
  readonly certificates?: string
  readonly inputLimits?: Partial<InputLimits>
  /** How long one conversation with a remote may take: 30 minutes by default. */
  readonly remoteLimitMs?: number
}

export function createMirrors(options: MirrorsOptions): Mirrors {
  const checkHost = options.checkHost ?? createHostGuard(options.allowedNetworks ?? [])
  const { home, certificates, remoteLimitMs } = options
  const context: RemoteContext = { home, checkHost, certificates, limitMs: remoteLimitMs }
  const landings = new Map<string, readonly string[]>()
  void sweepPurses(options.home)
  return {
    open(repository, onBehalfOf = {}) {
      // Both are parts of a path.
      if (!isUuid(repository.id) || !isUuid(repository.organizationId))
        throw new Error('a repository and an organization are named by UUIDs')
      const path = join(options.home, 'mirrors', repository.organizationId, `${repository.id}.git`)
      return openMirror({ path, repository, context, landings }, onBehalfOf, options)
    },
  }
}

function openMirror(place: Place, onBehalfOf: OnBehalfOf, options: MirrorsOptions): Mirror {
  const { path, repository } = place
  const { log } = options
  const inputLimits = { ...INPUT_LIMITS, ...options.inputLimits }
  const record = createRecord(repository, onBehalfOf, options)

  const refetch = async (signal: AbortSignal) => {
    log.warn({ repository: repository.id }, 'git.mirror-refilled')
    const outcome = await fetchAll(place, signal)
    if (outcome.kind === 'unreachable')
      throw new RemoteAway(`The mirror is empty and cannot be filled: ${outcome.problem}`)
  }
  const needing = <T>(commits: readonly string[], work: () => Promise<T>, signal = NEVER) =>
    withCommits(place, commits, { refetch: () => refetch(signal), work })

  return {
    path,
    fetch: (signal) => record('fetch', {}, () => fetchAll(place, signal)),
    fetchBranch: (branch, signal) =>
      record('fetch-branch', { ref: branch }, () => fetchBranch(place, branch, signal)),
    resolve: (ref) => resolve(place, ref),
    writeInputBundle: (commit, file, signal) =>
      record('write-input', { after: commit }, () =>
        needing(
          [commit],
          () => writeInputBundle(place, { commit, file, limits: inputLimits }, signal),
          signal,
        ),
      ),
    collect: async (request, signal) => {
      const { base, keepAs } = request
      const outcome = await record('collect', { ref: keepAs, before: base }, () =>
        needing([base], () => collect(place, request, signal), signal),
      )
      void tidy(place, log)
      return outcome
    },
    merge: (request, signal = NEVER) => {
      const { target, result } = request
      return record('merge', { before: target, after: result }, () =>
        needing([target, result], () => merge(place, request, signal), signal),
      )
    },
    commitMerge: (request) =>
      record('commit-merge', { before: request.parents[0] }, () => commitMerge(place, request)),
    keep: (commit, name) =>
      record('keep', { ref: name, after: commit }, () =>
        needing([commit], () => writeRef(place, keptAs(name), commit)),
      ),
    writeBundle: (commit, without, file) =>
      record('write-bundle', { after: commit }, () =>
        needing([commit], () => writeBundle(place, { commit, without }, file)),
      ),
    restoreBundle: (file) =>
      record('restore-bundle', {}, async () => {
        await ensureMirror(path)
        await restoreBundle(place, file, () => refetch(NEVER))
      }),
    readLinks: (commit) => needing([commit], () => readLinks(place, commit)),
    readFile: (commit, path, maxBytes) =>
      needing([commit], () => readFile(place, { commit, path, maxBytes })),
    fileIds: (commit, wanted) => needing([commit], () => fileIds(place, commit, wanted)),
    changedPaths: (from, to) => needing([from, to], () => changedPaths(place, { from, to })),
    diff: (from, to, maxBytes) => needing([from, to], () => diff(place, { from, to }, maxBytes)),
    push: (request, signal) => {
      const { branch, expectedOld, commit } = request
      return record('push', { ref: branch, before: expectedOld, after: commit }, () =>
        needing(
          expectedOld === null ? [commit] : [commit, expectedOld],
          () => push(place, request, signal),
          signal,
        ),
      )
    },
    remoteContains: (branch, commit, signal) =>
      record('remote-contains', { ref: branch, after: commit }, () =>
        remoteContains(place, commit, branch, signal),
      ),
  }
}

const NEVER = new AbortController().signal

type Facts = { readonly ref?: string; readonly before?: string | null | undefined; readonly after?: string }

/** Wraps an operation: how long it took, how it ended, for whom. */
function createRecord(repository: GitRepository, onBehalfOf: OnBehalfOf, options: MirrorsOptions) {
  return async <T>(operation: OperationName, facts: Facts, work: () => Promise<T>): Promise<T> => {
    const startedAt = new Date()
    const begun = performance.now()
    const write = async (ending: Ending) => {
      const durationMs = Math.round(performance.now() - begun)
      const { id: repositoryId, organizationId } = repository
      const { before, ...others } = facts
      const row = { ...onBehalfOf, ...others, ...(before && { before }), ...ending }
      await options.recorder({ repositoryId, organizationId, operation, startedAt, durationMs, ...row })
    }
    // An operation that was done is done, whether or not its row could be written.
    const written = (ending: Ending) =>
      write(ending).catch((error: unknown) =>
        options.log.error({ err: error, operation }, 'git.not-recorded'),
      )
    try {
      const outcome = await work()
      const row = written(endingOf(outcome))
      if (operation === 'push') await row
      return outcome
    } catch (error) {
      void written({ outcome: 'failed', message: String(error).slice(0, 1000) })
      throw error
    }
  }
}

type Ending = { readonly outcome: string; readonly message?: string; readonly after?: string }

function endingOf(value: unknown): Ending {
  if (typeof value === 'string') return { outcome: 'done', after: value }
  if (typeof value !== 'object' || value === null || !('kind' in value)) return { outcome: 'done' }
  return {
    outcome: String(value.kind),
    ...('problem' in value && { message: String(value.problem).slice(0, 1000) }),
    ...('commit' in value && { after: String(value.commit) }),
  }
}

/** A process that was killed left its credential files; no operation takes a day. */
async function sweepPurses(home: string): Promise<void> {
  const folder = join(home, 'purses')
  for (const name of await readdir(folder).catch(() => [])) {
    const found = await stat(join(folder, name)).catch(() => undefined)
    if (found && Date.now() - found.mtimeMs > 24 * 3600_000)
      await rm(join(folder, name), { recursive: true, force: true })
  }
}
