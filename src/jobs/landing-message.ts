import type { JobRow } from './store.ts'

/** The message of the landing commit: one line for people, then trailers that tools can read (git interpret-trailers). */
export function landingMessage(job: Pick<JobRow, 'number' | 'title' | 'id' | 'approved_by'>): string {
  const trailers = [
    `FlowForge-Job: ${job.id}`,
    ...(job.approved_by ? [`FlowForge-Approved-By: ${oneLine(job.approved_by)}`] : []),
  ]
  return `Land job ${job.number}: ${oneLine(job.title)}\n\n${trailers.join('\n')}\n`
}

/** The message of what the agent left uncommitted. */
export function resultMessage(job: Pick<JobRow, 'number' | 'title' | 'id'>): string {
  return `${oneLine(job.title)}\n\nFlowForge-Job: ${job.id}\n`
}

/** Control characters and line breaks would forge trailers or break terminals. */
function oneLine(text: string): string {
  // oxlint-disable-next-line no-control-regex
  return (
    text
      .replaceAll(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]+/g, ' ')
      .trim()
      .slice(0, 150) || 'Untitled'
  )
}
