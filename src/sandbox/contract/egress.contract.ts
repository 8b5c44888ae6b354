/** The way out (T4-T8): only what the policy names, however the guest asks. */
import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import type { EgressDecision, EgressPolicy, GuestResult } from '../sandbox.ts'
import { specification, type Bench } from './bench.ts'
import { isPerlMissing } from './probes.ts'
import { createInternet } from './upstreams.ts'

export async function egressBehaves(t: TestContext, bench: Bench): Promise<void> {
  const options = bench.needs(bench.sandboxes.guarantees.noNetworkDevice, 'the network is not ours')
  await t.test('the egress gate', options, async (part) => {
    await using internet = await createInternet()
    const { httpPort, httpsPort, seen } = internet
    const policy: EgressPolicy = {
      allow: [
        { host: 'good.test', port: httpPort, paths: ['/pkg/', '/redirect'] },
        { host: 'good.test', port: httpsPort, tls: true },
        { host: 'tunnel.test', port: httpsPort, tunnel: true },
        ...['rebound.test', 'local.test', 'private.test', 'mapped.test', 'nowhere.test'].map((host) => ({
          host,
          port: httpPort,
        })),
      ],
    }
    await using sandboxes = await bench.create({ home: bench.home, ...internet })
    const decisions: EgressDecision[] = []
    await using sandbox = await sandboxes.open(
      specification({ egress: policy }),
      { onEgress: (decision) => decisions.push(decision) },
      new AbortController().signal,
    )
    const node = (script: string, env: Record<string, string> = {}): Promise<GuestResult> =>
      sandbox.run({ argv: ['/opt/ff/node', '--input-type=module', '-e', script], env }, { timeoutMs: 30_000 })
    /** Asks as most programs do: plain HTTP through the proxy, https by CONNECT. Answers status and body, or the error. */
    const ask = async (
      url: string,
      { method = 'GET', host }: { method?: string; host?: string } = {},
    ): Promise<string> => {
      const script = `
        const { request } = await import(${JSON.stringify(url.startsWith('https') ? 'node:https' : 'node:http')});
        const options = ${JSON.stringify({ method, ...(host ? { headers: { host }, servername: 'good.test' } : {}) })};
        const out = await new Promise((done) => request(${JSON.stringify(url)}, options, async (r) => {
          let text = ''; for await (const chunk of r) text += chunk; done(r.statusCode + ' ' + (r.headers.location ?? '') + text)
        }).on('error', (e) => done('failed ' + (e.code ?? e.message))).end()); console.log(out)`
      return (await node(script)).stdout.toString().trim()
    }
    /** Sends each text on a connection of its own to the relay, as it is, and answers all that comes back. */
    const sendEach = async (...texts: string[]): Promise<string[]> => {
      const script = `
        import { connect } from 'node:net'
        const send = (text) => new Promise((done) => {
          let heard = ''
          const s = connect(Number(new URL(process.env.http_proxy).port), '127.0.0.1', async () => {
            for (const part of text.split('<pause>')) { s.write(part, 'latin1'); await new Promise((r) => setTimeout(r, 50)) }
            wait(heard === '' ? 2000 : 300)
          })
          let timer
          const wait = (ms) => { clearTimeout(timer); timer = setTimeout(() => s.destroy(), ms) }
          s.on('data', (chunk) => { heard += chunk; wait(300) }).on('error', () => {}).on('close', () => done(heard))
        })
        console.log(JSON.stringify(await Promise.all(${JSON.stringify(texts)}.map(send))))`
      return JSON.parse((await node(script)).stdout.toString()) as string[]
    }
    const sendRaw = async (text: string): Promise<string> => (await sendEach(text))[0]!
    const deniesEach = async (texts: string[], expected: RegExp): Promise<void> => {
      for (const [index, answer] of (await sendEach(...texts)).entries())
        assert.match(answer, expected, texts[index])
    }
    const lastDecision = (): EgressDecision | undefined => decisions.at(-1)

    await part.test('an allowed host answers over plain HTTP and over https', async () => {
      assert.equal(await ask(`http://good.test:${httpPort}/pkg/a?b=c`), '200 answer to GET /pkg/a?b=c')
      assert.equal(await ask(`https://good.test:${httpsPort}/any`), '200 answer to GET /any')
      assert.deepEqual(
        seen.slice(-2).map(({ host, url }) => [host, url]),
        [
          [`good.test:${httpPort}`, '/pkg/a?b=c'],
          [`good.test:${httpsPort}`, '/any'],
        ],
      )
      assert.deepEqual(lastDecision(), {
        verdict: 'allowed',
        target: `https://good.test:${httpsPort}/any`,
        method: 'GET',
      })
    })

    await part.test('plain HTTP inside becomes TLS outside', async () => {
      assert.match(
        await sendRaw(`GET http://good.test/up HTTP/1.1\r\nHost: good.test\r\n\r\n`),
        /^HTTP\/1\.1 200 [^]*answer to GET \/up/,
      )
    })

    await part.test('T7: other hosts, ports and protocols are denied, and it is told', async () => {
      assert.match(await ask('http://evil.test/'), /^403 .*host not allowed/)
      assert.match(await ask('https://evil.test/'), /^failed/)
      assert.match(await ask('http://good.test:22/'), /^403 .*port/)
      assert.match(await ask('https://good.test:444/'), /^failed/)
      assert.equal(decisions.at(-1)?.verdict, 'denied')
      assert.match(await ask('http://sub.good.test/'), /^403/)
    })

    await part.test(
      'T8: nothing is published: methods that write are denied, by http and by https',
      async () => {
        for (const method of ['PUT', 'POST', 'DELETE', 'PATCH'])
          for (const url of [`http://good.test:${httpPort}/pkg/x`, `https://good.test:${httpsPort}/x`])
            assert.match(await ask(url, { method }), /^403 .*method not allowed/, `${method} ${url}`)
        const smuggled = await sendRaw(
          'GET http://good.test/x HTTP/1.1\r\nHost: good.test\r\nContent-Length: 5\r\n\r\nstolen',
        )
        assert.match(smuggled, /^HTTP\/1\.1 400/)
        assert.ok(!seen.some(({ method }) => method !== 'GET'))
      },
    )

    await part.test('paths outside the rule are denied, however they are written', async () => {
      const paths = [
        '/other',
        '/pkg',
        '/pkg/../other',
        '/pkg/%2e%2e/other',
        '/pkg/%252e%252e/other',
        '/pkg/..%2fother',
        '/pkg/..%5cother',
        '//pkg/',
      ]
      await deniesEach(
        paths.map(
          (path) => `GET http://good.test:${httpPort}${path} HTTP/1.1\r\nHost: good.test:${httpPort}\r\n\r\n`,
        ),
        /^HTTP\/1\.1 403/,
      )
    })

    await part.test('T6: Host and URL must agree, outside and inside of TLS', async () => {
      assert.match(
        await sendRaw('GET http://good.test/x HTTP/1.1\r\nHost: evil.test\r\n\r\n'),
        /^HTTP\/1\.1 400/,
      )
      assert.match(
        await sendRaw('GET http://good.test/x HTTP/1.1\r\nHost: good.test\r\nHost: evil.test\r\n\r\n'),
        /^HTTP\/1\.1 40[03]|answer to GET \/x/,
      )
      assert.match(
        await sendRaw('GET http://user@good.test/x HTTP/1.1\r\nHost: good.test\r\n\r\n'),
        /^HTTP\/1\.1 400/,
      )
      assert.match(await ask(`https://good.test:${httpsPort}/x`, { host: 'evil.test' }), /^400/)
      assert.ok(!seen.some(({ host }) => host.includes('evil')))
    })

    await part.test('T6: two requests in one, and lengths that disagree, are not passed on', async () => {
      const both = await sendRaw(
        'GET http://good.test/a HTTP/1.1\r\nHost: good.test\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /b HTTP/1.1\r\nHost: evil.test\r\n\r\n',
      )
      assert.match(both, /^HTTP\/1\.1 400/)
      const pipelined = await sendRaw(
        'GET http://good.test/c HTTP/1.1\r\nHost: good.test\r\n\r\nGET http://evil.test/d HTTP/1.1\r\nHost: evil.test\r\n\r\n',
      )
      assert.match(pipelined, /answer to GET \/c[^]*HTTP\/1\.1 403/)
      assert.ok(!seen.some(({ url }) => url === '/b' || url === '/d'))
    })

    await part.test('headers that end at a proxy, and those that Connection names, end here', async () => {
      await sendRaw(
        'GET http://good.test/h HTTP/1.1\r\nHost: good.test\r\nConnection: x-secret\r\nX-Secret: 1\r\nProxy-Authorization: Basic abc\r\nTE: trailers\r\nX-Kept: 1\r\n\r\n',
      )
      const { headers } = seen.find(({ url }) => url === '/h')!
      assert.deepEqual(
        [headers['x-secret'], headers['proxy-authorization'], headers.te, headers['x-kept']],
        [undefined, undefined, undefined, '1'],
      )
    })

    await part.test('T6: addresses are no names, in any spelling', async () => {
      const hosts = [
        '127.0.0.1',
        '2130706433',
        '0x7f000001',
        '0177.0.0.1',
        '127.1',
        '[::1]',
        '[::ffff:127.0.0.1]',
        '169.254.169.254',
        'localhost',
        'good.test.',
      ]
      await deniesEach(
        hosts.map(
          (host) => `GET http://${host}:${httpPort}/pkg/ HTTP/1.1\r\nHost: ${host}:${httpPort}\r\n\r\n`,
        ),
        /^HTTP\/1\.1 40[03]/,
      )
    })

    await part.test('T4: an allowed name that leads to a private address is denied', async () => {
      for (const host of ['rebound.test', 'local.test', 'private.test', 'mapped.test', 'nowhere.test'])
        assert.match(await ask(`http://${host}:${httpPort}/`), /^403 .*no allowed address/, host)
    })

    await part.test(
      'T6: a redirect is not followed by us, and the next request is checked again',
      async () => {
        assert.equal(await ask(`http://good.test:${httpPort}/redirect`), '302 http://evil.test/stolen')
        const follow = `const r = await fetch('http://good.test:${httpPort}/redirect').catch((e) => ({ status: 'failed' })); console.log(r.status)`
        assert.equal((await node(follow)).stdout.toString(), 'failed\n')
        assert.ok(!seen.some(({ url }) => url === '/stolen'))
      },
    )

    await part.test('a program that tunnels even plain HTTP is read all the same', async () => {
      const script = (url: string): string =>
        `const r = await fetch(${JSON.stringify(url)}); console.log(r.status, await r.text())`
      assert.equal(
        (await node(script(`http://good.test:${httpPort}/pkg/t`))).stdout.toString(),
        '200 answer to GET /pkg/t\n',
      )
      assert.match(
        (await node(script(`http://good.test:${httpPort}/other`))).stdout.toString(),
        /^403 .*path not allowed/,
      )
    })

    await part.test('an upgrade is not carried through', async () => {
      await sendRaw(
        'GET http://good.test/ws HTTP/1.1\r\nHost: good.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n',
      )
      assert.ok(!seen.some(({ headers }) => headers.upgrade !== undefined))
    })

    await part.test('a tunnel opens only for the name that it was asked for', async () => {
      const tunnel = (name: string): string =>
        `import { connect } from 'node:net'; import tls from 'node:tls'; const s = connect(Number(new URL(process.env.http_proxy).port), '127.0.0.1'); s.write('CONNECT tunnel.test:${httpsPort} HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n'); s.once('data', () => { const t = tls.connect({ socket: s, servername: ${JSON.stringify(name)}, rejectUnauthorized: false }, () => { t.write('GET /inside HTTP/1.1\\r\\nHost: tunnel.test\\r\\nConnection: close\\r\\n\\r\\n'); t.pipe(process.stdout) }); t.on('error', (e) => console.log('failed', e.code)) })`
      assert.match((await node(tunnel('tunnel.test'))).stdout.toString(), /answer to GET \/inside/)
      assert.match(lastDecision()?.reason ?? '', /content not seen/)
      assert.match((await node(tunnel('evil.test'))).stdout.toString(), /^failed/)
      assert.match(
        await sendRaw(`CONNECT tunnel.test:${httpsPort} HTTP/1.1\r\nHost: x\r\n\r\n<pause>SSH-2.0-evil\r\n`),
        /^HTTP\/1\.1 200 [^\n]*\r\n\r\n$/,
      )
      assert.match(lastDecision()?.reason ?? '', /no TLS handshake|not the one/)
    })

    await part.test('CONNECT to anything else is denied', async () => {
      const targets = [
        'evil.test:443',
        'good.test:22',
        '127.0.0.1:22',
        '[::1]:22',
        'good.test',
        `good.test@evil.test:443`,
        '/run/ff/model.sock:1',
      ]
      await deniesEach(
        targets.map((target) => `CONNECT ${target} HTTP/1.1\r\nHost: x\r\n\r\n`),
        /^HTTP\/1\.1 40[03]/,
      )
    })

    await part.test(
      'T7: without the proxy there is no way, and nothing is there when the relay is not wanted',
      async () => {
        const direct = `try { await fetch('https://good.test:${httpsPort}/direct'); console.log('out') } catch (e) { console.log('stays') }`
        assert.equal(
          (
            await node(direct, { NODE_USE_ENV_PROXY: '0', https_proxy: '', HTTPS_PROXY: '' })
          ).stdout.toString(),
          'stays\n',
        )
        // Where the technology has a relay of its own, it may answer, and leads nowhere.
        const ask = `exec 3<>/dev/tcp/127.0.0.1/3128 && printf "GET http://good.test:${httpPort}/pkg/n HTTP/1.0\\r\\nHost: good.test:${httpPort}\\r\\n\\r\\n" >&3 && cat <&3 | grep HTTP/1`
        const without = await sandbox.run({ argv: ['/bin/bash', '-c', ask], network: false })
        assert.notEqual(without.exitCode, 0)
        assert.ok(!seen.some(({ url }) => url === '/direct'))
      },
    )

    const perl = bench.needs(
      bench.technology === 'bubblewrap' && !isPerlMissing(),
      'no ports below 1024, or no perl to open them',
    )
    await part.test(
      'a program that knows no proxy reaches an allowed name, and nothing else',
      perl,
      async () => {
        const script = `
        const ask = (url) => fetch(url).then(async (r) => r.status + ' ' + (await r.text()).trim(), (e) => 'failed ' + (e.cause?.code ?? e.message))
        for (const url of ['http://good.test/naive', 'http://evil.test/naive', 'https://evil.test/naive', 'http://127.64.9.9/', 'http://1.1.1.1/']) console.log(await ask(url))`
        const unset = Object.fromEntries(
          ['http_proxy', 'https_proxy', 'HTTP_PROXY', 'HTTPS_PROXY'].map((name) => [name, '']),
        )
        const { stdout } = await node(script, { ...unset, NODE_USE_ENV_PROXY: '0' })
        const [good, evil, evilTls, unnamed, address] = stdout.toString().trim().split('\n')
        assert.equal(good, '200 answer to GET /naive')
        assert.match(evil ?? '', /^403 .*host not allowed/)
        assert.match(evilTls ?? '', /^failed/)
        assert.match(unnamed ?? '', /^(403|400|failed)/)
        assert.match(address ?? '', /^failed ENETUNREACH/)
        const look = 'tail -n +3 /proc/net/dev | cut -d: -f1 | tr -d " "; grep -E "^Cap" /proc/self/status'
        const devices = await sandbox.run({ argv: ['/bin/bash', '-c', look] })
        assert.match(devices.stdout.toString(), /^lo\n(Cap\w+:\t0{16}\n){5}$/)
      },
    )

    await part.test('the relay leaves no trace in the command: exit codes, signals, streams', async () => {
      for (const network of [true, 'background'] as const) {
        const result = await sandbox.run({ argv: ['/bin/bash', '-c', 'echo out; wait; exit 9'], network })
        assert.deepEqual(
          [result.exitCode, result.stdout.toString(), result.stderr.toString()],
          [9, 'out\n', ''],
        )
        assert.equal((await sandbox.run({ argv: ['no-such-program'], network })).exitCode, 127)
      }
    })
  })
}
