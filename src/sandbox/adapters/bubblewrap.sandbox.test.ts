import { WEAKENABLE } from '../local/guarantees.ts'
import { sandboxesBehave } from '../sandbox.contract.ts'
import { createLocalSandboxes } from './bubblewrap.ts'

sandboxesBehave('bubblewrap', (options) => createLocalSandboxes({ ...options, allowWeaker: WEAKENABLE }))
