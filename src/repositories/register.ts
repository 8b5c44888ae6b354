/** Registering a repository, by a name that people give or by its address alone. */
import { basename } from 'node:path'
import type { Transaction } from '#db'
import { refuse } from '#lib/errors.ts'
import type { OrganizationId } from '#lib/ids.ts'
import type { RepositoryAddress } from './address.ts'
import type { Repository } from './repository.ts'
import { findRepository, insertRepository } from './store.ts'

const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/
const TRIES = 50

export type Registration = {
  readonly organizationId: OrganizationId
  readonly address: RepositoryAddress
  /** Absent: made from the address. */
  readonly name?: string | undefined
}

/** The same request twice gives the same repository. The address has been checked (parseAddress). */
export async function registerRepository(
  trx: Transaction,
  { organizationId, address, name }: Registration,
): Promise<{ readonly repository: Repository; readonly created: boolean }> {
  if (name !== undefined && !isRepositoryName(name)) {
    throw refuse('invalid_request', {
      problem: `the repository name ${JSON.stringify(name.slice(0, 100))} must be letters, digits, dots, dashes and underscores, at most 100.`,
    })
  }
  for (const candidate of name === undefined ? namesFrom(address) : [name]) {
    const created = await insertRepository(trx, { organizationId, name: candidate, address: address.address })
    const repository = await findRepository(trx, { address: address.address })
    if (repository === undefined) {
      // The name is taken by another address: a person's choice is refused, ours gets the next number.
      if (name !== undefined) throw refuse('repository_exists', { name })
      continue
    }
    if (name !== undefined && repository.name !== name) {
      throw refuse('invalid_request', {
        problem: `this address is registered already, as ${repository.name}.`,
      })
    }
    return { repository, created }
  }
  throw refuse('invalid_request', {
    problem: 'no free name was found for this address. Register it with a name.',
  })
}

/** Names and addresses cannot be confused: an address has a slash or a colon, a name has neither. */
export function isRepositoryName(text: string): boolean {
  return NAME.test(text)
}

function* namesFrom({ address }: RepositoryAddress): Generator<string> {
  const last = basename(address.replace(/\/\.git$/, '').replaceAll(':', '/')).replace(/\.git$/, '')
  const plain = last.replaceAll(/[^A-Za-z0-9._-]/g, '-').replace(/^[^A-Za-z0-9]+/, '')
  const name = plain.slice(0, 90) || 'repository'
  yield name
  for (let number = 2; number < TRIES; number++) yield `${name}-${number}`
}
