/** The door of the conflict engine. */
export {
  CONFLICT_KINDS,
  RUNGS,
  type Candidate,
  type Check,
  type ConflictKind,
  type FileOutcome,
  type Operation,
  type Region,
  type RungName,
  type RungReport,
  type Versions,
} from './conflict.ts'
export { createFileResolutions } from './adapters/file.ts'
export { type Resolutions } from './resolutions.ts'
export { mergeFile } from './merge-file.ts'
export { mergeCommitsApart, type ApartOutcome, type ApartRequest } from './apart.ts'
export { mergeCommits, type MergeCommitsRequest, type MergeReport } from './merge-commits.ts'
export { recordResolutions, type MergeOf } from './store.ts'
export { replay, type ReplayRequest } from './replay.ts'
export {
  runMerge,
  runMergeDriver,
  runMergeFile,
  runReplay,
  type MergeCommand,
  type MergeFileCommand,
  type ReplayCommand,
  type Terminal,
} from './cli.ts'
