import type { Command } from 'commander'
import { examples } from '../examples.ts'
import { note, print, printJson } from '../output.ts'

export function addDoctor(program: Command): void {
  program
    .command('doctor')
    .summary('check this machine')
    .description('Check whether FlowForge can run here: what is missing, and the exact command to get it.')
    .option('--install', 'install bubblewrap when it is missing (Debian and Ubuntu, as root)')
    .option('--json', 'print JSON')
    .addHelpText('after', examples(['flowforge doctor', ''], ['flowforge doctor --install', '']))
    .action(async ({ install, json }: { readonly install?: true; readonly json?: true }) => {
      const { examineHost } = await import('../doctor/examine.ts')
      if (install) {
        const { installBubblewrap } = await import('../doctor/prepare.ts')
        const { mayInstall } = await import('../doctor/packages.ts')
        if (mayInstall()) await installBubblewrap()
        else
          note(
            '--install works on Debian and Ubuntu as root only; the list below names the command for this machine.',
          )
      }
      const findings = await examineHost()
      const fit = findings.every(({ state }) => state !== 'missing')
      process.exitCode = fit ? 0 : 1
      if (json) return printJson({ fit, findings })
      const { describeFindings } = await import('../doctor/report.ts')
      print(describeFindings(findings))
      print(fit ? '\nFlowForge can run here.' : '\nFlowForge cannot run here yet: see the lines with ✗.')
    })
}
