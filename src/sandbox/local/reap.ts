/** Ends what a dead worker has left of a sandbox: processes, cgroup, sockets, mount, directory, host user. */
import { readdir, rm } from 'node:fs/promises'
import type { Cgroups } from './cgroups.ts'
import type { Disks } from './disks.ts'
import { endProcessesOfUser, endProcessesWithMount } from './end-processes.ts'
import { isSandboxId, readOwnerRecord, type Layout } from './layout.ts'
import { releaseSlot } from './slots.ts'

export type Remains = { readonly layout: Layout; readonly cgroups: Cgroups; readonly disks: Disks }

export async function sandboxIdsOn(layout: Layout): Promise<readonly string[]> {
  return (await readdir(layout.sandboxes)).filter(isSandboxId)
}

/** The directory goes last: as long as it is there, a reaper that was interrupted will be followed by another. */
export async function endSandbox({ layout, cgroups, disks }: Remains, id: string): Promise<void> {
  const directory = layout.directory(id)
  const record = readOwnerRecord(directory)
  const cgroup = cgroups.find(id)
  await cgroup.kill()
  if (record?.slot !== undefined) await endProcessesOfUser(record.slot)
  else if (process.getuid?.() !== 0) await endProcessesWithMount(directory)
  await cgroup.remove()
  await rm(record?.sockets ?? layout.sockets(id), { recursive: true, force: true })
  if (record?.slot !== undefined) releaseSlot(record.slot)
  await disks.discard(id)
}
