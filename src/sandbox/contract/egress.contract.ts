import type { TestContext } from 'node:test'
import type { Bench } from './bench.ts'

export async function egressBehaves(_t: TestContext, _bench: Bench): Promise<void> {}
