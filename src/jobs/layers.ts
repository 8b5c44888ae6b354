/**
 * Dependencies that a setup command brought, kept as a layer for the next job: same organization, repository, branch,
 * setup command and dependency files. Only a run at an untouched base makes a layer; what an agent edited never gets into one.
 */
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, readdir, rename, rm, stat, utimes } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { inOrganization } from '#db'
import { newId } from '#lib/ids.ts'
import type { Sandbox } from '#sandbox'
import type { Work } from './work.ts'

const DEPENDENCY_FILES = [
  'package.json',
  'package-lock.json',
  'npm-shrinkwrap.json',
  'yarn.lock',
  'pnpm-lock.yaml',
  'bun.lock',
  'requirements.txt',
  'pyproject.toml',
  'poetry.lock',
  'uv.lock',
  'Pipfile.lock',
  'setup.py',
  'go.mod',
  'go.sum',
  'Cargo.toml',
  'Cargo.lock',
  'pom.xml',
  'build.gradle',
  'build.gradle.kts',
  'gradle.lockfile',
  'Gemfile.lock',
  'composer.lock',
  'Makefile',
  '.npmrc',
  '.nvmrc',
  '.tool-versions',
]

/** The key is undefined when the job has no setup; the path when there is no layer yet. */
export type Layer = { readonly key: string | undefined; readonly path: string | undefined }

export async function findLayer(work: Work, commit: string): Promise<Layer> {
  const { claim, tools, mirror } = work
  const { job } = claim
  if (job.setup_command === null) return { key: undefined, path: undefined }
  const files = await mirror.fileIds(commit, {
    names: DEPENDENCY_FILES,
    paths: filesNamedIn(job.setup_command),
  })
  const key = createHash('sha256')
    .update(
      JSON.stringify([
        job.organization_id,
        job.repository_id,
        // What a set-up does is told by the whole tree, not by the dependency files alone: on a branch that holds an
        // agent's unlanded work it makes a layer for that branch only.
        claim.phase === 'run' ? job.base_ref : job.target_branch,
        job.setup_command,
        job.variables,
        tools.settings.toolchains,
        [...files].toSorted(([a], [b]) => (a < b ? -1 : 1)),
      ]),
    )
    .digest('hex')
  const path = join(tools.settings.layerDirectory, key)
  if (!existsSync(path)) return { key, path: undefined }
  await noteUse(work, key, path)
  return { key, path }
}

/** `sh scripts/setup.sh` depends on that script as `npm ci` does on the lock file. Words that are no files count nothing. */
function filesNamedIn(command: string): readonly string[] {
  return command
    .split(/[\s;&|<>()'"`$=]+/)
    .map((word) => word.replace(/^(\.\/)+/, ''))
    .filter((word) => /^[^-/]/.test(word) && !word.split('/').some((part) => part === '..' || part === '.'))
    .slice(0, 100)
}

export async function keepLayer(work: Work, sandbox: Sandbox, key: string): Promise<void> {
  const { tools, events } = work
  const path = join(tools.settings.layerDirectory, key)
  if (work.claim.phase !== 'run' || existsSync(path)) return
  const making = `${path}.${newId()}`
  try {
    await mkdir(tools.settings.layerDirectory, { recursive: true, mode: 0o700 })
    await sandbox.saveLayer(making)
    await rename(making, path)
    await noteUse(work, key, path)
    events.write('setup.kept', { key: key.slice(0, 12) })
  } catch (error) {
    // A layer only saves time: without one the next job sets up again.
    tools.log.warn({ error: String(error) }, 'layer.not-kept')
    await rm(making, { recursive: true, force: true })
  }
}

const KEEP_UNUSED_MS = 7 * 24 * 60 * 60 * 1000

/** Removes what no job began from for a week: longer than any job may run, so that nothing is taken from under one. */
export async function forgetOldLayers(directory: string, now: number): Promise<readonly string[]> {
  const forgotten: string[] = []
  for (const name of await readdir(directory).catch(() => [])) {
    const path = join(directory, name)
    const { mtimeMs } = await stat(path)
    if (now - mtimeMs < KEEP_UNUSED_MS) continue
    await rm(path, { recursive: true, force: true })
    forgotten.push(name)
  }
  return forgotten
}

async function noteUse({ claim, tools }: Work, key: string, path: string): Promise<void> {
  const now = new Date()
  await utimes(path, now, now)
  await inOrganization(tools.databases, claim.key.organizationId, (trx) =>
    trx
      .insertInto('setup_caches')
      .values({
        id: newId(),
        organization_id: claim.job.organization_id,
        repository_id: claim.job.repository_id,
        key_sha256: Buffer.from(key, 'hex'),
        host: hostname(),
        layer: path,
      })
      .onConflict((conflict) =>
        conflict
          .columns(['organization_id', 'repository_id', 'key_sha256', 'host'])
          .doUpdateSet({ last_used_at: new Date() }),
      )
      .execute(),
  )
}
