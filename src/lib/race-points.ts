/**
 * Named points between two steps at which a test may stop or kill the process.
 *
 * Outside of tests `reach` costs one comparison. A test sets FLOWFORGE_KILL_AT=name (read in config.ts) to have
 * the process die there as if by kill -9, or FLOWFORGE_HOLD_AT=name to have it wait there.
 */
type Reached = (name: RacePoint) => void | Promise<void>

export const RACE_POINTS = [
  'run:claimed',
  'run:workspace-ready',
  'run:agent-started',
  'run:agent-ended',
  'run:result-collected',
  'run:finished',
  'land:claimed',
  'land:merged',
  'land:checked',
  'land:written',
  'land:pushed',
  'land:finished',
] as const
export type RacePoint = (typeof RACE_POINTS)[number]

let reached: Reached | undefined

export function onRacePoint(handler: Reached | undefined): void {
  reached = handler
}

export async function reach(name: RacePoint): Promise<void> {
  if (reached) await reached(name)
}
