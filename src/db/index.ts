/** Ground floor: the server, its roles and migrations, connections, transactions, and the shape of every table. */
export type { Schema } from './schema.ts'
export {
  inOrganization,
  asSystem,
  notify,
  type Channel,
  type Databases,
  type Db,
  type Transaction,
} from './databases.ts'
export { startEmbeddedPostgres, type EmbeddedPostgres, type EmbeddedPostgresOptions } from './embedded.ts'
export { setUpDatabase } from './set-up.ts'
export { roleUrls, roleName, ROLES, type Role, type RoleUrls } from './roles.ts'
export { openDatabases, type OpenOptions } from './open.ts'
export { createListener, type Heard, type Listener } from './listener.ts'
export { maintainPartitions } from './partitions.ts'
export { isOutage } from './outage.ts'
