/** The command line: what people type. */
export { run } from './run.ts'
export { createProgram } from './program.ts'
export { EXIT } from './exit-codes.ts'
