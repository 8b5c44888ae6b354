/** Office: what model calls cost, and the ledger of them. Money is in whole nano-dollars (a billionth of a dollar). */
export { priceUsage, type Cost } from './price-usage.ts'
export { NO_USAGE, readUsage, type Tokens, type Usage } from './usage.ts'
export { costOfJob, costOfJobs, recordUsage, type JobCost, type ModelCall } from './store.ts'
export { createLedger, type Ledger } from './ledger.ts'
