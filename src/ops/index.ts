/** Office: what keeps a running installation well. */
export { maintainPartitionsAt } from './partitions.ts'
export { startUpkeep, type UpkeepTools } from './upkeep.ts'
