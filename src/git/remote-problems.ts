import type { GitAnswer } from './run-git.ts'
import type { Unreachable } from './outcomes.ts'

type Known = readonly [pattern: RegExp, temporary: boolean, problem: string]

/** What git, curl and ssh say, in the order of how telling it is: a refusal also ends with "hung up unexpectedly". */
const KNOWN: readonly Known[] = [
  [
    /could not read (Username|Password)|Authentication failed|requested URL returned error: 401/i,
    false,
    'the server wants other credentials (401).',
  ],
  [/requested URL returned error: 403/i, false, 'the credential may not do that (403).'],
  [
    /requested URL returned error: (404|410)|[Rr]epository '[^']*' not found/,
    false,
    'the server knows no such repository, or not for this credential.',
  ],
  [
    /unable to update url base from redirection|returned error: 30\d/i,
    false,
    'the server sends to another address; register that one instead.',
  ],
  [
    /SSL certificate problem|server certificate verification failed|SSL: /i,
    false,
    'the certificate of the server is not trusted.',
  ],
  [
    /Host key verification failed|REMOTE HOST IDENTIFICATION HAS CHANGED/,
    false,
    'the SSH host key of the server is not the one it had before.',
  ],
  [/Permission denied \(/, false, 'the SSH key is not accepted.'],
  [
    /Load key .*(invalid format|error in libcrypto)/,
    false,
    'the SSH key cannot be read; it must be a private key without a passphrase.',
  ],
  [/dubious ownership/, false, 'the folder belongs to another user.'],
  [
    /does not appear to be a git repository|not a git repository|repository .* does not exist/i,
    false,
    'it is not a git repository.',
  ],
  [/transport '[^']*' not allowed/, false, 'that kind of address is not allowed.'],
  [
    /fsck error|object of unexpected type|fsckObjects|invalid index-pack output/i,
    false,
    'its objects do not pass the check of git.',
  ],
  [/No space left on device/i, true, 'no space is left on the disk.'],
  [/Could not resolve host/i, true, 'the host name could not be resolved.'],
  [
    /Connection refused|Failed to connect|No route to host|Network is unreachable|port \d+: /i,
    true,
    'the server does not answer.',
  ],
  [/timed out|Operation too slow/i, true, 'the server takes too long.'],
  [/requested URL returned error: (5\d\d|429|408)/i, true, 'the server has a fault or too much to do.'],
  [
    /early EOF|RPC failed|hung up unexpectedly|unexpected disconnect|Connection (reset|closed)|kex_exchange_identification|gnutls|SSL_/i,
    true,
    'the connection broke.',
  ],
]

/** Reads a failed fetch, ls-remote or push as "the remote could not be used". */
export function readUnreachable(answer: GitAnswer): Unreachable {
  if (answer.ended === 'silent')
    return { kind: 'unreachable', problem: 'the server was silent for too long.', temporary: true }
  if (answer.ended === 'too-long')
    return { kind: 'unreachable', problem: 'the server did not come to an end.', temporary: true }
  for (const [pattern, temporary, problem] of KNOWN)
    if (pattern.test(answer.stderr))
      return { kind: 'unreachable', problem: withRemoteText(problem, answer.stderr), temporary }
  return {
    kind: 'unreachable',
    problem: lastWords(answer.stderr) || `git ended with code ${answer.code}.`,
    temporary: true,
  }
}

/** A server's own sentence often says more than the code. */
function withRemoteText(problem: string, stderr: string): string {
  const said = remoteText(stderr)
  return said === '' ? problem : `${problem} It said: ${said}`
}

/** What the server and its hooks printed, in one line of at most 500 characters. */
export function remoteText(stderr: string): string {
  const lines = stderr.split('\n').flatMap((line) => /^remote: ?(.*)$/.exec(line)?.[1] ?? [])
  return lines
    .map((line) => line.trim())
    .filter((line) => line !== '')
    .join(' ')
    .slice(0, 500)
}

function lastWords(stderr: string): string {
  const lines = stderr.split('\n').filter((line) => /^(fatal|error|remote): /.test(line))
  return lines.slice(0, 3).join(' ').slice(0, 500)
}
