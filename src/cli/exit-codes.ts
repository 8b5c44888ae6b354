import type { Job } from '#api'

/** How `flowforge` ends. Scripts rely on these; docs/reference/cli.md is made from here. */
export const EXIT = {
  done: [0, 'Done; with --wait: the job succeeded.'],
  failed: [1, 'Refused, or something is wrong; with --wait: the job failed or was cancelled.'],
  waiting: [2, 'With --wait: the job needs review or is paused, and a person must go on.'],
  usage: [64, 'The command was typed wrong.'],
  unreachable: [69, 'No FlowForge answers at the address.'],
  bug: [70, 'A fault of FlowForge itself.'],
  interrupted: [130, 'Ctrl-C.'],
} as const satisfies Record<string, readonly [code: number, meaning: string]>

export function exitCodeOf(job: Pick<Job, 'state'>): number {
  switch (job.state) {
    case 'succeeded':
      return EXIT.done[0]
    case 'needs_review':
    case 'paused':
      return EXIT.waiting[0]
    default:
      return EXIT.failed[0]
  }
}
