/** How this machine installs a system package. */
import { existsSync, readFileSync } from 'node:fs'

const COMMANDS = [
  { family: /\b(debian|ubuntu)\b/, command: 'apt-get install -y --no-install-recommends' },
  { family: /\b(fedora|rhel|centos)\b/, command: 'dnf install -y' },
  { family: /\balpine\b/, command: 'apk add' },
  { family: /\barch\b/, command: 'pacman -S --noconfirm' },
  { family: /\bsuse\b/, command: 'zypper install -y' },
] as const

/** The command that installs a package, with sudo where rights are missing. */
export function installCommand(name: string): string {
  if (process.platform === 'darwin') return `brew install ${name}`
  const family = readFamily()
  const known = COMMANDS.find((candidate) => candidate.family.test(family))
  if (!known) return `the package manager of this machine: package ${name}`
  return `${isRoot() ? '' : 'sudo '}${known.command} ${name}`
}

/** Debian and its children, as root: the one case in which FlowForge installs a package itself. */
export function mayInstall(): boolean {
  return isRoot() && existsSync('/usr/bin/apt-get') && /\b(debian|ubuntu)\b/.test(readFamily())
}

function readFamily(): string {
  try {
    const text = readFileSync('/etc/os-release', 'utf8')
    return [...text.matchAll(/^ID(?:_LIKE)?="?([^"\n]*)"?$/gm)].map(([, names]) => names).join(' ')
  } catch {
    return ''
  }
}

function isRoot(): boolean {
  return process.getuid?.() === 0
}
