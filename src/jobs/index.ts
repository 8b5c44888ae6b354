/** Jobs: what a job is, who runs it next, and the two stories, run and land. */
export {
  jobRequestSchema,
  jobSchema,
  jobEventSchema,
  jobQuerySchema,
  executionSchema,
  TASK_LIMIT_BYTES,
  type Execution,
  type Job,
  type JobEvent,
  type JobQuery,
  type JobRequest,
  type JobRequestInput,
} from './job.ts'
export { TRANSITIONS, JOB_STATES, canMove, isFinal, type JobState } from './state.ts'
export { createJobs, type Jobs } from './jobs.ts'
export type { ModelSource, SubmitTools } from './submit.ts'
export { createJobQueue, type JobQueue } from './queue.ts'
export { startWorker, type Worker } from './worker.ts'
export type { WorkerSettings, WorkerTools } from './work.ts'
export { SENSITIVE_PATHS } from './sensitive.ts'
export { readJobFigures, type JobFigures } from './figures.ts'
