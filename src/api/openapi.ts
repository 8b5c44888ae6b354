/** The API described by itself, as OpenAPI 3.1. docs/reference/openapi.json is checked against it. */
import swagger from '@fastify/swagger'
import { jsonSchemaTransform, jsonSchemaTransformObject } from 'fastify-type-provider-zod'
import type { App } from './server.ts'
import { VERSION } from './version.ts'

type Document = ReturnType<typeof jsonSchemaTransformObject>

export async function describeRoutes(app: App): Promise<void> {
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'FlowForge',
        version: VERSION,
        description:
          'Runs many Claude Code tasks in sandboxes and lands the results on shared branches. Errors are problem details (RFC 9457) with a stable code.',
        license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
      },
      servers: [{ url: 'http://127.0.0.1:7420', description: 'A FlowForge on this machine.' }],
      tags: [
        { name: 'jobs', description: 'Tasks given to agents.' },
        { name: 'repositories', description: 'Repositories with a name and a credential.' },
        { name: 'operation', description: 'For whoever watches the process.' },
      ],
      security: [{ bearer: [] }, { apiKey: [] }],
      components: {
        securitySchemes: {
          bearer: {
            type: 'http',
            scheme: 'bearer',
            description: 'An API key: `Authorization: Bearer ff_…`.',
          },
          apiKey: { type: 'apiKey', in: 'header', name: 'x-api-key' },
        },
      },
    },
    transform: jsonSchemaTransform,
    transformObject: (document) => tidy(jsonSchemaTransformObject(document)) as Document,
  })
  app.get('/api/v1/openapi.json', { schema: { hide: true } }, async () => app.swagger())
}

/** Takes out what says nothing: the bounds of a JavaScript integer, the patterns behind a format, unused schemas. */
function tidy(document: object): object {
  const plain = JSON.parse(JSON.stringify(document)) as { components: { schemas: Record<string, unknown> } }
  visit(plain, (node) => {
    if (node['minimum'] === Number.MIN_SAFE_INTEGER) delete node['minimum']
    if (node['maximum'] === Number.MAX_SAFE_INTEGER) delete node['maximum']
    if (node['format'] !== undefined) delete node['pattern']
    delete node['propertyNames']
  })
  const { schemas } = plain.components
  const isUnused = (name: string): boolean =>
    name.endsWith('Input') && !JSON.stringify(plain).includes(`"#/components/schemas/${name}"`)
  // One that was unused may have been the only user of another.
  for (let name; (name = Object.keys(schemas).find(isUnused));) delete schemas[name]
  return plain
}

function visit(node: unknown, change: (node: Record<string, unknown>) => void): void {
  if (typeof node !== 'object' || node === null) return
  if (!Array.isArray(node)) change(node as Record<string, unknown>)
  for (const value of Object.values(node)) visit(value, change)
}
