/**
 * The contract, as far as it applies, on a Mac, and on Linux through the library's bubblewrap: launcher, paths,
 * environment, gates, exchange, ends. What Seatbelt itself would answer is asked in seatbelt/profile.test.ts.
 */
import { test } from 'node:test'
import { passesAsPlainUser } from '../contract/as-plain-user.ts'
import { sandboxesBehave } from '../sandbox.contract.ts'
import { namesOfMissing } from '../local/guarantees.ts'
import { seatbeltGuarantees } from '../seatbelt/guarantees.ts'
import { problemOfSeatbelt } from '../seatbelt/proof.ts'
import { createSeatbeltSandboxes } from './seatbelt.ts'

const allowWeaker = namesOfMissing(seatbeltGuarantees('darwin'))
const asRoot = process.getuid?.() === 0
const problem = problemOfSeatbelt()

if (asRoot)
  test(
    'seatbelt as a plain user: sandboxes behave',
    {
      skip: process.platform === 'linux' ? (problemOfSeatbelt(1) ?? false) : 'root on a Mac',
      timeout: 490_000,
    },
    () => passesAsPlainUser(import.meta.filename, 30),
  )
else if (problem === undefined)
  sandboxesBehave('seatbelt', (options) => createSeatbeltSandboxes({ ...options, allowWeaker }))
else test('seatbelt: sandboxes behave', { skip: problem }, () => undefined)
