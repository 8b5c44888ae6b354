import { basename, posix } from 'node:path'
import { installScriptsOf, sensitiveAmong } from './sensitive.ts'
import type { Work } from './work.ts'

const MANIFEST_LIMIT_BYTES = 1024 * 1024

/**
 * What a person must look at before this change lands; empty when nothing, or when exactly this result was approved.
 * The change is taken between the target and the merge, so that what others landed meanwhile is not asked about again.
 */
export async function reviewReasonsOf(
  work: Work,
  change: { readonly from: string; readonly to: string },
): Promise<readonly string[]> {
  const { job } = work.claim
  if (job.approved_commit !== null && job.approved_commit === job.result_commit) return []
  const [changed, links] = await Promise.all([
    work.mirror.changedPaths(change.from, change.to),
    work.mirror.readLinks(change.from),
  ])
  const sensitive = new Set(
    sensitiveAmong(
      changed.map(({ path }) => path),
      work.sensitivePaths,
    ),
  )
  const stands = linkedFrom(links, work.sensitivePaths)
  const edited = changed.flatMap(({ path }) => {
    if (sensitive.has(path)) return [`edits ${path}`]
    const link = stands.find(({ target }) => path === target || path.startsWith(`${target}/`))
    return link ? [`edits ${path}, which ${link.path} links to`] : []
  })
  if (work.sensitivePaths !== undefined) return edited
  // A manifest that went takes its scripts with it.
  const manifests = changed.filter((one) => basename(one.path) === 'package.json' && one.change !== 'deleted')
  const paths = manifests.map(({ path }) => path)
  return [...edited, ...(await hookedInstalls(work, paths, change))]
}

/** What sensitive paths of the target branch link to: `CLAUDE.md -> docs/guide.md` makes the guide as telling as the name. */
function linkedFrom(
  links: ReadonlyMap<string, string>,
  patterns: readonly string[] | undefined,
): readonly { readonly path: string; readonly target: string }[] {
  return sensitiveAmong([...links.keys()], patterns).map((path) => ({
    path,
    target: posix.join(posix.dirname(path), links.get(path) ?? '').replace(/\/+$/, ''),
  }))
}

/** Manifests whose install scripts change: npm runs them on every machine that installs, as it would run a hook. */
async function hookedInstalls(
  { mirror }: Work,
  paths: readonly string[],
  { from, to }: { readonly from: string; readonly to: string },
): Promise<readonly string[]> {
  const reasons: string[] = []
  for (const path of paths) {
    const before = await mirror.readFile(from, path, MANIFEST_LIMIT_BYTES)
    const after = await mirror.readFile(to, path, MANIFEST_LIMIT_BYTES)
    if (after === undefined || installScriptsOf(before) !== installScriptsOf(after))
      reasons.push(`edits the install scripts of ${path}`)
  }
  return reasons
}
