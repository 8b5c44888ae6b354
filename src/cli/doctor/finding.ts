/** One thing that was looked at on this machine. */
export type Finding = {
  readonly name: string
  /** missing: FlowForge cannot run. warning: it runs, with less. */
  readonly state: 'ok' | 'warning' | 'missing'
  readonly found: string
  /** The exact command or setting that puts it right. */
  readonly remedy?: string
}

export const ok = (name: string, found: string): Finding => ({ name, state: 'ok', found })
export const warning = (name: string, found: string, remedy: string): Finding => ({
  name,
  state: 'warning',
  found,
  remedy,
})
export const missing = (name: string, found: string, remedy: string): Finding => ({
  name,
  state: 'missing',
  found,
  remedy,
})
