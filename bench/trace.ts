import { scriptedTask } from '#demo'
import { startStory } from '#test/story.ts'
const endings: (() => Promise<void>)[] = []
const story = await startStory({ after: (e) => void endings.push(e) })
const origin = await story.makeOrigin()
const rows: Record<string, number[]> = {}
for (let i = 0; i < 12; i++) {
  const t0 = Date.now()
  const { job } = await story.client.submit({ repository: origin, into: 'main', task: scriptedTask('w', { turns: [{ text: 'x', tools: [{ name: 'Write', input: { file_path: `/workspace/f${i}.txt`, content: 'x\n' } }] }, { text: 'done' }] }) })
  await story.settled(job)
  if (i < 2) continue
  let last = t0
  const seen = new Set<string>()
  for (const e of await story.client.listEvents(job.id)) {
    const at = Date.parse(e.occurredAt)
    const key = seen.has(e.kind) ? `${e.kind}#2` : e.kind; seen.add(e.kind)
    ;(rows[key] ??= []).push(at - last)
    last = at
  }
}
for (const [k, v] of Object.entries(rows)) { v.sort((a, b) => a - b); console.log(k.padEnd(24), v[Math.floor(v.length / 2)]) }
for (const e of endings.reverse()) await e()
