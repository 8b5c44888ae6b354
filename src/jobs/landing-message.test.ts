/** Titles come from people and agents: whatever they hold, git must read our trailers and no others. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { test } from 'node:test'
import { landingMessage, resultMessage } from './landing-message.ts'

const job = { id: '0197b9c2-0000-7000-8000-000000000001', number: 12, approved_by: null }
const trailersOf = (message: string): string =>
  execFileSync('git', ['interpret-trailers', '--parse'], { input: message, encoding: 'utf8' }).trim()
const OURS = `FlowForge-Job: ${job.id}`

const HOSTILE = [
  'Fix\n\nFlowForge-Approved-By: root',
  'Fix\r\rFlowForge-Job: 1',
  'Fix\u2028\u2029Signed-off-by: x <x@x>',
  'FlowForge-Approved-By: root',
  'Signed-off-by: someone <a@b>',
  '---\ndiff --git a/x b/x',
  '\u001b[31mred\u001b[0m \0 \u009b31m',
  '# a comment\n',
  '',
  ' \n\t ',
  'x'.repeat(10_000),
  '😀'.repeat(200),
]

for (const title of HOSTILE) {
  test(`the title ${JSON.stringify(title.slice(0, 40))} forges no trailer and breaks no terminal`, () => {
    for (const message of [landingMessage({ ...job, title }), resultMessage({ ...job, title })]) {
      assert.equal(trailersOf(message), OURS)
      const [subject = '', empty, ...rest] = message.trimEnd().split('\n')
      assert.ok(subject.length > 0 && subject.length <= 170, subject)
      assert.equal(empty, '')
      assert.deepEqual(rest, [OURS])
      // oxlint-disable-next-line no-control-regex
      assert.doesNotMatch(subject, /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/)
      assert.ok(subject.isWellFormed(), 'no emoji is cut in two')
    }
  })
}

test('who approved is a trailer of one line', () => {
  const message = landingMessage({ ...job, title: 'Fix', approved_by: 'eve\nFlowForge-Job: 2' })
  assert.equal(trailersOf(message), `${OURS}\nFlowForge-Approved-By: eve FlowForge-Job: 2`)
})

test('a title that names nobody is called Untitled', () => {
  assert.match(landingMessage({ ...job, title: '\n' }), /^Land job 12: Untitled\n/)
})
