// Starts FlowForge with the Node it needs, under whatever Node is here (20 or newer), installing first when needed.
// Plain JavaScript without a dependency: it runs before anything is installed.
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, mkdirSync, writeFileSync } from 'node:fs'
import { createHash } from 'node:crypto'
import { join } from 'node:path'

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
if (major < 20 || (major === 20 && minor < 11)) {
  process.stderr.write(
    `FlowForge needs Node 20.11 or newer to be installed (it brings its own after that); this is ${process.version}.\n`,
  )
  process.exit(1)
}

const root = join(import.meta.dirname, '..')
const lock = createHash('sha256')
  .update(readFileSync(join(root, 'package-lock.json')))
  .digest('hex')
const stamp = join(root, 'node_modules', '.flowforge-installed')
const node = join(root, 'node_modules', 'node', 'bin', 'node')

if (!existsSync(stamp) || readFileSync(stamp, 'utf8') !== lock || !existsSync(node)) {
  process.stderr.write('Installing FlowForge (once; about a minute) …\n')
  const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm'
  const install = spawnSync(npm, ['ci', '--loglevel', 'error'], { cwd: root, stdio: ['ignore', 2, 2] })
  if (install.status !== 0) {
    process.stderr.write('The installation failed: npm said why above. Nothing was started.\n')
    process.exit(1)
  }
  mkdirSync(join(root, 'node_modules'), { recursive: true })
  writeFileSync(stamp, lock)
}

const [script, ...rest] = process.argv.slice(2)
const run = spawnSync(node, [join(root, script), ...rest], { stdio: 'inherit' })
process.exit(run.status ?? 1)
