/**
 * Paths whose edits wait for a person: what configures agents, runs in CI or runs as a hook. An agent that was
 * talked into changing them would otherwise change what the next one, or the build machine, does.
 */
import { matchesGlob } from 'node:path'

export const SENSITIVE_PATHS = [
  '**/.claude/**',
  '**/CLAUDE.md',
  '**/CLAUDE.local.md',
  '**/AGENTS.md',
  '**/GEMINI.md',
  '**/.cursor/**',
  '**/.cursorrules',
  '**/.mcp.json',
  '**/.claude.json',
  '.github/**',
  '.gitlab-ci.yml',
  '.gitlab/**',
  '.circleci/**',
  '.buildkite/**',
  '.forgejo/**',
  '.gitea/**',
  'azure-pipelines.yml',
  'bitbucket-pipelines.yml',
  'Jenkinsfile',
  '.travis.yml',
  '.drone.yml',
  '.woodpecker.yml',
  '.woodpecker/**',
  'appveyor.yml',
  '.appveyor.yml',
  '.azure-pipelines/**',
  'buildspec.yml',
  'cloudbuild.yaml',
  '.teamcity/**',
  '**/CODEOWNERS',
  '**/.husky/**',
  '**/.githooks/**',
  '**/.pre-commit-config.yaml',
  'lefthook.{yml,yaml,toml,json}',
  '.lefthook.{yml,yaml,toml,json}',
  '**/.gitattributes',
  '**/.gitmodules',
  '**/.vscode/{tasks,launch,settings}.json',
  '**/.devcontainer/**',
  '**/.devcontainer.json',
  '**/.envrc',
] as const

/**
 * Which of these paths wait for review. Case is ignored: some file systems ignore it too. `.claude/**` stands for
 * `.claude` as well: a link of that name brings in a folder whose own files match nothing.
 */
export function sensitiveAmong(
  paths: readonly string[],
  patterns: readonly string[] = SENSITIVE_PATHS,
): readonly string[] {
  const lowered = patterns.flatMap((pattern) => {
    const plain = pattern.toLowerCase()
    return plain.endsWith('/**') ? [plain, plain.slice(0, -3)] : [plain]
  })
  return paths.filter((path) => lowered.some((pattern) => matchesGlob(path.toLowerCase(), pattern)))
}

const INSTALL_SCRIPTS = [
  ...['preinstall', 'install', 'postinstall', 'prepublish', 'preprepare', 'prepare', 'postprepare'],
  'dependencies',
]

/** The scripts of a package.json that installing runs, as one text to compare; none when there is no file. */
export function installScriptsOf(manifest: string | undefined): string {
  try {
    // npm reads past a byte order mark.
    const { scripts } = JSON.parse((manifest ?? '{}').replace(/^\ufeff/, '')) as {
      readonly scripts?: Readonly<Record<string, unknown>>
    }
    return JSON.stringify(INSTALL_SCRIPTS.map((name) => scripts?.[name] ?? null))
  } catch {
    // A link to another file, or what another parser may read in its own way.
    return 'unreadable'
  }
}
