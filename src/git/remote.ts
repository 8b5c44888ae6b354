/**
 * The way to a remote: the address git gets, what it may use to get there, and the credential, for as long as one operation takes.
 *
 * A credential is written to files that only we can read, in a directory that is removed with the remote. It is never in an
 * argument, an address or an environment variable, and text of git is redacted before it goes anywhere.
 */
import { constants } from 'node:fs'
import { access, mkdir, mkdtemp, readFile, realpath, rm, stat, writeFile } from 'node:fs/promises'
import { join, sep } from 'node:path'
import { parseAddress, type Address } from './address.ts'
import type { HostGuard } from '#lib/networks.ts'
import type { GitCredential, GitRepository, Unreachable } from './outcomes.ts'

export type Remote = AsyncDisposable & {
  readonly kind: 'remote'
  readonly url: string
  readonly local: boolean
  readonly config: readonly string[]
  readonly env: Readonly<Record<string, string>>
  readonly uploadPack: readonly string[]
  readonly receivePack: readonly string[]
  readonly redact: (text: string) => string
  readonly limitMs: number
}

export type RemoteContext = {
  /** FLOWFORGE_HOME. */
  readonly home: string
  readonly checkHost: HostGuard
  /** How long one conversation may take, however much the remote says: it holds a slot or a lane. */
  readonly limitMs?: number | undefined
  /** Certificates to trust instead of the system's, as a file. */
  readonly certificates?: string | undefined
}

const LIMIT_MS = 30 * 60_000

/** Opens the way, does the work, closes it. Answers Unreachable when there is no way. */
export async function withRemote<T>(
  { repository, context }: { readonly repository: GitRepository; readonly context: RemoteContext },
  work: (remote: Remote) => Promise<T>,
): Promise<T | Unreachable> {
  const opened = await openRemote(repository, context)
  if (opened.kind === 'unreachable') return opened
  await using remote = opened
  return await work(remote)
}

async function openRemote(repository: GitRepository, context: RemoteContext): Promise<Remote | Unreachable> {
  const address = parseAddress(repository.address)
  switch (address.kind) {
    case 'wrong':
      return unreachable(address.problem)
    case 'path':
      return pathRemote(address.path, context)
    case 'https':
    case 'ssh':
      return networkRemote(address, repository, context)
  }
}

function unreachable(problem: string, temporary = false): Unreachable {
  return { kind: 'unreachable', problem, temporary }
}

// --- a path of the operator -------------------------------------------------------------------------------------------

/**
 * Settings for the git that serves a path repository. Git does not hand our -c settings to it, and its own configuration
 * may be anything. Its receiving hooks do run (a pre-receive hook is how an operator protects a branch), but only from its
 * git directory: a hooks path that points into a work tree would run on the host what an agent has landed there.
 */
function served(program: 'upload-pack' | 'receive-pack', hooks: string, owner: string): string {
  const settings = [
    "safe.directory='*'",
    'core.fsmonitor=false',
    'core.alternateRefsCommand=true',
    'core.sshCommand=false',
    `core.hooksPath=${quoted(hooks)}`,
    'uploadpack.allowAnySHA1InWant=false',
    'receive.denyCurrentBranch=updateInstead',
    'receive.autogc=false',
    'receive.fsckObjects=false',
    'gc.auto=0',
    'maintenance.auto=false',
  ]
  const pins = settings.map((setting) => `-c ${setting}`).join(' ')
  return `GIT_ALLOW_PROTOCOL=none ${owner}git ${pins} ${program}`
}

async function pathRemote(path: string, context: RemoteContext): Promise<Remote | Unreachable> {
  const real = await realpath(path).catch(() => undefined)
  const found = real === undefined ? undefined : await stat(real).catch(() => undefined)
  if (real === undefined || !found?.isDirectory()) return unreachable(`there is no folder ${path}.`)
  const home = await realpath(context.home).catch(() => context.home)
  if (real === home || real.startsWith(home + sep)) return unreachable('it is inside FLOWFORGE_HOME.')
  const directory = await gitDirectory(real)
  if (directory === undefined) return unreachable(`the folder ${path} is not a git repository.`)
  const owner = await asOwner(found.uid, found.gid)
  const hooks = join(directory, 'hooks')
  return {
    kind: 'remote',
    url: real,
    local: true,
    config: [],
    env: { GIT_ALLOW_PROTOCOL: 'file' },
    uploadPack: [`--upload-pack=${served('upload-pack', '/dev/null', owner)}`],
    receivePack: [`--receive-pack=${served('receive-pack', hooks, owner)}`],
    limitMs: context.limitMs ?? LIMIT_MS,
    redact: (text) => text,
    async [Symbol.asyncDispose]() {},
  }
}

/** The git directory that holds hooks and refs: of a bare repository, a work tree, or a linked work tree. */
async function gitDirectory(path: string): Promise<string | undefined> {
  const exists = (name: string) =>
    access(join(path, name)).then(
      () => true,
      () => false,
    )
  if (await exists('.git/HEAD')) return join(path, '.git')
  if ((await exists('HEAD')) && (await exists('objects'))) return path
  const link = await readFile(join(path, '.git'), 'utf8').catch(() => '')
  const target = /^gitdir: (.+)\n?$/.exec(link)?.[1]
  if (target === undefined) return undefined
  const directory = join(target.startsWith('/') ? '' : path, target)
  const common = await readFile(join(directory, 'commondir'), 'utf8').catch(() => undefined)
  if (common === undefined) return directory
  return common.startsWith('/') ? common.trim() : join(directory, common.trim())
}

/**
 * As root, the git that serves somebody's repository runs as that somebody: what a push writes there stays theirs, and
 * what their configuration or hooks do, they do with their own rights.
 */
async function asOwner(uid: number, gid: number): Promise<string> {
  if (process.getuid?.() !== 0 || uid === 0) return ''
  const setpriv = '/usr/bin/setpriv'
  const usable = await access(setpriv, constants.X_OK).then(
    () => true,
    () => false,
  )
  return usable ? `${setpriv} --reuid=${uid} --regid=${gid} --clear-groups -- ` : ''
}

// --- a remote on the network ------------------------------------------------------------------------------------------

type NetworkAddress = Extract<Address, { kind: 'https' | 'ssh' }>

async function networkRemote(
  address: NetworkAddress,
  repository: GitRepository,
  context: RemoteContext,
): Promise<Remote | Unreachable> {
  const { credential } = repository
  const wanted = address.kind === 'https' ? 'https_token' : 'ssh_key'
  if (credential && credential.kind !== wanted)
    return unreachable(
      `its credential is of the kind ${credential.kind}, but ${address.kind} needs ${wanted}.`,
    )
  const host = await context.checkHost(address.host)
  if (host.kind === 'unknown') return unreachable(`the host ${address.host} has no address.`, host.temporary)
  if (host.kind === 'private')
    return unreachable(
      `${address.host} is at the private address ${host.address}; FLOWFORGE_ALLOWED_NETWORKS does not allow it.`,
    )
  const purse = await openPurse(context.home)
  try {
    const open = address.kind === 'https' ? httpsRemote : sshRemote
    const parts = await open({ address, addresses: host.addresses, repository, context, purse })
    return {
      kind: 'remote',
      url: address.url,
      local: false,
      uploadPack: [],
      receivePack: [],
      limitMs: context.limitMs ?? LIMIT_MS,
      redact: redactor(credential),
      ...parts,
      [Symbol.asyncDispose]: () => removePurse(purse),
    }
  } catch (error) {
    await removePurse(purse)
    throw error
  }
}

type NetworkParts = {
  readonly address: NetworkAddress
  readonly addresses: readonly string[]
  readonly repository: GitRepository
  readonly context: RemoteContext
  readonly purse: string
}

/** The token goes as a header of exactly this address, from a file: that also saves the round trip of a first 401. */
async function httpsRemote({ address, addresses, repository, context, purse }: NetworkParts) {
  const { credential } = repository
  const file = join(purse, 'config')
  if (credential?.kind === 'https_token') {
    const basic = basicOf(credential)
    const header = `[http ${configString(address.url)}]\n\textraHeader = ${configString(`Authorization: Basic ${basic}`)}\n`
    await writeFile(file, header, { mode: 0o600 })
  }
  const pinned = addresses.map((one) => (one.includes(':') ? `[${one}]` : one)).join(',')
  return {
    config: [
      `http.curloptResolve=${address.host}:${address.port}:${pinned}`,
      ...(context.certificates === undefined ? [] : [`http.sslCAInfo=${context.certificates}`]),
    ],
    env: {
      GIT_ALLOW_PROTOCOL: 'https',
      ...(credential === undefined ? {} : { GIT_CONFIG_GLOBAL: file }),
    },
  }
}

/** The key is a file; the host is pinned to the address that was checked; its host key is remembered per organization. */
async function sshRemote({ address, addresses, repository, context, purse }: NetworkParts) {
  const { credential, organizationId } = repository
  const keyFile = join(purse, 'key')
  if (credential?.kind === 'ssh_key') {
    const key = credential.key.reveal().replaceAll('\r\n', '\n')
    await writeFile(keyFile, key.endsWith('\n') ? key : `${key}\n`, { mode: 0o600 })
  }
  const knownHosts = join(context.home, 'known_hosts')
  await mkdir(knownHosts, { recursive: true, mode: 0o700 })
  const options = [
    'BatchMode=yes',
    'StrictHostKeyChecking=accept-new',
    `UserKnownHostsFile=${configString(join(knownHosts, organizationId))}`,
    'GlobalKnownHostsFile=/dev/null',
    'UpdateHostKeys=no',
    `HostName=${addresses[0]}`,
    `HostKeyAlias=${address.port === 22 ? address.host : `[${address.host}]:${address.port}`}`,
    'IdentitiesOnly=yes',
    `IdentityFile=${credential ? configString(keyFile) : 'none'}`,
    'IdentityAgent=none',
    'ForwardAgent=no',
    'ClearAllForwardings=yes',
    'PermitLocalCommand=no',
    'ControlPath=none',
    'ConnectTimeout=20',
    'ServerAliveInterval=15',
    'ServerAliveCountMax=4',
  ]
  const command = ['ssh', '-F', '/dev/null', ...options.flatMap((option) => ['-o', option])]
  return {
    config: ['ssh.variant=ssh'],
    env: { GIT_ALLOW_PROTOCOL: 'ssh', GIT_SSH_COMMAND: command.map(quoted).join(' ') },
  }
}

function basicOf(credential: Extract<GitCredential, { kind: 'https_token' }>): string {
  return Buffer.from(`${credential.username}:${credential.token.reveal()}`).toString('base64')
}

/** Takes every form of the secret out of a text, and user names and passwords out of addresses in it. */
function redactor(credential: GitCredential | undefined): (text: string) => string {
  const forms: string[] = []
  if (credential?.kind === 'https_token') {
    const token = credential.token.reveal()
    forms.push(token, encodeURIComponent(token), basicOf(credential))
  } else if (credential?.kind === 'ssh_key') {
    forms.push(
      ...credential.key
        .reveal()
        .split(/\s*\n\s*/)
        .filter((line) => line.length > 16),
    )
  }
  const hidden = forms.filter((form) => form !== '').toSorted((a, b) => b.length - a.length)
  return (text) =>
    hidden
      .reduce((rest, form) => rest.replaceAll(form, '[secret]'), text)
      .replaceAll(/(\w+:\/\/)[^/\s@]+@/g, '$1')
}

async function openPurse(home: string): Promise<string> {
  const purses = join(home, 'purses')
  await mkdir(purses, { recursive: true, mode: 0o700 })
  return mkdtemp(join(purses, 'p-'))
}

function removePurse(purse: string): Promise<void> {
  return rm(purse, { recursive: true, force: true })
}

/** For git's configuration files and ssh's options: both take double quotes. */
function configString(text: string): string {
  return `"${text.replaceAll(/["\\]/g, '\\$&')}"`
}

/** For the two command lines that git runs through a shell. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`
}
