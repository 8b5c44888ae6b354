/** Workshop: how Claude Code, or any other program, is given a task inside a sandbox, fed and understood. */
export { runTask } from './run-task.ts'
export { runCommand } from './run-command.ts'
export { createModelGate, type ModelGateOptions } from './model-gate.ts'
export { restoreState, saveState } from './session-state.ts'
export type {
  AgentEvent,
  AgentFailure,
  AgentUsage,
  ModelRoute,
  ModelUsage,
  Task,
  TaskContext,
  TaskOutcome,
  Watchdog,
} from './task.ts'
