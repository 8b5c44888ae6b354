/** How the launched program gives up what the worker has: user, groups, capabilities, and what a user may use. */
import { readFileSync } from 'node:fs'
import type { SandboxLimits } from '../sandbox.ts'

/** Programs that each become the next one; the last becomes bubblewrap. */
export function launchPrefix(limits: SandboxLimits, slot: number | undefined): readonly string[] {
  return [...(slot === undefined ? [] : becomeSlot(slot)), ...limitResources(limits, slot !== undefined)]
}

function becomeSlot(slot: number): readonly string[] {
  return [
    'setpriv',
    ...[`--reuid=${slot}`, `--regid=${slot}`, '--clear-groups'],
    ...['--bounding-set=-all', '--inh-caps=-all', '--no-new-privs', '--'],
  ]
}

/** RLIMIT_NPROC counts all processes of a user, so it only makes sense for a user of one sandbox. RLIMIT_AS is left
 * alone: V8 and Bun reserve gigabytes that they never use. */
function limitResources(limits: SandboxLimits, ownUser: boolean): readonly string[] {
  return [
    'prlimit',
    `--nofile=${lower(limits.openFiles, 'Max open files')}`,
    '--core=0',
    `--fsize=${lower(limits.fileBytes, 'Max file size')}`,
    ...(ownUser ? [`--nproc=${lower(limits.processes + 2, 'Max processes')}`] : []),
    '--',
  ]
}

/** A hard limit can be lowered by everybody and raised by few. */
function lower(wanted: number, name: string): number {
  hardLimits ??= readHardLimits()
  return Math.min(wanted, hardLimits.get(name) ?? wanted)
}

let hardLimits: ReadonlyMap<string, number> | undefined

function readHardLimits(): ReadonlyMap<string, number> {
  const lines = readFileSync('/proc/self/limits', 'utf8').split('\n')
  return new Map(
    lines.flatMap((line) => {
      const [, name, hard] = /^(.+?)\s{2,}\S+\s+(\d+)\s/.exec(line) ?? []
      return name === undefined ? [] : [[name, Number(hard)] as const]
    }),
  )
}
