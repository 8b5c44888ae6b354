/**
 * Layers: a workspace with its caches, saved once and shared by many sandboxes.
 *
 * As root a layer is mounted copy-on-write (an overlay on an idmapped mount, about 15 ms whatever its size; what a
 * sandbox writes counts against its disk). Where that is not possible it is copied. A layer in use must not be removed.
 */
import { chownSync, constants, mkdirSync } from 'node:fs'
import { cp, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { SYSCALL_NUMBERS } from '../seccomp/profile.ts'
import { runProgram } from './programs.ts'

/** The directories that a layer holds. */
export const LAYER_PARTS = ['workspace', 'cache'] as const
export type LayerPlaces = Readonly<Record<(typeof LAYER_PARTS)[number], string>>

const MOUNT_LAYER = fileURLToPath(new URL('./mount-layer.pl', import.meta.url))

/** Answers where workspace and cache of the sandbox in `directory` now lie. `slot`: its host user, when it has one. */
export async function restoreLayer(
  layer: string,
  directory: string,
  slot: number | undefined,
): Promise<LayerPlaces> {
  const disk = join(directory, 'disk')
  if (slot !== undefined) {
    try {
      return await mountLayer(layer, directory, slot)
    } catch {
      // Older kernels, odd paths, no perl: a copy is slower and just as good.
      for (const part of LAYER_PARTS) await detach(directory, part)
    }
  }
  for (const part of LAYER_PARTS) {
    await runProgram('cp', ['-a', '--reflink=auto', `${join(layer, part)}/.`, join(disk, part)])
    if (slot !== undefined) await runProgram('chown', ['-hR', `${slot}:${slot}`, join(disk, part)])
  }
  return { workspace: join(disk, 'workspace'), cache: join(disk, 'cache') }
}

/** For technologies that mount nothing. Only for what no guest can change meanwhile: a path may become a link. */
export async function copyLayer(from: string, to: string): Promise<void> {
  const options = { recursive: true, verbatimSymlinks: true, preserveTimestamps: true } as const
  for (const part of LAYER_PARTS)
    await cp(join(from, part), join(to, part), { ...options, mode: constants.COPYFILE_FICLONE })
}

async function mountLayer(layer: string, directory: string, slot: number): Promise<LayerPlaces> {
  const numbers = SYSCALL_NUMBERS[process.arch === 'arm64' ? 'arm64' : 'x64']
  const { uid } = await stat(join(layer, 'workspace'))
  const args = LAYER_PARTS.flatMap((part) => {
    const lower = join(directory, `lower-${part}`)
    const target = join(directory, part)
    const upper = join(directory, 'disk', part)
    const work = join(directory, 'disk', `work-${part}`)
    for (const path of [lower, target, work]) mkdirSync(path, { mode: 0o755 })
    if (/[,:\\]/.test(directory)) throw new Error('overlay options cannot carry this path')
    const options = `lowerdir=${lower},upperdir=${upper},workdir=${work},redirect_dir=on`
    return [join(layer, part), lower, options, target]
  })
  const calls = [numbers['unshare'], numbers['mount'], uid, slot].map(String)
  await runProgram('perl', [MOUNT_LAYER, ...calls, ...args])
  return { workspace: join(directory, 'workspace'), cache: join(directory, 'cache') }
}

async function detach(directory: string, part: (typeof LAYER_PARTS)[number]): Promise<void> {
  for (const path of [join(directory, part), join(directory, `lower-${part}`)]) {
    await runProgram('umount', ['--lazy', path]).catch(() => undefined)
    await rm(path, { recursive: true, force: true })
  }
}

/**
 * The copy is made by a guest, which sees nothing but the sandbox: a hostile workspace that changes while it is copied
 * cannot make us read elsewhere. `copy` runs the guest with the directory shown at /exchange/layer.
 */
export async function saveLayer(
  directory: string,
  slot: number | undefined,
  hostPath: string,
  copy: (target: string, argv: readonly string[]) => Promise<void>,
): Promise<void> {
  const target = join(directory, 'layer')
  await rm(target, { recursive: true, force: true })
  mkdirSync(target, { mode: 0o755 })
  if (slot !== undefined) chownSync(target, slot, slot)
  await copy(target, ['cp', '-a', '--reflink=auto', '/workspace', '/cache', '/exchange/layer/'])
  try {
    await rename(target, hostPath)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EXDEV') throw error
    await runProgram('cp', ['-a', target, hostPath])
  }
}
