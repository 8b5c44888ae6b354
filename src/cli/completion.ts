/** Completion scripts, written from the commands themselves: nothing to forget when a command is added. */
import type { Command } from 'commander'

type Completed = {
  readonly name: string
  readonly summary: string
  readonly options: readonly {
    readonly flag: string
    readonly what: string
    readonly choices: readonly string[]
  }[]
  readonly words: readonly string[]
}

export function completionScript(shell: 'bash' | 'zsh' | 'fish', program: Command): string {
  const commands = collectCommands(program)
  switch (shell) {
    case 'bash':
      return bash(commands)
    case 'zsh':
      return zsh(commands)
    case 'fish':
      return fish(commands)
  }
}

export function collectCommands(program: Command): readonly Completed[] {
  return program.commands.map((command) => ({
    name: command.name(),
    summary: command.summary() || command.description(),
    options: [
      ...command.options.map((option) => ({
        flag: option.long ?? option.short ?? '',
        what: option.description,
        choices: option.argChoices ?? [],
      })),
      { flag: '--help', what: 'print help', choices: [] },
    ],
    words: [
      ...command.commands.map((inner) => inner.name()),
      ...command.registeredArguments.flatMap((argument) => argument.argChoices ?? []),
    ],
  }))
}

function bash(commands: readonly Completed[]): string {
  const cases = commands.flatMap(({ name, options, words }) => [
    ...options
      .filter(({ choices }) => choices.length > 0)
      .map(({ flag, choices }) => `    ${name}:${flag}) words='${choices.join(' ')}' ;;`),
    `    ${name}:*) words='${[...words, ...options.map(({ flag }) => flag)].join(' ')}' ;;`,
  ])
  return `# flowforge completion for bash: source <(flowforge completion bash)
_flowforge() {
  local current=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD-1]} words=''
  COMPREPLY=()
  if [ "$COMP_CWORD" -eq 1 ]; then
    words='${commands.map(({ name }) => name).join(' ')} help'
  else case "\${COMP_WORDS[1]}:$previous" in
${cases.join('\n')}
  esac; fi
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
}
complete -o default -F _flowforge flowforge`
}

function zsh(commands: readonly Completed[]): string {
  const names = commands.map(({ name, summary }) => `    ${quote(`${name}:${summary}`)}`)
  const cases = commands.map(({ name, options, words }) => {
    const values = [...words, ...options.map(({ flag }) => flag)].map(quote).join(' ')
    return `    ${name}) compadd -- ${values}; _files ;;`
  })
  return `#compdef flowforge
# flowforge completion for zsh: source <(flowforge completion zsh)
_flowforge() {
  local -a commands=(
${names.join('\n')}
  )
  if (( CURRENT == 2 )); then _describe command commands; return; fi
  case $words[2] in
${cases.join('\n')}
  esac
}
compdef _flowforge flowforge`
}

function fish(commands: readonly Completed[]): string {
  const lines = commands.flatMap(({ name, summary, options, words }) => {
    const inside = `complete -c flowforge -n '__fish_seen_subcommand_from ${name}'`
    return [
      `complete -c flowforge -n __fish_use_subcommand -f -a ${name} -d ${quote(summary)}`,
      ...words.map((word) => `${inside} -f -a ${word}`),
      ...options.map(({ flag, what, choices }) => {
        const values = choices.length > 0 ? ` -x -a ${quote(choices.join(' '))}` : ''
        return `${inside} -l ${flag.replace(/^-+/, '')} -d ${quote(what)}${values}`
      }),
    ]
  })
  return `# flowforge completion for fish: flowforge completion fish | source\n${lines.join('\n')}`
}

/** In single quotes, which every shell reads the same; an apostrophe would end them. */
function quote(text: string): string {
  return `'${text.replaceAll("'", '’')}'`
}
