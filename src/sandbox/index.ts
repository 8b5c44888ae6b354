/** Workshop: where foreign code runs. */
export { createLocalSandboxes, type LocalSandboxesOptions } from './adapters/bubblewrap.ts'
export { createNoSandboxes, type NoSandboxesOptions } from './adapters/none.ts'
export { createSeatbeltSandboxes, type SeatbeltSandboxesOptions } from './adapters/seatbelt.ts'
export { namesOfMissing, refuseWeaker } from './local/guarantees.ts'
export {
  createSandboxes,
  egressFrom,
  findClaude,
  inspectHost,
  limitsFrom,
  type HostInspection,
} from './settings.ts'
export {
  DEFAULT_LIMITS,
  type EgressDecision,
  type EgressPolicy,
  type EgressRule,
  type Gates,
  type Guarantees,
  type GuestCommand,
  type GuestExit,
  type GuestProcess,
  type GuestResult,
  type RunOptions,
  type Sandbox,
  type Sandboxes,
  type SandboxLimits,
  type SandboxSpec,
} from './sandbox.ts'
