import type { Command } from 'commander'

/** merge-file, merge-driver, merge and replay: the conflict engine on its own, without a FlowForge that runs. */
export function addConflicts(_program: Command): void {}
