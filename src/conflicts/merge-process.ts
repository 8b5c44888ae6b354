/** The child of `mergeCommitsApart`: takes one request, answers with one report, ends. */
import { mergeCommits, type MergeReport } from './merge-commits.ts'
import type { ApartRequest } from './apart.ts'

export type ApartAnswer = { readonly report: MergeReport } | { readonly problem: string }

process.once('message', (request: ApartRequest) => {
  void answer(request).then((message) => process.send?.(message, () => process.exit(0)))
})

async function answer(request: ApartRequest): Promise<ApartAnswer> {
  try {
    return { report: await mergeCommits(request) }
  } catch (error) {
    return { problem: error instanceof Error ? error.message : String(error) }
  }
}
