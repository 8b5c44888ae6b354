/**
 * What every sandbox sees as /opt/ff and in /etc: node, claude, the guest's relay and a few files of our own.
 *
 * Installed once into HOME/bin/STAMP, where the sandbox's user can reach it even if the programs lie in a folder that
 * is closed to others. The stamp changes with the programs, so a new version gets a new folder, and a sandbox that runs
 * keeps the old one.
 */
import { createHash, randomBytes } from 'node:crypto'
import { chmod, copyFile, link, mkdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { constants, existsSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

export type Programs = {
  readonly node: string
  /** Absent: /opt/ff has no claude. */
  readonly claude?: string
}

export type Runtime = {
  /** Shown as /opt/ff. */
  readonly programs: string
  /** Files of our own: guest path to host path; the latter only where the relay runs. */
  readonly files: Readonly<Record<string, string>>
  readonly networkFiles: Readonly<Record<string, string>>
}

/** Copied as they are. */
const GUEST_FILES = ['relay.mjs', 'listen.pl'] as const
const GUEST = fileURLToPath(new URL('../guest/', import.meta.url))

const ETC = {
  passwd:
    'root:x:0:0:root:/root:/usr/sbin/nologin\nagent:x:1000:1000:agent:/home/agent:/bin/bash\n' +
    'nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n',
  group: 'root:x:0:\nagent:x:1000:\nnogroup:x:65534:\n',
  hosts: '127.0.0.1 localhost sandbox\n::1 localhost sandbox\n',
  'nsswitch.conf': 'passwd: files\ngroup: files\nhosts: files dns\n',
  // The guest's relay answers names; without it they fail at once instead of after seconds.
  'resolv.conf': 'nameserver 127.0.0.1\noptions timeout:1 attempts:1\n',
  // The work tree belongs to a user whom git may not recognize; there is nobody else in the sandbox.
  gitconfig: '[safe]\n\tdirectory = *\n[init]\n\tdefaultBranch = main\n[gc]\n\tauto = 0\n',
}

/** Maven neither reads proxy variables nor trusts the gate's authority, so it speaks plain HTTP to the gate. */
const MAVEN_SETTINGS = `<settings>
  <localRepository>/cache/maven</localRepository>
  <proxies><proxy><id>flowforge</id><protocol>http</protocol><host>127.0.0.1</host><port>3128</port></proxy></proxies>
  <mirrors><mirror><id>flowforge</id><mirrorOf>central</mirrorOf><url>http://repo.maven.apache.org/maven2</url></mirror></mirrors>
</settings>
`

export async function installRuntime(home: string, programs: Programs): Promise<Runtime> {
  const sources = { node: programs.node, ...(programs.claude ? { claude: programs.claude } : {}) }
  const helpers = new Map<string, string>()
  for (const name of GUEST_FILES) helpers.set(name, await readFile(join(GUEST, name), 'utf8'))
  const directory = join(home, 'bin', await stampOf(sources, helpers))
  if (!existsSync(directory)) await install(directory, sources, helpers)
  return {
    programs: join(directory, 'opt'),
    files: Object.fromEntries(Object.keys(ETC).map((name) => [`/etc/${name}`, join(directory, 'etc', name)])),
    networkFiles: { '/home/agent/.m2/settings.xml': join(directory, 'home', 'maven-settings.xml') },
  }
}

async function install(
  directory: string,
  sources: Readonly<Record<string, string>>,
  helpers: ReadonlyMap<string, string>,
): Promise<void> {
  const making = `${directory}.${randomBytes(4).toString('hex')}`
  const opt = join(making, 'opt')
  const etc = join(making, 'etc')
  const home = join(making, 'home')
  for (const path of [opt, etc, home]) await mkdir(path, { recursive: true, mode: 0o755 })
  for (const [name, source] of Object.entries(sources)) await linkOrCopy(source, join(opt, name))
  for (const [name, text] of helpers) await writeFile(join(opt, name), text, { mode: 0o644 })
  for (const [name, text] of Object.entries(ETC)) await writeFile(join(etc, name), text, { mode: 0o644 })
  await writeFile(join(home, 'maven-settings.xml'), MAVEN_SETTINGS, { mode: 0o644 })
  for (const path of [join(directory, '..'), making, opt, etc, home]) await chmod(path, 0o755)
  try {
    await rename(making, directory)
  } catch (error) {
    // Another worker was first: its copy is the same.
    if (!existsSync(directory)) throw error
    await rm(making, { recursive: true, force: true })
  }
}

/** A hard link costs nothing for 380 MB, but only works on the same file system and for files that others may run. */
async function linkOrCopy(source: string, target: string): Promise<void> {
  const { mode } = await stat(source)
  if ((mode & 0o005) === 0o005) {
    const linked = await link(source, target).then(
      () => true,
      () => false,
    )
    if (linked) return
  }
  await copyFile(source, target, constants.COPYFILE_FICLONE)
  await chmod(target, 0o755)
}

async function stampOf(
  sources: Readonly<Record<string, string>>,
  helpers: ReadonlyMap<string, string>,
): Promise<string> {
  const hash = createHash('sha256').update(JSON.stringify([...helpers, ETC, MAVEN_SETTINGS]))
  for (const [name, source] of Object.entries(sources)) {
    const { size, mtimeMs, ino } = await stat(source)
    hash.update(`${name} ${source} ${size} ${mtimeMs} ${ino}\n`)
  }
  return hash.digest('hex').slice(0, 16)
}
