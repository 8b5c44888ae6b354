import { z } from 'zod'
import { Secret } from '#lib/secret.ts'
import { createRepositories, type Credential, type Repository } from '#repositories'
import { problemResponses } from '../problems.ts'
import type { App } from '../server.ts'
import type { ApiTools } from '../tools.ts'

const tags = ['repositories']
const name = z.string().min(1).max(100)

const credential = z
  .discriminatedUnion('kind', [
    z.strictObject({
      kind: z.literal('https_token'),
      username: z.string().min(1).max(200).default('x-access-token'),
      token: z.string().min(1).max(8_000),
    }),
    z.strictObject({
      kind: z.literal('ssh_key'),
      key: z
        .string()
        .min(1)
        .max(64 * 1024)
        .describe('A private key in PEM or OpenSSH form, without passphrase.'),
    }),
  ])
  .describe('Stored encrypted, never answered; only the git of a worker gets it.')

const patch = {
  credential: credential.nullish().describe('Null takes it away.'),
  defaultBranch: z.string().min(1).max(250).nullish(),
  sensitivePaths: z
    .array(z.string().min(1).max(500))
    .max(500)
    .nullish()
    .describe('Globs whose edits wait for review. Null: the default list.'),
  maxRunningJobs: z.int().min(1).max(10_000).nullish(),
}
const createBody = z.strictObject({
  name: name.optional().describe('Default: made from the address.'),
  address: z
    .string()
    .min(1)
    .max(10_000)
    .describe('https or ssh address, or (operator only) an absolute path.'),
  ...patch,
})
const patchBody = z.strictObject(patch)
const params = z.strictObject({ repository: name.describe('The name of the repository.') })

const repositoryAnswer = z
  .object({
    id: z.uuid(),
    name: z.string(),
    address: z.string(),
    defaultBranch: z.string().nullable(),
    credential: z
      .enum(['https_token', 'ssh_key'])
      .nullable()
      .describe('What kind it has; never the credential itself.'),
    sensitivePaths: z.array(z.string()).nullable(),
    maxRunningJobs: z.int().nullable(),
    createdAt: z.iso.datetime(),
  })
  .meta({ id: 'Repository' })
const repositoryList = z.object({ repositories: z.array(repositoryAnswer) }).meta({ id: 'RepositoryList' })

export type RepositoryAnswer = z.output<typeof repositoryAnswer>
export type RepositoryInput = z.input<typeof createBody>
export type RepositoryPatch = z.input<typeof patchBody>

/** Repositories with a name and a credential. */
export function repositoryRoutes(app: App, { databases, vault, config }: ApiTools): void {
  const repositories = createRepositories({
    databases,
    vault,
    home: config.FLOWFORGE_HOME,
    allowedNetworks: config.FLOWFORGE_ALLOWED_NETWORKS,
  })

  app.get(
    '/repositories',
    {
      schema: {
        operationId: 'listRepositories',
        summary: 'List the repositories',
        tags,
        response: { 200: repositoryList, ...problemResponses },
      },
    },
    async ({ principal }) => ({ repositories: (await repositories.list(principal)).map(toAnswer) }),
  )

  app.post(
    '/repositories',
    {
      schema: {
        operationId: 'createRepository',
        summary: 'Register a repository',
        tags,
        body: createBody,
        response: {
          201: repositoryAnswer,
          200: repositoryAnswer.describe('It was registered before, under this name and address.'),
          ...problemResponses,
        },
      },
    },
    async ({ principal, body }, reply) => {
      const { repository, created } = await repositories.register(principal, {
        address: body.address,
        ...(body.name !== undefined && { name: body.name }),
        ...toPatch(body),
      })
      return reply
        .code(created ? 201 : 200)
        .header('location', `/api/v1/repositories/${repository.name}`)
        .send(toAnswer(repository))
    },
  )

  app.get(
    '/repositories/:repository',
    {
      schema: {
        operationId: 'readRepository',
        summary: 'Read one repository',
        tags,
        params,
        response: { 200: repositoryAnswer, ...problemResponses },
      },
    },
    async ({ principal, params: { repository } }) => toAnswer(await repositories.read(principal, repository)),
  )

  app.patch(
    '/repositories/:repository',
    {
      schema: {
        operationId: 'changeRepository',
        summary: 'Change the credential or the rules of a repository',
        tags,
        params,
        body: patchBody,
        response: { 200: repositoryAnswer, ...problemResponses },
      },
    },
    async ({ principal, params: { repository }, body }) =>
      toAnswer(await repositories.change(principal, repository, toPatch(body))),
  )
}

function toPatch(body: z.output<typeof patchBody>) {
  return {
    ...(body.credential !== undefined && { credential: body.credential && toCredential(body.credential) }),
    ...(body.defaultBranch !== undefined && { defaultBranch: body.defaultBranch }),
    ...(body.sensitivePaths !== undefined && { sensitivePaths: body.sensitivePaths }),
    ...(body.maxRunningJobs !== undefined && { maxRunningJobs: body.maxRunningJobs }),
  }
}

function toCredential(given: z.output<typeof credential>): Credential {
  return given.kind === 'ssh_key'
    ? { kind: 'ssh_key', key: new Secret(given.key) }
    : { kind: 'https_token', username: given.username, token: new Secret(given.token) }
}

function toAnswer(repository: Repository): RepositoryAnswer {
  const {
    id,
    name: called,
    address,
    defaultBranch,
    credential: kind,
    sensitivePaths,
    maxRunningJobs,
    createdAt,
  } = repository
  return {
    id,
    name: called,
    address,
    defaultBranch,
    credential: kind,
    sensitivePaths: sensitivePaths && [...sensitivePaths],
    maxRunningJobs,
    createdAt: createdAt.toISOString(),
  }
}
