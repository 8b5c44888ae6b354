/** The whole contract once more as a plain user. */
import { join } from 'node:path'
import { test } from 'node:test'
import { passesAsPlainUser } from '../contract/as-plain-user.ts'

const asRoot = process.getuid?.() === 0
const reason = 'this is a plain user: bubblewrap.sandbox.test.ts ran as one'

test(
  'bubblewrap as a plain user: sandboxes behave',
  { skip: asRoot ? false : reason, timeout: 240_000 },
  () => passesAsPlainUser(join(import.meta.dirname, 'bubblewrap.sandbox.test.ts'), 40),
)
