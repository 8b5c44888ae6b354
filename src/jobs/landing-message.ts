import { toPrintableLine } from '#lib/printable.ts'
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

/** Line breaks would forge trailers, control characters would break terminals, and a line of dashes hides the trailers. */
function oneLine(text: string): string {
  const line = toPrintableLine(text, 150).replace(/^[\s-]+/, '')
  // A cut may go through the middle of an emoji.
  return line.replaceAll(/[\ud800-\udbff](?![\udc00-\udfff])/g, '').toWellFormed() || 'Untitled'
}
