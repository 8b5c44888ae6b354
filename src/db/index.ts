/** Ground floor: connections, transactions, and the shape of every table. */
export type { Schema } from './schema.ts'
export { inOrganization, asSystem, notify, type Databases, type Db, type Transaction } from './databases.ts'
