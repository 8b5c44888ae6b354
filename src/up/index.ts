/** Up: the whole program on one machine, one child process for each role, and the database under it. */
export { up, type Running, type UpNews, type UpOptions } from './up.ts'
export { readCredentials, type Credentials } from './credentials.ts'
