import { readFileSync } from 'node:fs'
import type { Command } from 'commander'
import type { RepositoryAnswer, RepositoryInput } from '#api'
import { connect } from '../connect.ts'
import { examples } from '../examples.ts'
import { note, paint, print, printJson, safeLine, table } from '../output.ts'
import { collect } from '../parse.ts'
import { toRepository } from '../repository-name.ts'
import { UserError } from '../user-error.ts'

type Json = { readonly json?: true }
type Credential = { readonly tokenFile?: string; readonly tokenUser?: string; readonly sshKeyFile?: string }

export function addRepositories(program: Command): void {
  const repositories = program
    .command('repositories')
    .summary('list, add and show repositories')
    .description(
      'Repositories with a name, a credential and rules of their own. Without a command: list them.',
    )
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      examples(
        ['flowforge repositories add shop https://git.example.com/shop.git --token-file token.txt', ''],
        ['flowforge repositories add shop git@git.example.com:shop.git --ssh-key-file ~/.ssh/deploy', ''],
      ),
    )
    .action(listRepositories)
  repositories
    .command('list')
    .summary('list them')
    .description('List the repositories.')
    .option('--json', 'print JSON')
    .action(listRepositories)

  const add = repositories
    .command('add')
    .summary('add one')
    .description(
      'Register a repository under a name. The credential is stored encrypted and never shown again.',
    )
    .argument('<name>', 'how jobs call it')
    .argument('<address>', 'https or ssh address, or a path of this machine')
  withCredential(add)
    .option(
      '--sensitive <glob>',
      'edits to such paths wait for review (replaces the default list); repeatable',
      collect,
    )
    .option('--json', 'print JSON')
    .action(addRepository)

  const change = repositories
    .command('change')
    .summary('change the credential or rules of one')
    .description('Give a repository a new credential or another list of sensitive paths.')
    .argument('<name>', 'its name')
  withCredential(change)
    .option('--no-credential', 'forget the credential')
    .option(
      '--sensitive <glob>',
      'edits to such paths wait for review (replaces the list); repeatable',
      collect,
    )
    .option('--json', 'print JSON')
    .action(changeRepository)

  repositories
    .command('show')
    .summary('show one')
    .description('Show a repository.')
    .argument('<name>', 'its name')
    .option('--json', 'print JSON')
    .action(async (name: string, _: Json, command: Command) => {
      const repository = await (await connect()).readRepository(name)
      if (wantsJson(command)) printJson(repository)
      else print(describe(repository))
    })
}

async function listRepositories(_: Json, command: Command): Promise<void> {
  const repositories = await (await connect()).listRepositories()
  if (wantsJson(command)) return printJson({ repositories })
  if (repositories.length === 0) return note('No repositories. Jobs can name an address or a path directly.')
  const rows = repositories.map(({ name, address, credential }) => [
    safeLine(name),
    credential ?? '-',
    safeLine(address),
  ])
  print(
    table([['NAME', 'CREDENTIAL', 'ADDRESS'], ...rows], (row, _column, cell) =>
      row === 0 ? paint.dim(cell) : cell,
    ),
  )
}

async function addRepository(
  name: string,
  address: string,
  options: Credential & { readonly sensitive?: readonly string[] },
  command: Command,
): Promise<void> {
  const credential = readCredential(options)
  const repository = await (
    await connect()
  ).addRepository({
    name,
    address: toRepository(address),
    ...(credential && { credential }),
    ...(options.sensitive && { sensitivePaths: [...options.sensitive] }),
  })
  if (wantsJson(command)) printJson(repository)
  else print(`Added.\n${describe(repository)}`)
}

async function changeRepository(
  name: string,
  options: Credential & { readonly credential?: boolean; readonly sensitive?: readonly string[] },
  command: Command,
): Promise<void> {
  const credential = options.credential === false ? null : readCredential(options)
  const repository = await (
    await connect()
  ).changeRepository(name, {
    ...(credential !== undefined && { credential }),
    ...(options.sensitive && { sensitivePaths: [...options.sensitive] }),
  })
  if (wantsJson(command)) printJson(repository)
  else print(`Changed.\n${describe(repository)}`)
}

function withCredential(command: Command): Command {
  return command
    .option(
      '--token-file <file>',
      'a file with an https token (- for standard input); never type a token on the command line',
    )
    .option('--token-user <name>', 'the user name that goes with the token (default: x-access-token)')
    .option('--ssh-key-file <file>', 'a file with a private ssh key without passphrase')
}

function readCredential({ tokenFile, tokenUser, sshKeyFile }: Credential): RepositoryInput['credential'] {
  if (tokenFile !== undefined && sshKeyFile !== undefined)
    throw new UserError('Give a token or an ssh key, not both.')
  if (tokenFile !== undefined)
    return {
      kind: 'https_token',
      username: tokenUser ?? 'x-access-token',
      token: readSecret(tokenFile).trim(),
    }
  if (sshKeyFile !== undefined) return { kind: 'ssh_key', key: readSecret(sshKeyFile) }
  return undefined
}

function readSecret(file: string): string {
  try {
    return readFileSync(file === '-' ? 0 : file, 'utf8')
  } catch (error) {
    throw new UserError(`${file} cannot be read: ${error instanceof Error ? error.message : String(error)}`)
  }
}

function describe(repository: RepositoryAnswer): string {
  const facts = [
    ['address', safeLine(repository.address)],
    ['credential', repository.credential ?? 'none'],
    [
      'sensitive',
      repository.sensitivePaths === null
        ? 'the default list'
        : repository.sensitivePaths.map((glob) => safeLine(glob)).join(', '),
    ],
  ]
  return [
    paint.bold(safeLine(repository.name)),
    ...facts.map(([name, value]) => `  ${paint.dim((name ?? '').padEnd(11))} ${value}`),
  ].join('\n')
}

/** `repositories --json list` and `repositories list --json` are the same. */
function wantsJson(command: Command): boolean {
  return command.optsWithGlobals<Json>().json === true
}
