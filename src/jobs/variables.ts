/** Plain variables of a job: which names FlowForge keeps for itself, and which values look like secrets. */
import { refuse } from '#lib/errors.ts'

const RESERVED =
  /^(ANTHROPIC_|CLAUDE_|CLAUDECODE|FLOWFORGE_|GIT_|LD_|DYLD_|NODE_OPTIONS$|BASH_ENV$|ENV$|PATH$|HOME$|USER$|SHELL$|TMPDIR$|IFS$|HTTPS?_PROXY$|NO_PROXY$|ALL_PROXY$)/i

const SECRET_NAME = /(secret|passw|token|api_?key|private_?key|credential)/i
const SECRET_VALUE =
  /^(sk-|ghp_|gho_|ghs_|github_pat_|glpat-|xox[abp]-|AKIA[0-9A-Z]{16}|eyJ[A-Za-z0-9_-]{10,}\.)|-----BEGIN [A-Z ]*PRIVATE KEY-----/

/** Refuses reserved names; answers a warning for each value that should not be a plain variable. */
export function checkVariables(variables: Readonly<Record<string, string>>): readonly string[] {
  const warnings: string[] = []
  for (const [name, value] of Object.entries(variables)) {
    if (RESERVED.test(name)) throw refuse('variable_reserved', { name })
    if (SECRET_NAME.test(name) || SECRET_VALUE.test(value)) {
      warnings.push(
        `The variable ${name} looks like a secret. Variables are plain: the agent can read and print it, and it is kept in the database.`,
      )
    }
  }
  return warnings
}
