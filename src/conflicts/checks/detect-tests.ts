/** Which commands prove a project: its compile or type check and its own tests, found by the files at its root. */

export type ProjectCommand = {
  readonly kind: 'install' | 'compile' | 'tests'
  readonly argv: readonly string[]
}

/** Reads a file at the root of the tree; undefined when it is not there. */
export type ReadRoot = (path: string) => Promise<string | undefined>

/** In the order in which they run; empty when the project has no tests that we know how to run. */
export async function detectProject(read: ReadRoot): Promise<readonly ProjectCommand[]> {
  const found = [await fromNode(read), await fromGo(read), await fromJava(read), await fromPython(read)]
  return found.flat()
}

/** What a person gave with --check: run by a shell, because that is what people type. */
export function givenCheck(command: string): readonly ProjectCommand[] {
  return [{ kind: 'tests', argv: ['/bin/sh', '-c', command] }]
}

async function fromNode(read: ReadRoot): Promise<readonly ProjectCommand[]> {
  const text = await read('package.json')
  if (text === undefined) return []
  const scripts = scriptsOf(text)
  const test = scripts?.['test']
  // What `npm init` writes is no test.
  if (test === undefined || /no test specified/.test(test)) return []
  const compile: readonly ProjectCommand[] =
    (await read('tsconfig.json')) === undefined
      ? []
      : [{ kind: 'compile', argv: ['npx', '--no-install', 'tsc', '--noEmit'] }]
  if ((await read('pnpm-lock.yaml')) !== undefined)
    return [
      { kind: 'install', argv: ['pnpm', 'install', '--frozen-lockfile'] },
      ...compile,
      { kind: 'tests', argv: ['pnpm', 'test'] },
    ]
  if ((await read('yarn.lock')) !== undefined)
    return [
      { kind: 'install', argv: ['yarn', 'install', '--frozen-lockfile'] },
      ...compile,
      { kind: 'tests', argv: ['yarn', 'test'] },
    ]
  const locked =
    (await read('package-lock.json')) !== undefined || (await read('npm-shrinkwrap.json')) !== undefined
  return [
    { kind: 'install', argv: ['npm', locked ? 'ci' : 'install', '--no-audit', '--no-fund'] },
    ...compile,
    { kind: 'tests', argv: ['npm', 'test'] },
  ]
}

function scriptsOf(text: string): Readonly<Record<string, string>> | undefined {
  try {
    return (JSON.parse(text) as { readonly scripts?: Record<string, string> }).scripts
  } catch {
    // A broken package.json is for the syntax layer to tell.
    return undefined
  }
}

async function fromGo(read: ReadRoot): Promise<readonly ProjectCommand[]> {
  if ((await read('go.mod')) === undefined) return []
  return [
    { kind: 'compile', argv: ['go', 'vet', './...'] },
    { kind: 'tests', argv: ['go', 'test', './...'] },
  ]
}

async function fromJava(read: ReadRoot): Promise<readonly ProjectCommand[]> {
  if ((await read('pom.xml')) !== undefined) {
    const maven = (await read('mvnw')) === undefined ? ['mvn'] : ['/bin/sh', './mvnw']
    return [
      { kind: 'compile', argv: [...maven, '-B', '-q', 'test-compile'] },
      { kind: 'tests', argv: [...maven, '-B', '-q', 'test'] },
    ]
  }
  const gradle = (await read('build.gradle')) ?? (await read('build.gradle.kts'))
  if (gradle === undefined) return []
  const runner = (await read('gradlew')) === undefined ? ['gradle'] : ['/bin/sh', './gradlew']
  return [{ kind: 'tests', argv: [...runner, '--console=plain', 'test'] }]
}

async function fromPython(read: ReadRoot): Promise<readonly ProjectCommand[]> {
  const [toml, setup, config, ini, requirements] = await Promise.all(
    ['pyproject.toml', 'setup.py', 'setup.cfg', 'pytest.ini', 'requirements.txt'].map(read),
  )
  const tox = await read('tox.ini')
  const known = [toml, setup, config, ini, requirements, tox].filter((text) => text !== undefined)
  if (known.length === 0) return []
  const compile: ProjectCommand = { kind: 'compile', argv: ['python3', '-m', 'compileall', '-q', '.'] }
  const usesPytest = ini !== undefined || known.some((text) => /\bpytest\b/.test(text))
  const install: readonly ProjectCommand[] =
    toml === undefined && setup === undefined
      ? requirements === undefined
        ? []
        : [{ kind: 'install', argv: ['python3', '-m', 'pip', 'install', '-q', '-r', 'requirements.txt'] }]
      : [{ kind: 'install', argv: ['python3', '-m', 'pip', 'install', '-q', '-e', '.'] }]
  return [
    ...install,
    compile,
    {
      kind: 'tests',
      argv: usesPytest ? ['python3', '-m', 'pytest', '-q'] : ['python3', '-m', 'unittest', '-q'],
    },
  ]
}
