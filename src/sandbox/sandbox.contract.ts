/**
 * What every technology must do, and as far as its guarantees go must keep from happening: the tests T1-T31 and T38 of
 * the threat list that one machine can run. A guarantee that a technology does not give skips its tests, with the reason.
 */
import { test } from 'node:test'
import { bordersHold } from './contract/borders.contract.ts'
import { commandsBehave } from './contract/commands.contract.ts'
import { egressBehaves } from './contract/egress.contract.ts'
import { exchangeBehaves } from './contract/exchange.contract.ts'
import { isolationHolds } from './contract/isolation.contract.ts'
import { lifetimeEnds } from './contract/lifetime.contract.ts'
import { limitsHold } from './contract/limits.contract.ts'
import { layersBehave } from './contract/layers.contract.ts'
import { createBench, type CreateSandboxes, type Technology } from './contract/bench.ts'

export function sandboxesBehave(technology: Technology, create: CreateSandboxes): void {
  test(
    `${technology}: sandboxes behave`,
    { timeout: technology === 'seatbelt' ? 480_000 : 240_000 },
    async (t) => {
      await using bench = await createBench(technology, create)
      for (const part of [
        commandsBehave,
        exchangeBehaves,
        layersBehave,
        lifetimeEnds,
        isolationHolds,
        bordersHold,
        limitsHold,
        egressBehaves,
      ])
        await part(t, bench)
    },
  )
}
