/** Office: what model calls cost, and the ledger of them. Money is in whole nano-dollars (a billionth of a dollar). */
export { boundOf, type CallBound, type CallSize } from './bound.ts'
export { priceUsage, type Cost } from './price-usage.ts'
export { NO_USAGE, readUsage, type Tokens, type Usage } from './usage.ts'
export { costOfJob, costOfJobs, recordUsage, type JobCost, type ModelCall } from './store.ts'
export { createLedger, type Ledger } from './ledger.ts'
export { createAccounts, type Accounts } from './accounts.ts'
export {
  BUDGET_PERIODS,
  BUDGET_SCOPES,
  type BudgetId,
  type BudgetPeriod,
  type BudgetScope,
  type Owner,
  type Standing,
} from './budget.ts'
export { hasRoom, listBudgets, removeBudget, setBudget, type Budget, type BudgetRequest } from './budgets.ts'
export { fromUsd, toUsd } from './money.ts'
export { readPrices, type Price, type Rates } from './prices.ts'
export { REPORT_KEYS, usageReport, type ReportKey, type UsageReport, type UsageSums } from './report.ts'
export { type Ask, type Reply } from './reservations.ts'
