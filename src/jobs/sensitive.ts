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
  '**/.husky/**',
  '**/.githooks/**',
  '**/.pre-commit-config.yaml',
  'lefthook.yml',
  '**/.gitattributes',
  '**/.gitmodules',
  '**/.vscode/tasks.json',
  '**/.envrc',
] as const

/** Which of these paths wait for review. Case is ignored: some file systems ignore it too. */
export function sensitiveAmong(
  paths: readonly string[],
  patterns: readonly string[] = SENSITIVE_PATHS,
): readonly string[] {
  const lowered = patterns.map((pattern) => pattern.toLowerCase())
  return paths.filter((path) => lowered.some((pattern) => matchesGlob(path.toLowerCase(), pattern)))
}
