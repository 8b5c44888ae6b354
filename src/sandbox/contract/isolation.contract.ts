/** What a guest can see and do: no secret (T1), no network (T4, T5), no dangerous call (T28), nothing to write (T29, T30). */
import assert from 'node:assert/strict'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { isPerlMissing, probeCalls } from './probes.ts'
import { shell, tryShell, type Bench } from './bench.ts'

export async function isolationHolds(t: TestContext, bench: Bench): Promise<void> {
  const { guarantees } = bench.sandboxes
  const filesystem = bench.needs(guarantees.isolatedFilesystem, 'the host is visible')
  const namespaces = bench.needs(bench.technology === 'bubblewrap', 'no users and mounts of its own')
  const onLinux = process.platform === 'linux'
  const processes = bench.needs(guarantees.isolatedFilesystem && onLinux, 'no /proc of its own')
  const network = bench.needs(
    guarantees.noNetworkDevice && onLinux,
    'the host is reachable, or no /proc to look at',
  )
  const seccomp = bench.needs(guarantees.seccomp && !isPerlMissing(), 'no seccomp, or no perl to try it')
  process.env['FLOWFORGE_TEST_SECRET'] = 'canary-in-environment'
  await using sandbox = await bench.open()

  await t.test('T1: the environment is built from nothing', async () => {
    const environment = await shell(sandbox, 'env')
    assert.doesNotMatch(environment, /canary|ANTHROPIC|KUBERNETES|AWS_|TOKEN|SECRET/)
    assert.match(environment, /^HOME=/m)
  })

  await t.test(
    'T1: no process inside shows a secret, by environment or by arguments',
    processes,
    async () => {
      const result = await sandbox.run({
        argv: [
          '/bin/bash',
          '-c',
          'cat /proc/*/environ /proc/*/cmdline 2>/dev/null | tr "\\0" "\\n"; echo; echo pids $(ls /proc | grep -c "^[0-9]")',
        ],
        env: { OWN: 'canary-of-this-command' },
      })
      const seen = result.stdout.toString()
      assert.doesNotMatch(seen, /canary-in-environment/)
      // The command's own variable is in its own environment, and nowhere else: not in what started it.
      const init = await sandbox.run({
        argv: ['/bin/bash', '-c', 'tr "\\0" " " < /proc/1/cmdline; cat /proc/1/environ | wc -c'],
        env: { OWN: 'canary-of-this-command' },
      })
      assert.doesNotMatch(init.stdout.toString(), /canary/)
      // Besides its own few, a technology's relays.
      assert.ok(Number(/pids (\d+)/.exec(seen)?.[1]) < (bench.technology === 'bubblewrap' ? 8 : 16), seen)
    },
  )

  await t.test('T1: no descriptor of the worker is open inside', processes, async () => {
    const open = (await shell(sandbox, 'ls -l /proc/self/fd | grep -v "/dev/null$"'))
      .trim()
      .split('\n')
      .slice(1)
    assert.ok(open.length <= 4, open.join('\n'))
    for (const line of open) assert.match(line, /(pipe|socket|\/proc\/\d+\/fd|\.worker|\.ready)/, line)
  })

  await t.test(
    "T1: the host's files are not there: homes, FlowForge, passwords, mounts, cores",
    namespaces,
    async () => {
      const canary = join(bench.home, 'canary')
      writeFileSync(canary, 'canary')
      for (const path of [
        canary,
        bench.home,
        '/root',
        homedir(),
        '/etc/shadow',
        '/var',
        '/boot',
        '/sys',
        '/mnt',
        '/srv',
        '/run/secrets',
        '/var/run/secrets/kubernetes.io',
        '/home/agent/.claude',
        '/proc/1/root/etc/shadow',
      ])
        if (!path.startsWith('/home/agent') || path.endsWith('.claude'))
          assert.notEqual((await tryShell(sandbox, `ls ${path}`)).exitCode, 0, path)
      const mounts = await shell(sandbox, 'cat /proc/self/mountinfo')
      assert.doesNotMatch(mounts, /cgroup|securityfs|debugfs|docker/)
      assert.equal((await shell(sandbox, 'ulimit -c')).trim(), '0')
      rmSync(canary)
    },
  )

  await t.test('T29: user, capabilities, privileges', namespaces, async () => {
    const status = await shell(sandbox, 'cat /proc/self/status; id -u')
    for (const set of ['Inh', 'Prm', 'Eff', 'Bnd', 'Amb'])
      assert.match(status, new RegExp(`Cap${set}:\\t0{16}\\n`))
    assert.match(status, /NoNewPrivs:\t1/)
    assert.match(status, /Seccomp:\t2/)
    assert.match(status, /\n1000\n$/)
  })

  await t.test("T29: only what is the job's own can be written", namespaces, async () => {
    for (const path of [
      '/',
      '/usr',
      '/etc',
      '/opt/ff',
      '/run/ff',
      '/exchange/in',
      '/dev',
      '/proc/sys/kernel',
      '/run',
      '/home',
      '/bin',
    ])
      assert.notEqual((await tryShell(sandbox, `touch ${path}/x`)).exitCode, 0, path)
    await shell(
      sandbox,
      'for d in /workspace /state /cache /exchange/out /tmp $HOME /dev/shm; do touch $d/x && rm $d/x || exit 1; done',
    )
    const mounts = (await shell(sandbox, 'cat /proc/self/mounts'))
      .trim()
      .split('\n')
      .map((line) => line.split(' '))
    for (const [, point = '', , options = ''] of mounts) {
      assert.match(options, /nosuid/, point)
      const own =
        /^\/(workspace|state|cache|exchange\/out|tmp|home\/agent|dev\/(shm|pts|null|zero|full|random|urandom|tty)|proc)/
      if (!own.test(point)) assert.match(options, /^ro[,$]/, point)
    }
  })

  await t.test('T29: a set-uid program gives no rights', namespaces, async () => {
    const result = await tryShell(
      sandbox,
      'cp /usr/bin/id /workspace/id && chmod u+s /workspace/id && /workspace/id -u; su -c id 2>&1; true',
    )
    assert.match(result.stdout.toString(), /^1000\n/)
    assert.doesNotMatch(result.stdout.toString(), /uid=0/)
  })

  await t.test('T30: no socket of a runtime, a bus or an agent', namespaces, async () => {
    const found = await shell(
      sandbox,
      'find / -xdev -type s 2>/dev/null; find /run /var/run /tmp -type s 2>/dev/null; true',
    )
    assert.equal(found.replaceAll('/run/ff/model.sock\n', ''), '')
  })

  await t.test('T4, T5: there is no device but lo, and no way to any address', network, async () => {
    const devices = await shell(sandbox, 'tail -n +3 /proc/net/dev | cut -d: -f1 | tr -d " "')
    assert.equal(devices, 'lo\n')
    const targets = [
      '169.254.169.254/80',
      '10.0.0.1/443',
      '172.17.0.1/2375',
      '192.168.0.1/80',
      '1.1.1.1/443',
      '100.100.100.200/80',
    ]
    for (const target of targets)
      assert.match(
        (await tryShell(sandbox, `exec 3<>/dev/tcp/${target}`)).stderr.toString(),
        /unreachable/,
        target,
      )
    for (const target of ['fd00:ec2::254/80', '2606:4700::1111/443'])
      assert.notEqual((await tryShell(sandbox, `exec 3<>/dev/tcp/${target}`)).exitCode, 0, target)
    assert.notEqual((await tryShell(sandbox, 'echo data > /dev/udp/1.1.1.1/53')).exitCode, 0)
    assert.notEqual((await tryShell(sandbox, 'getent hosts data.example.com')).exitCode, 0)
  })

  await t.test('T4: nothing that listens on the host is reached at 127.0.0.1', network, async () => {
    assert.notEqual(
      (await tryShell(sandbox, 'exec 3<>/dev/tcp/127.0.0.1/22 || exec 3<>/dev/tcp/127.0.0.1/7420')).exitCode,
      0,
    )
  })

  await t.test('T28: no call that leads out of the sandbox is answered', seccomp, async () => {
    const answers = await probeCalls(sandbox)
    assert.ok(answers.length > 30)
    for (const { name, expected, answer } of answers)
      assert.ok(expected === 'allowed' ? answer === 'allowed' : answer !== 'allowed', `${name}: ${answer}`)
    for (const name of [
      'ptrace',
      'io_uring_setup',
      'socket AF_VSOCK',
      'keyctl',
      'userfaultfd',
      'unshare NEWUSER',
      'TIOCSTI high bits',
    ])
      assert.equal(answers.find((probe) => probe.name === name)?.answer, 'EPERM', name)
  })

  await t.test('a debugger works where it was asked for, and only that', seccomp, async () => {
    await using debugged = await bench.open({ seccomp: 'debugger' })
    const answers = await probeCalls(debugged)
    assert.equal(answers.find(({ name }) => name === 'ptrace')?.answer, 'allowed')
    assert.equal(answers.find(({ name }) => name === 'mount')?.answer, 'EPERM')
  })

  await t.test('a new user namespace cannot be made by any program', seccomp, async () => {
    assert.notEqual((await tryShell(sandbox, 'unshare -U true')).exitCode, 0)
    assert.notEqual((await tryShell(sandbox, 'bwrap --ro-bind / / true')).exitCode, 0)
  })

  await t.test('toolchains are seen where they are and cannot be written', filesystem, async () => {
    const toolchain = join(bench.home, 'toolchain')
    mkdirSync(join(toolchain, 'bin'), { recursive: true })
    writeFileSync(join(toolchain, 'bin', 'own-tool'), '#!/bin/sh\necho own tool\n', { mode: 0o755 })
    await using with_ = await bench.open({ toolchains: [toolchain] })
    assert.equal(await shell(with_, 'own-tool'), 'own tool\n')
    assert.notEqual((await tryShell(with_, `touch ${toolchain}/x`)).exitCode, 0)
    await assert.rejects(bench.open({ toolchains: ['/no/such/toolchain'] }), /does not exist/)
  })
  delete process.env['FLOWFORGE_TEST_SECRET']
}
