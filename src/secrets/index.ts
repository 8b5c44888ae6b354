/** Ground floor: the master key and what is sealed under it. */
export { openMasterKey, masterKeyFrom, type MasterKey } from './master-key.ts'
export { createVault, type Vault } from './vault.ts'
