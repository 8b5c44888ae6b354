/** Before the demo: look at the machine, install what FlowForge may install itself, and say what is still missing. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { note } from '../output.ts'
import { examineHost } from './examine.ts'
import type { Finding } from './finding.ts'
import { mayInstall } from './packages.ts'
import { describeFindings } from './report.ts'

/** Whether FlowForge can run here. */
export async function prepareHost(): Promise<boolean> {
  let findings = await examineHost()
  if (lacks(findings, 'sandbox') && process.platform === 'linux' && mayInstall()) {
    note('Installing bubblewrap, which isolates the jobs …')
    await installBubblewrap()
    findings = await examineHost()
  }
  const grave = findings.filter(({ state }) => state === 'missing')
  if (grave.length > 0) note(`FlowForge cannot run on this machine yet:\n${describeFindings(grave)}`)
  return grave.length === 0
}

function lacks(findings: readonly Finding[], name: string): boolean {
  return findings.some((finding) => finding.name === name && finding.state === 'missing')
}

/** A failure shows in the next look at the machine; apt-get has said why. */
export async function installBubblewrap(): Promise<void> {
  for (const argv of [
    ['update', '-q'],
    ['install', '-y', '-q', '--no-install-recommends', 'bubblewrap'],
  ]) {
    const child = spawn('/usr/bin/apt-get', argv, {
      stdio: ['ignore', 'ignore', 'inherit'],
      env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', DEBIAN_FRONTEND: 'noninteractive' },
    })
    await once(child, 'close')
  }
}
