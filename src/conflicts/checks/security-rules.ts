/**
 * What new code must not do unseen. A rule has a quick look (a regular expression over new lines) and, where the language
 * has a grammar, a structural rule that decides: a word inside a string or a comment is no call.
 */
import type { Language } from './language.ts'

export type SecurityRule = {
  readonly id: string
  readonly languages: readonly Language[] | 'any'
  /** Quick look over one new line. */
  readonly hint: RegExp
  /** ast-grep patterns, any of which confirms. Without patterns the hint decides. */
  readonly patterns?: readonly string[]
  readonly says: string
}

const SCRIPTS = ['javascript', 'typescript', 'tsx'] as const

export const SECURITY_RULES: readonly SecurityRule[] = [
  {
    id: 'eval',
    languages: ['python'],
    hint: /\b(eval|exec|compile|__import__)\s*\(/,
    patterns: [
      'eval($$$)',
      'exec($$$)',
      '__import__($$$)',
      'compile($$$)',
      'builtins.eval($$$)',
      'builtins.exec($$$)',
    ],
    says: 'runs text as code',
  },
  {
    id: 'shell',
    languages: ['python'],
    hint: /\b(os\.(system|popen|exec\w+|spawn\w+)|commands\.get\w+|subprocess\.\w+|popen2?|Popen|check_output|check_call|pty\.spawn)\s*\(/,
    patterns: [
      'os.system($$$)',
      'os.popen($$$)',
      'commands.getoutput($$$)',
      'commands.getstatusoutput($$$)',
      'subprocess.$F($$$)',
      'Popen($$$)',
      'check_output($$$)',
      'check_call($$$)',
      'pty.spawn($$$)',
      'os.execv($$$)',
      'os.execl($$$)',
      'os.execvp($$$)',
      'os.spawnl($$$)',
      'os.spawnv($$$)',
    ],
    says: 'starts a program',
  },
  {
    id: 'deserialize',
    languages: ['python'],
    hint: /\b(c?pickle|_pickle|marshal|shelve|dill|jsonpickle)\.(loads?|open|decode)\s*\(|\byaml\.(load|unsafe_load|full_load)(_all)?\s*\(/i,
    patterns: [
      'pickle.loads($$$)',
      'pickle.load($$$)',
      'cPickle.loads($$$)',
      'cPickle.load($$$)',
      '_pickle.loads($$$)',
      'marshal.loads($$$)',
      'marshal.load($$$)',
      'shelve.open($$$)',
      'dill.loads($$$)',
      'jsonpickle.decode($$$)',
      'yaml.load($$$)',
      'yaml.unsafe_load($$$)',
      'yaml.load_all($$$)',
    ],
    says: 'turns foreign data into objects',
  },
  {
    id: 'eval',
    languages: SCRIPTS,
    hint: /\b(eval|Function|execScript)\s*\(|\bset(Timeout|Interval)\s*\(\s*['"`]|\bvm\.\w+\s*\(/,
    patterns: [
      'eval($$$)',
      'new Function($$$)',
      'Function($$$)',
      'window.eval($$$)',
      'globalThis.eval($$$)',
      'global.eval($$$)',
      'vm.runInNewContext($$$)',
      'vm.runInThisContext($$$)',
      'vm.runInContext($$$)',
    ],
    says: 'runs text as code',
  },
  {
    id: 'shell',
    languages: SCRIPTS,
    hint: /child_process|\b(exec|execSync|spawn|spawnSync|execFile|execFileSync|fork)\s*\(/,
    patterns: [
      "require('child_process')",
      'require("child_process")',
      "require('node:child_process')",
      'require("node:child_process")',
      "import $$$ from 'child_process'",
      'exec($$$)',
      'execSync($$$)',
      'spawn($$$)',
      'spawnSync($$$)',
      'execFile($$$)',
      'execFileSync($$$)',
      '$C.exec($A, { $$$ })',
      '$C.execSync($$$)',
      '$C.spawn($$$)',
      '$C.spawnSync($$$)',
      '$C.execFile($$$)',
      '$C.execFileSync($$$)',
    ],
    says: 'starts a program',
  },
  {
    id: 'deserialize',
    languages: SCRIPTS,
    hint: /\bunserialize\s*\(|\bdeserialize\s*\(|\.innerHTML\s*=|dangerouslySetInnerHTML|document\.write\s*\(/,
    says: 'turns foreign data into objects or markup',
  },
  {
    id: 'shell',
    languages: ['go'],
    hint: /\b(exec\.Command(Context)?|syscall\.(Exec|ForkExec)|os\.StartProcess)\s*\(|"os\/exec"|"plugin"|"unsafe"/,
    patterns: [
      'exec.Command($$$)',
      'exec.CommandContext($$$)',
      'syscall.Exec($$$)',
      'syscall.ForkExec($$$)',
      'os.StartProcess($$$)',
      '"os/exec"',
      '"unsafe"',
    ],
    says: 'starts a program or leaves memory safety',
  },
  {
    id: 'deserialize',
    languages: ['go'],
    hint: /\bgob\.NewDecoder\s*\(|\btemplate\.(HTML|JS|URL)\s*\(/,
    says: 'takes foreign data as safe',
  },
  {
    id: 'shell',
    languages: ['java'],
    hint: /\bgetRuntime\s*\(\)|\bProcessBuilder\s*\(|\bScriptEngine|\.exec\s*\(|\bMethodHandles?\b.*lookup|\bdefineClass\s*\(/,
    patterns: [
      'Runtime.getRuntime()',
      'new ProcessBuilder($$$)',
      'new ScriptEngineManager($$$)',
      '$X.defineClass($$$)',
    ],
    says: 'starts a program or runs text as code',
  },
  {
    id: 'deserialize',
    languages: ['java'],
    hint: /\bObjectInputStream\s*\(|\bXMLDecoder\s*\(|\.readObject\s*\(|\benableDefaultTyping\s*\(|\bnew\s+XStream\s*\(/,
    patterns: ['new ObjectInputStream($$$)', 'new XMLDecoder($$$)', '$X.readObject($$$)', 'new XStream($$$)'],
    says: 'turns foreign data into objects',
  },
  {
    id: 'shell',
    languages: ['shell', 'yaml', 'json', 'text', 'toml', 'xml'],
    hint: /\b(curl|wget)\b[^|\n]*\|\s*(sudo\s+)?(ba|z|da)?sh\b|\beval\s+["'$(]|\bbase64\s+(-d|--decode)\b|\bnc\s+-e\b|\/dev\/tcp\/|\brm\s+-rf\s+["']?[/~$]|"(pre|post)install"\s*:/,
    says: 'runs what it fetched or hides what it runs',
  },
  {
    id: 'weakened-tls',
    languages: 'any',
    hint: /\bverify\s*=\s*False\b|\brejectUnauthorized['"]?\s*:\s*false\b|\bInsecureSkipVerify\s*:\s*true\b|NODE_TLS_REJECT_UNAUTHORIZED|_create_unverified_context|\bCERT_NONE\b|\bcheck_hostname\s*=\s*False\b|\bverify_ssl\s*=\s*False\b|ALLOW_ALL_HOSTNAME_VERIFIER|NoopHostnameVerifier|TrustAll(Certs|Strategy)?\b|disable_warnings\s*\(|StrictHostKeyChecking[= ]no|\bcurl\b.*\s(-k|--insecure)\b|sslVerify[= ]false|strict-ssl[= ]false|GIT_SSL_NO_VERIFY|GONOSUMCHECK|GOFLAGS=.*-insecure|--no-check-certificate|--trusted-host/,
    says: 'turns a check of certificates or hosts off',
  },
  {
    id: 'weakened-auth',
    languages: 'any',
    hint: /\bcsrf_exempt\b|\bpermitAll\s*\(|\bAllowAny\b|\bcsrf\s*\(\s*\)\s*\.\s*disable|\bskip_before_action\b|\bchmod\s+(-R\s+)?0?777\b|\bauth(enticate|orized?)?\s*[:=]\s*(false|None|null)\b|\balgorithms?\s*[:=]\s*\[?\s*['"]none['"]|\bAccess-Control-Allow-Origin['"]?\s*[,:]\s*['"]\*|--no-verify\b|\bdangerouslyDisable\w+|\bsetenforce\s+0\b/,
    says: 'takes a check of rights away',
  },
  {
    id: 'weakened-scan',
    languages: 'any',
    hint: /#\s*nosec\b|\/\/\s*#?nosec\b|nolint:\s*gosec|nosemgrep|@ts-nocheck|eslint-disable(?!-next-line)[^*]*(security|no-eval|\*\/)/,
    says: 'tells a scanner to look away',
  },
]

/** Lines whose loss weakens the program: who may do what. */
export const GUARD =
  /@(login_required|requires?_\w+|permission_required|auth\w*|PreAuthorize|Secured|RolesAllowed)\b|\b(require|check|assert|verify|ensure|is|has)_?(Auth\w*|Login|Permission|Role|Admin|Signature|Token|Csrf\w*)\b|\b(authenticate|authorize|csrf_protect|verify_signature|compare_digest|timingSafeEqual|ConstantTimeCompare)\b/i

/** Files that decide what runs, on whose machine, with which rights. */
const POWERFUL: readonly (readonly [RegExp, string])[] = [
  [
    /(^|\/)(\.github\/(workflows|actions)\/|\.circleci\/|\.buildkite\/|\.woodpecker)|(^|\/)(\.gitlab-ci\.ya?ml|\.travis\.yml|azure-pipelines\.ya?ml|Jenkinsfile|appveyor\.yml|\.drone\.yml|bitbucket-pipelines\.yml)$/i,
    'a CI file',
  ],
  [
    /(^|\/)(\.husky|\.githooks|githooks|hooks\/(pre|post)-[a-z-]+)(\/|$)|(^|\/)(\.pre-commit-config\.ya?ml|lefthook\.ya?ml|\.lintstagedrc\w*|\.gitattributes|\.gitmodules)$/i,
    'a hook or git setting',
  ],
  [
    /(^|\/)(\.claude|\.cursor|\.codex|\.gemini|\.aider\w*|\.continue)(\/|$)|(^|\/)(CLAUDE|AGENTS|GEMINI)\.md$|(^|\/)(\.mcp\.json|\.cursorrules|\.windsurfrules|copilot-instructions\.md)$/,
    'a setting of agents',
  ],
  [
    /(^|\/)(\.npmrc|\.yarnrc(\.yml)?|pip\.conf|\.pypirc|\.netrc|\.envrc)$|(^|\/)\.vscode\/(tasks|launch|settings)\.json$|(^|\/)\.devcontainer\//,
    'a setting that runs programs',
  ],
]

export function powerOf(path: string): string | undefined {
  return POWERFUL.find(([pattern]) => pattern.test(path))?.[1]
}

/** In test files: what keeps a test from telling. */
export const TEST_WEAKENERS: readonly (readonly [RegExp, string])[] = [
  [
    /@(pytest\.mark\.(skip|skipif|xfail)|unittest\.(skip|expectedFailure)\w*|skip\w*|Disabled|Ignore)\b|\bpytest\.(skip|xfail)\s*\(|\bself\.skipTest\s*\(|\bt\.Skip(Now|f)?\s*\(|\b(it|test|describe|suite|context)\.(skip|todo|only|fails?)\b|\b(xit|xdescribe|xtest|fit|fdescribe)\s*\(|\.Skip\(\)|\bassume(True|False|That)\s*\(/,
    'skips a test',
  ],
  [
    /\bassert\s+True\b|\bassert\s+1\b|\bassertTrue\s*\(\s*[Tt]rue\s*\)|\bexpect\s*\(\s*(true|1)\s*\)\.to|\bassert(\.ok)?\s*\(\s*(true|1)\s*\)|\bassert\.(True|Equal)\s*\(t,\s*(true|1,\s*1)\b|\bassert\b.*\bor\s+True\b|\|\|\s*true\s*\)/,
    'asserts what is always so',
  ],
]

export const ASSERTION =
  /\bassert\w*\b|\bexpect\s*\(|\.should\b|\brequire\.\w+\s*\(\s*t\b|\bt\.(Error|Fatal|Fail)\w*\s*\(|\bpytest\.raises\b|\bverify\s*\(|\bfail\s*\(|\bEqual\s*\(/
