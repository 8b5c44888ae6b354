import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { test } from 'node:test'
import { collectCommands, completionScript } from './completion.ts'
import { createProgram } from './program.ts'

const bin = new URL('../../bin/flowforge', import.meta.url).pathname

function flowforge(...args: string[]) {
  return spawnSync(bin, args, {
    encoding: 'utf8',
    env: { PATH: process.env['PATH'] ?? '', FLOWFORGE_HOME: '/nonexistent/flowforge' },
  })
}

test('every command has a summary and a description', () => {
  for (const command of createProgram().commands) {
    if (command.name() === 'help') continue
    assert.ok(command.summary(), command.name())
    assert.ok(command.description(), command.name())
  }
})

test('help is printed for the program and each command', () => {
  const help = flowforge('--help')
  assert.equal(help.status, 0)
  for (const { name } of collectCommands(createProgram())) {
    assert.match(help.stdout, new RegExp(`^  ${name} `, 'm'))
  }
  assert.match(flowforge('help', 'submit').stdout, /Examples:/)
})

test('a mistyped command or option is answered with what was probably meant', () => {
  const command = flowforge('sumbit')
  assert.equal(command.status, 64)
  assert.match(command.stderr, /Did you mean submit\?/)
  const option = flowforge('jobs', '--stat', 'failed')
  assert.equal(option.status, 64)
  assert.match(option.stderr, /Did you mean --state\?/)
})

test('when nothing runs, the answer says how to start it', () => {
  const result = spawnSync(bin, ['jobs'], {
    encoding: 'utf8',
    env: {
      PATH: process.env['PATH'] ?? '',
      FLOWFORGE_URL: 'http://127.0.0.1:9',
      FLOWFORGE_HOME: '/nonexistent/flowforge',
    },
  })
  assert.equal(result.status, 69)
  assert.match(result.stderr, /flowforge up/)
  assert.equal(result.stdout, '')
})

test('a wrong setting is named with its value and an example', () => {
  const result = spawnSync(bin, ['jobs', '--json'], {
    encoding: 'utf8',
    env: { PATH: process.env['PATH'] ?? '', FLOWFORGE_PORT: 'seven' },
  })
  assert.equal(result.status, 1)
  const { error } = JSON.parse(result.stderr) as { error: { code: string; detail: string } }
  assert.equal(error.code, 'config_invalid')
  assert.match(error.detail, /FLOWFORGE_PORT=seven .*FLOWFORGE_PORT=7420/)
})

test('a task file that is not there, or empty, is named', () => {
  assert.match(
    flowforge('submit', '.', '@/nonexistent.md', '--into', 'main').stderr,
    /nonexistent\.md cannot be read/,
  )
  assert.match(flowforge('submit', '.', '  ', '--into', 'main').stderr, /is empty/)
})

test('without a terminal there are no colours, in CI neither', () => {
  const env = { PATH: process.env['PATH'] ?? '', FLOWFORGE_HOME: '/nonexistent/flowforge', CI: 'true' }
  const { stderr, stdout } = spawnSync(bin, ['sumbit'], { encoding: 'utf8', env })
  // oxlint-disable-next-line no-control-regex -- looked for on purpose
  assert.doesNotMatch(stderr + stdout + flowforge('--help').stdout, /\u001b/)
})

test('the bash completion is valid and completes commands and options', () => {
  const script = completionScript('bash', createProgram())
  const ask = (words: string) =>
    execFileSync(
      'bash',
      [
        '-c',
        `${script}\nCOMP_WORDS=(${words}); COMP_CWORD=$((\${#COMP_WORDS[@]}-1)); _flowforge; echo "\${COMPREPLY[@]}"`,
      ],
      { encoding: 'utf8' },
    ).trim()
  assert.equal(ask('flowforge sub'), 'submit')
  assert.equal(ask('flowforge submit --ch'), '--check')
  assert.equal(ask('flowforge jobs --state needs'), 'needs_review')
})

test('the other completions name every command', () => {
  for (const shell of ['zsh', 'fish'] as const) {
    const script = completionScript(shell, createProgram())
    for (const { name } of collectCommands(createProgram()))
      assert.ok(script.includes(name), `${shell} ${name}`)
  }
})
