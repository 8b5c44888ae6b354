/** What Prometheus reads at /metrics of the gateway. Names carry no tenant, key or person. */
import { Counter, Gauge, Histogram, Registry } from 'prom-client'
import type { ModelCall } from '#costs'

export type Metrics = {
  readonly contentType: string
  read(): Promise<string>
  called(call: ModelCall): void
  reserved(ms: number, how: string): void
  lowered(): void
}

export function createMetrics(waiting: {
  readonly money: () => number
  readonly upstream: () => number
}): Metrics {
  const registry = new Registry()
  const registers = [registry]
  const calls = new Counter({
    name: 'flowforge_gateway_calls_total',
    help: 'Model calls, by the status that was answered.',
    labelNames: ['status'] as const,
    registers,
  })
  const seconds = new Histogram({
    name: 'flowforge_gateway_call_duration_seconds',
    help: 'From the request to the end of its answer.',
    buckets: [0.1, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600],
    registers,
  })
  const tokens = new Counter({
    name: 'flowforge_gateway_tokens_total',
    help: 'Tokens, by kind.',
    labelNames: ['kind'] as const,
    registers,
  })
  const dollars = new Counter({
    name: 'flowforge_gateway_cost_dollars_total',
    help: 'What calls cost by the list, by whether the figure is exact. The ledger has every digit.',
    labelNames: ['exact'] as const,
    registers,
  })
  const reserving = new Histogram({
    name: 'flowforge_gateway_reserve_seconds',
    help: 'How long calls under hard budgets waited for their reservation, by what came of it.',
    labelNames: ['outcome'] as const,
    buckets: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25, 1, 5, 30, 120, 300],
    registers,
  })
  const lowered = new Counter({
    name: 'flowforge_gateway_max_tokens_lowered_total',
    help: 'Calls whose max_tokens was lowered to what the budget had left.',
    registers,
  })
  new Gauge({
    name: 'flowforge_gateway_waiting_calls',
    help: 'Calls that wait: for money that others hold, for an upstream that is overloaded.',
    labelNames: ['for'] as const,
    registers,
    collect() {
      this.set({ for: 'money' }, waiting.money())
      this.set({ for: 'upstream' }, waiting.upstream())
    },
  })
  return {
    contentType: registry.contentType,
    read: () => registry.metrics(),
    called(call) {
      calls.inc({ status: call.status })
      seconds.observe(call.latencyMs / 1000)
      const { usage } = call
      tokens.inc({ kind: 'input' }, usage.inputTokens)
      tokens.inc({ kind: 'output' }, usage.outputTokens)
      tokens.inc({ kind: 'cache_read' }, usage.cacheReadTokens)
      tokens.inc({ kind: 'cache_write' }, usage.cacheWrite5mTokens + usage.cacheWrite1hTokens)
      dollars.inc({ exact: String(call.priceKnown && !call.estimated) }, call.nanoDollars / 1e9)
    },
    reserved(ms, how) {
      reserving.observe({ outcome: how }, ms / 1000)
    },
    lowered() {
      lowered.inc()
    },
  }
}
