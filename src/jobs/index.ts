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
