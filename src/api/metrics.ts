/** What Prometheus reads at /metrics. Names carry no tenant, repository or person. */
import type { FastifyInstance } from 'fastify'
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client'
import type { JobFigures } from '#jobs'
import type { Live } from './live.ts'

const FIGURES_MS = 2_000

export type Metrics = { readonly contentType: string; read(): Promise<string> }

export function measure(app: FastifyInstance, live: Live, readFigures: () => Promise<JobFigures>): Metrics {
  const registry = new Registry()
  const registers = [registry]
  collectDefaultMetrics({ register: registry, prefix: 'flowforge_api_' })
  const seconds = new Histogram({
    name: 'flowforge_http_request_duration_seconds',
    help: 'How long requests took, by route. Streams count until they end.',
    labelNames: ['method', 'route', 'status'] as const,
    buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
    registers,
  })
  const errors = new Counter({
    name: 'flowforge_http_internal_errors_total',
    help: 'Requests that failed by a fault of FlowForge.',
    registers,
  })
  new Gauge({
    name: 'flowforge_event_readers',
    help: 'Open event and log streams.',
    registers,
    collect() {
      this.set(live.readers)
    },
  })
  const jobs = new Gauge({
    name: 'flowforge_jobs',
    help: 'Jobs that have not ended, by state.',
    labelNames: ['state'] as const,
    registers,
  })
  const wait = new Gauge({
    name: 'flowforge_queue_longest_wait_seconds',
    help: 'How long the longest waiting job has waited for a place.',
    registers,
  })

  app.addHook('onResponse', async (request, reply) => {
    // The pattern, never the path: a path would make one series for each job.
    const route = request.routeOptions.url ?? 'none'
    seconds.observe({ method: request.method, route, status: reply.statusCode }, reply.elapsedTime / 1000)
    if (reply.statusCode >= 500) errors.inc()
  })

  let figures: JobFigures = { byState: {}, longestWaitSeconds: 0 }
  let readAt = -Infinity
  return {
    contentType: registry.contentType,
    async read() {
      // Whoever asks in a loop (no key is needed) costs one look at the database in this time.
      if (Date.now() - readAt > FIGURES_MS) {
        figures = await readFigures()
        readAt = Date.now()
      }
      for (const [state, count] of Object.entries(figures.byState)) jobs.set({ state }, count)
      wait.set(figures.longestWaitSeconds)
      return registry.metrics()
    },
  }
}
