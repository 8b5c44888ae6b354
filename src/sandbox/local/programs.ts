/** Runs one of the host's own small programs (mkfs.ext4, mount, umount, cp) to its end. */
import { spawn } from 'node:child_process'

const KEEP = 4096

/** Rejects with what the program said when it does not end with 0. */
export async function runProgram(file: string, args: readonly string[]): Promise<void> {
  const { code, said } = await new Promise<{ code: number | null; said: string }>((resolve, reject) => {
    const child = spawn(file, args, {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C' },
    })
    let text = ''
    child.stderr.on('data', (chunk: Buffer) => {
      text = (text + chunk.toString()).slice(-KEEP)
    })
    child.on('error', reject)
    child.on('close', (exitCode) => resolve({ code: exitCode, said: text.trim() }))
  })
  if (code !== 0) throw new Error(`${file} ${args.join(' ')} ended with ${code}: ${said}`)
}
