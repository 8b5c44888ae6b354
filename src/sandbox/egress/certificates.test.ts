import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import { connect, createServer } from 'node:tls'
import { createAuthority } from './certificates.ts'

test('the authority is one, and signs itself', () => {
  const certificate = new X509Certificate(createAuthority().certificate)
  assert.ok(certificate.ca)
  assert.ok(certificate.verify(certificate.publicKey))
  assert.ok(new Date(certificate.validTo) > new Date(Date.now() + 365 * 86_400_000))
})

test('a client that trusts it accepts the name, and no other', async () => {
  const authority = createAuthority()
  const server = createServer({
    SNICallback: (name, done) =>
      done(null, authority.contextFor(name === 'wrong.test' ? 'other.test' : name)),
  })
  server.on('secureConnection', (socket) => socket.on('error', () => undefined))
  server.on('tlsClientError', () => undefined)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  for (const servername of ['registry.test', `${'long-label.'.repeat(8)}test`]) {
    const client = connect({ port, host: '127.0.0.1', servername, ca: authority.certificate })
    await once(client, 'secureConnect')
    assert.ok(client.authorized)
    client.destroy()
  }
  const wrong = connect({ port, host: '127.0.0.1', servername: 'wrong.test', ca: authority.certificate })
  await assert.rejects(once(wrong, 'secureConnect'), { code: 'ERR_TLS_CERT_ALTNAME_INVALID' })
  const stranger = connect({
    port,
    host: '127.0.0.1',
    servername: 'registry.test',
    ca: createAuthority().certificate,
  })
  await assert.rejects(once(stranger, 'secureConnect'))
  server.close()
})
