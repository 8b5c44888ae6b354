/** Office: what keeps a running installation well. */
export { keepPartitions, maintainPartitionsAt } from './partitions.ts'
