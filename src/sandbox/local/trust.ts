/** The list of authorities that sandboxes with egress trust: the host's and the gate's own. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { rootCertificates } from 'node:tls'
import type { Layout } from './layout.ts'
import { ownPrefix } from './process-identity.ts'

/** Where distributions keep the list; the first is also where most programs look for it. */
const USUAL_PLACES = ['/etc/ssl/certs/ca-certificates.crt', '/etc/pki/tls/certs/ca-bundle.crt'] as const
const GUEST_PATH = '/etc/flowforge-ca.pem'

export type Trust = {
  /** Guest path to host path. */
  readonly files: Readonly<Record<string, string>>
  readonly environment: Readonly<Record<string, string>>
}

export function writeTrust(layout: Layout, authority: string): Trust {
  const path = join(layout.worker, `${ownPrefix()}-ca.pem`)
  const [place, list] = hostList()
  writeFileSync(path, `${list.trimEnd()}\n${authority}`, { mode: 0o644 })
  const names = [
    'NODE_EXTRA_CA_CERTS',
    'SSL_CERT_FILE',
    'REQUESTS_CA_BUNDLE',
    'PIP_CERT',
    'CURL_CA_BUNDLE',
    'GIT_SSL_CAINFO',
    'CARGO_HTTP_CAINFO',
  ]
  return {
    files: { [GUEST_PATH]: path, ...(place ? { [place]: path } : {}) },
    environment: Object.fromEntries(names.map((name) => [name, GUEST_PATH])),
  }
}

function hostList(): readonly [place: string | undefined, list: string] {
  for (const place of USUAL_PLACES) {
    try {
      return [place, readFileSync(place, 'utf8')]
    } catch {
      // Not this distribution.
    }
  }
  return [undefined, rootCertificates.join('\n')]
}
