/**
 * How one task is given to an agent inside a sandbox, and what comes back.
 *
 *   task      what the agent is asked to do
 *   event     something an agent did, in our words (never raw stream-json)
 *   outcome   how the run ended; expected endings are values
 */
import type { Sandbox } from '#sandbox'

export type Task = {
  readonly text: string
  /** The repository's own instructions (CLAUDE.md), read on the host from the commit the work begins from. */
  readonly instructions?: string
  readonly model?: string
  readonly maxTurns?: number
  /** UUID of the Claude session: made from job and try. */
  readonly sessionId: string
  /** Go on with this earlier session, whose state was put back into /state. */
  readonly resume?: boolean
  /** Environment variables of the job. */
  readonly variables: Readonly<Record<string, string>>
}

export type TaskContext = {
  readonly sandbox: Sandbox
  readonly onEvent: (event: AgentEvent) => void
  /** Steering messages of people, as they come; ends with the run. */
  readonly messages: AsyncIterable<string>
  readonly watchdog?: Partial<Watchdog>
  /** How Claude Code reaches the gate; 'socket' by default. */
  readonly modelRoute?: ModelRoute
}

/** By its own unix socket client, which is not documented, or by a relay on the sandbox's loopback address. */
export type ModelRoute = 'socket' | 'loopback'

/** After how long the agent counts as hung. Milliseconds. */
export type Watchdog = {
  readonly silenceMs: number
  /** From the result to the end of the process. */
  readonly afterResultMs: number
  /** Between SIGINT, SIGTERM and SIGKILL. */
  readonly graceMs: number
}

export type AgentEvent =
  | {
      readonly kind: 'agent.started'
      readonly sessionId: string
      readonly model: string
      readonly version: string
    }
  | { readonly kind: 'agent.text'; readonly text: string }
  | { readonly kind: 'agent.thinking'; readonly text: string }
  | {
      readonly kind: 'agent.tool'
      readonly tool: string
      readonly summary: string
      readonly toolUseId: string
    }
  | {
      readonly kind: 'agent.tool_result'
      readonly toolUseId: string
      readonly isError: boolean
      readonly text: string
    }
  | {
      readonly kind: 'agent.retry'
      readonly attempt: number
      readonly status: number | null
      readonly delayMs: number
    }
  | { readonly kind: 'agent.notice'; readonly text: string }
  | { readonly kind: 'agent.output'; readonly stream: 'stdout' | 'stderr'; readonly text: string }
  | { readonly kind: 'agent.heard'; readonly text: string }

export type AgentUsage = {
  readonly turns: number
  /** Claude Code's own estimate, in nano-dollars. The gateway's ledger is the truth. */
  readonly estimatedNanoDollars: number
  readonly models: Readonly<Record<string, ModelUsage>>
}
export type ModelUsage = {
  readonly inputTokens: number
  readonly outputTokens: number
  readonly cacheReadTokens: number
  readonly cacheWriteTokens: number
}

export type TaskOutcome =
  | { readonly kind: 'done'; readonly summary: string; readonly usage?: AgentUsage }
  /** The agent's own failure: max turns, an error in the session, a non-zero exit of a command. */
  | {
      readonly kind: 'failed'
      readonly cause: AgentFailure
      readonly message: string
      readonly usage?: AgentUsage
    }
  /** The gateway refused for money: the job pauses. */
  | { readonly kind: 'over-budget'; readonly message: string; readonly usage?: AgentUsage }
  /** The gateway or the sandbox was away: another try is worth it. */
  | {
      readonly kind: 'interrupted'
      readonly cause: 'gateway' | 'sandbox' | 'out-of-memory'
      readonly message: string
    }
  | { readonly kind: 'hung'; readonly message: string; readonly usage?: AgentUsage }
  | { readonly kind: 'cancelled' }

export type AgentFailure = 'exit' | 'max-turns' | 'api-error' | 'not-permitted' | 'disk-full'
