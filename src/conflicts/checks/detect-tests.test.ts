import assert from 'node:assert/strict'
import { test } from 'node:test'
import { detectProject, givenCheck } from './detect-tests.ts'
import { runTests } from './tests.ts'
import type { TestRequest } from './tests.ts'

function root(files: Readonly<Record<string, string>>): (path: string) => Promise<string | undefined> {
  return (path) => Promise.resolve(files[path])
}
const found = async (files: Readonly<Record<string, string>>): Promise<readonly string[]> =>
  (await detectProject(root(files))).map(({ argv }) => argv.join(' '))

test('npm, pnpm and yarn by their lock files', async () => {
  const manifest = { 'package.json': '{"scripts": {"test": "mocha"}}' }
  assert.deepEqual(await found({ ...manifest, 'package-lock.json': '' }), [
    'npm ci --no-audit --no-fund',
    'npm test',
  ])
  assert.deepEqual(await found({ ...manifest, 'pnpm-lock.yaml': '' }), [
    'pnpm install --frozen-lockfile',
    'pnpm test',
  ])
  assert.deepEqual(await found({ ...manifest, 'yarn.lock': '', 'tsconfig.json': '' }), [
    'yarn install --frozen-lockfile',
    'npx --no-install tsc --noEmit',
    'yarn test',
  ])
})

test('what npm init writes is no test, and neither is a broken manifest', async () => {
  assert.deepEqual(
    await found({ 'package.json': '{"scripts": {"test": "echo \\"Error: no test specified\\" && exit 1"}}' }),
    [],
  )
  assert.deepEqual(await found({ 'package.json': '{' }), [])
  assert.deepEqual(await found({}), [])
})

test('Go, Maven, Gradle and Python', async () => {
  assert.deepEqual(await found({ 'go.mod': 'module a' }), ['go vet ./...', 'go test ./...'])
  assert.deepEqual(await found({ 'pom.xml': '<project/>' }), ['mvn -B -q test-compile', 'mvn -B -q test'])
  assert.deepEqual(await found({ 'build.gradle.kts': '', gradlew: '' }), [
    '/bin/sh ./gradlew --console=plain test',
  ])
  assert.deepEqual(await found({ 'pyproject.toml': '[tool.pytest.ini_options]' }), [
    'python3 -m pip install -q -e .',
    'python3 -m compileall -q .',
    'python3 -m pytest -q',
  ])
  assert.deepEqual(await found({ 'requirements.txt': 'flask' }), [
    'python3 -m pip install -q -r requirements.txt',
    'python3 -m compileall -q .',
    'python3 -m unittest -q',
  ])
})

test('without a sandbox, and without tests, the layer is skipped and says why', async () => {
  const request: TestRequest = {
    sandboxes: undefined,
    commands: givenCheck('true'),
    merged: 'a',
    parents: ['b', 'c'],
    pack: () => Promise.reject(new Error('nothing may be packed')),
    spec: {
      limits: { memoryBytes: 1, processes: 1, cpus: 1, diskBytes: 1, inodes: 1, openFiles: 1, fileBytes: 1 },
      egress: { allow: [] },
      toolchains: [],
      seccomp: 'default',
    },
    name: (tree) => tree,
    timeLimitMs: 1000,
    signal: AbortSignal.timeout(1000),
  }
  const withoutSandbox = await runTests(request)
  assert.equal(withoutSandbox.outcome, 'skipped')
  assert.match(withoutSandbox.reason, /no sandbox/)
  assert.match((await runTests({ ...request, commands: [] })).reason, /no tests were found/)
})
