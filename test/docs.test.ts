/** What the docs name must be there: links, paths, commands with their options, settings, scripts. */
import assert from 'node:assert/strict'
import { existsSync, globSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import type { Command } from 'commander'
import { createProgram } from '#cli'
import { KEYS } from '#config'

const PAGES = globSync(['*.md', 'docs/**/*.md', 'src/**/*.md', 'bench/**/*.md']).toSorted()
const ROOTS = 'src|docs|test|scripts|bench|bin|deploy'
/** Settings of the tests themselves. */
const KNOWN_KEYS = new Set([...Object.keys(KEYS), 'FLOWFORGE_TEST_POSTGRES', 'FLOWFORGE_HOLD_AT'])

const scripts = (JSON.parse(readFileSync('package.json', 'utf8')) as { scripts: Record<string, string> })
  .scripts
const program = createProgram()

/** Everything in backticks or in a fenced block, one line each. */
function codeOf(page: string): readonly string[] {
  const text = readFileSync(page, 'utf8')
  const blocks = [...text.matchAll(/^```[a-z]*\n([^]*?)^```/gm)].flatMap(([, body = '']) => body.split('\n'))
  const spans = [...text.replaceAll(/^```[^]*?^```/gm, '').matchAll(/`([^`\n]+)`/g)].map(
    ([, body = '']) => body,
  )
  return [...blocks, ...spans].map((line) => line.replace(/\s#\s.*$/, ''))
}

/** Why this line of code names a command that is not there; undefined when it does not. */
function problemOfCommand(line: string): string | undefined {
  const called = /(?:^|[\s(<])(?:\.\/bin\/)?flowforge((?:\s+(?:"[^"]*"|[^\s|)]+))*)/.exec(line)
  if (!called) return undefined
  const words = [...(called[1] ?? '').matchAll(/"[^"]*"|\S+/g)].map(([word]) => word)
  let command: Command = program
  let inside = false
  for (const word of words) {
    const name = /^(--?[a-zA-Z][a-z-]*)/.exec(word)?.[1]
    if (name !== undefined) {
      const known = [...command.options, ...program.options].some(
        ({ long, short }) => long === name || short === name,
      )
      if (!known && name !== '--help' && name !== '-h') return `${command.name()} has no option ${name}`
    } else if (!inside || command.commands.length > 0) {
      const next = command.commands.find((candidate) => candidate.name() === word)
      if (next) command = next
      // Capitals and brackets stand for a value: `flowforge help COMMAND`, `flowforge [options]`.
      else if (!inside && /^[a-z][a-z-]*$/.test(word) && word !== 'help') return `there is no command ${word}`
      if (word === 'help') continue
      inside = true
    }
  }
  return undefined
}

test('the docs are there', () => {
  for (const page of [
    'README.md',
    'AGENTS.md',
    'CONTRIBUTING.md',
    'SECURITY.md',
    'CHANGELOG.md',
    'docs/tour.md',
    'docs/glossary.md',
  ])
    assert.ok(PAGES.includes(page), page)
})

test('the check itself finds what is wrong', () => {
  assert.match(problemOfCommand('flowforge sumbit') ?? '', /no command sumbit/)
  assert.match(problemOfCommand('./bin/flowforge submit . "x" --onto main') ?? '', /no option --onto/)
  assert.match(problemOfCommand('flowforge repositories add shop --key x') ?? '', /no option --key/)
  assert.equal(problemOfCommand('./bin/flowforge submit . "Fix --this" --into main --wait'), undefined)
  assert.equal(problemOfCommand('flowforge help COMMAND'), undefined)
  assert.equal(problemOfCommand('flowforge repositories show shop --json'), undefined)
})

for (const page of PAGES) {
  test(`${page} names only what is there`, () => {
    const text = readFileSync(page, 'utf8')
    for (const [, target = ''] of text.matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^(https?:|mailto:|#)/.test(target)) continue
      assert.ok(existsSync(join(dirname(page), target.replace(/#.*$/, ''))), `link to ${target}`)
    }
    for (const [key] of text.matchAll(/\bFLOWFORGE_[A-Z_]+\b/g))
      assert.ok(KNOWN_KEYS.has(key), `the setting ${key}`)
    for (const line of codeOf(page)) {
      for (const [path] of line.matchAll(new RegExp(`(?<![\\w./-])(?:\\./)?(?:${ROOTS})/[\\w./*-]*`, 'g'))) {
        const clean = path.replace(/[.,:]+$/, '')
        assert.ok(
          clean.includes('*') ? globSync(clean).length > 0 : existsSync(clean),
          `the path ${clean} in: ${line}`,
        )
      }
      const problem = problemOfCommand(line)
      assert.equal(problem, undefined, line)
      for (const [, script = ''] of line.matchAll(/\bnpm (?:run )?(start|test|check|format|run [a-z:]+)\b/g))
        assert.ok(script.replace('run ', '') in scripts, `npm ${script}`)
    }
  })
}

test('what the program itself tells people to type is there', () => {
  // In sentences for people a command stands in backticks, in brackets, or after "with: ".
  const TOLD = /(\\?`|\(|with: |\.\/bin\/)(flowforge [a-z][^`)'\n]*)/g
  for (const file of globSync('src/**/*.ts')) {
    if (file.endsWith('.test.ts')) continue
    for (const [, before, line = ''] of readFileSync(file, 'utf8').matchAll(TOLD)) {
      // A template that begins so is a name, not a sentence.
      if (before === '`' && line.includes('${')) continue
      assert.equal(problemOfCommand(line.replaceAll(/\\$|\$\{[^}]*\}?/g, ' ')), undefined, `${file}: ${line}`)
    }
  }
})

test('AGENTS.md stays short', () => {
  assert.ok(readFileSync('AGENTS.md', 'utf8').split('\n').length <= 61)
})

test('no page names a place of the machine it was written on', () => {
  for (const page of PAGES)
    assert.doesNotMatch(readFileSync(page, 'utf8'), /\/(work|root|home)\/(?!me\b|agent\b)[a-z]/, page)
})
